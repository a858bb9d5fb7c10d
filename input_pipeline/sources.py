"""Where documents come from: one constructor for each name in `SOURCES`."""

import glob
import hashlib
import importlib.metadata
import itertools
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from input_pipeline import cache, digests, synthetic
from input_pipeline.documents import Documents, Source
from input_pipeline.splits import SPLITTERS, parse_split, split

if TYPE_CHECKING:
    from input_pipeline.spec import Data

__all__ = ["SOURCES", "SPLITTERS", "Source", "open_source", "parse_split", "split"]


@dataclass(frozen=True)
class Memory(Documents):
    """Texts that stand in the config."""

    texts: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def name(self, i: int) -> str:
        return f"document-{i:06d}"

    def read(self, i: int) -> bytes:
        return self.texts[i]


@dataclass(frozen=True)
class Synthetic(Documents):
    """Stories of `document_bytes` each, made from their number alone."""

    num_documents: int
    document_bytes: int

    def __len__(self) -> int:
        return self.num_documents

    def name(self, i: int) -> str:
        return f"synthetic-{i:06d}"

    def num_bytes(self, i: int) -> int:
        return self.document_bytes

    def read(self, i: int) -> bytes:
        return synthetic.text(range(len(self))[i], num_bytes=self.document_bytes)


@dataclass(frozen=True)
class Files(Documents):
    """One document a file. Contents are hashed when the source is opened, and reads are held to that."""

    names: tuple[str, ...]
    paths: tuple[str, ...]
    contents: tuple[digests.Digest, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, i: int) -> str:
        return self.names[i]

    def num_bytes(self, i: int) -> int:
        return self.contents[i].num_bytes

    def digest(self, i: int) -> bytes:
        return self.contents[i].sha256

    def read(self, i: int) -> bytes:
        text = pathlib.Path(self.paths[i]).read_bytes()
        if hashlib.sha256(text).digest() != self.digest(i):
            raise ValueError(f"expected {self.paths[i]} as it was when the run began, but it has changed; run again")
        return text


def files(data: "Data") -> Source:
    """All files that the globs match, named by their path below the glob's last folder without a wildcard."""
    if not data.files:
        raise ValueError("data.files: expected globs, got none; write --config.data.files='corpus/**/*.txt'")
    names: dict[str, str] = {}  # path -> name
    for pattern in data.files:
        found = _match(pattern)
        if not found:
            raise ValueError(
                f"data.files: expected files, but {pattern!r} matches none in {os.getcwd()}; "
                "write a path or a glob such as 'corpus/**/*.txt'"
            )
        names = found | names
    return _open_files(names, cache_dir=cache.directory(data.cache))


def packages(data: "Data") -> Source:
    """The Python sources of installed distributions, named as in their RECORD.

    The same bytes on every machine and Python, as long as the distributions are pinned, pure wheels:
    scripts, whose first line an installer rewrites, lie outside the library folder and are left out.
    """
    if not data.packages:
        raise ValueError("data.packages: expected names of distributions, got none; write ('jax', 'optax')")
    names: dict[str, str] = {}
    for distribution in data.packages:
        names |= _python_files(distribution)
    return _open_files(names, cache_dir=cache.directory(data.cache))


def memory(data: "Data") -> Source:
    """The texts in `data.documents`."""
    if not data.documents:
        raise ValueError("data.documents: expected texts, got none; write ('one document', 'another')")
    return Memory(tuple(text.encode() for text in data.documents))


def made_up(data: "Data") -> Source:
    """`data.num_documents` stories of `data.document_bytes` bytes."""
    if not (data.num_documents and data.document_bytes):
        raise ValueError(
            f"data.num_documents and data.document_bytes: expected 1 or more for source 'synthetic', got "
            f"{data.num_documents} and {data.document_bytes}; write 1000 and 2000"
        )
    return Synthetic(data.num_documents, data.document_bytes)


SOURCES: dict[str, Callable[["Data"], Source]] = {
    "files": files,
    "packages": packages,
    "memory": memory,
    "synthetic": made_up,
}


def open_source(data: "Data") -> Source:
    """The source that the spec names, whole.

    Raises:
      ValueError: nothing is there, or it is not what `data.fingerprint` says.
    """
    source = SOURCES[data.source](data)
    if data.fingerprint and source.fingerprint() != data.fingerprint:
        raise ValueError(
            f"data.fingerprint: expected {data.fingerprint}, but this text has {source.fingerprint()}; "
            "--config.data.fingerprint='' accepts it"
        )
    return source


def _open_files(names: dict[str, str], *, cache_dir: pathlib.Path) -> Files:
    """Files in the order of their names, and of their contents where two have one name."""
    paths = sorted(names)
    found = sorted(
        zip((names[path] for path in paths), digests.of_files(paths, cache_dir=cache_dir), paths, strict=True),
        key=lambda entry: (entry[0], entry[1].sha256),
    )
    ordered_names, contents, ordered_paths = zip(*found, strict=True)
    return Files(ordered_names, ordered_paths, contents)


def _match(pattern: str) -> dict[str, str]:
    """{absolute path: name} of the files that a glob matches."""
    pattern = os.path.abspath(os.path.expanduser(pattern))
    *folders, _ = pathlib.PurePath(pattern).parts
    plain = itertools.takewhile(lambda part: not glob.has_magic(part), folders)
    root = pathlib.PurePath(*plain)
    found = filter(os.path.isfile, glob.iglob(pattern, recursive=True))
    return {path: pathlib.PurePath(path).relative_to(root).as_posix() for path in found}


def _python_files(distribution: str) -> dict[str, str]:
    """{path: name} of the .py files that a distribution's RECORD lists and that are really there."""
    try:
        listed = importlib.metadata.files(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(
            f"data.packages: expected an installed distribution, got {distribution!r}; install it, or write "
            "names as `pip list` shows them"
        ) from None
    kept = [f for f in listed or () if f.suffix == ".py" and f.parts[0] != ".."]
    names = {str(f.locate()): f.as_posix() for f in kept if pathlib.Path(f.locate()).is_file()}
    if not names:
        raise ValueError(
            f"data.packages: expected a distribution with .py files, but {distribution!r} lists none; "
            "write another (an editable installation lists no files)"
        )
    return names
