"""Where documents come from: one constructor for each name in `SOURCES`."""

import hashlib
import importlib.metadata
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from input_pipeline import cache, checks, compression, files, synthetic, tfds
from input_pipeline.array_record import ArrayRecord
from input_pipeline.clean import dataset
from input_pipeline.documents import Documents, Parted, Source
from input_pipeline.files import File
from input_pipeline.jsonl import JsonLines
from input_pipeline.parquet import Parquet
from input_pipeline.progress import Progress, quiet
from input_pipeline.records import Format, open_records
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

    files: tuple[File, ...]

    def __len__(self) -> int:
        return len(self.files)

    def name(self, i: int) -> str:
        return self.files[i].name

    def num_bytes(self, i: int) -> int:
        return self.files[i].content.num_bytes

    def digest(self, i: int) -> bytes:
        return self.files[i].content.sha256

    def read(self, i: int) -> bytes:
        path = self.files[i].path
        text = pathlib.Path(path).read_bytes()
        if hashlib.sha256(text).digest() != self.digest(i):
            raise ValueError(f"expected {path} as it was when the run began, but it has changed; run again")
        return text


def text_files(data: "Data", *, progress: Progress) -> Source:
    """One document a file."""
    return Files(tuple(_found(data, progress)))


def packages(data: "Data", *, progress: Progress) -> Source:
    """The Python sources of installed distributions, named as in their RECORD.

    The same bytes on every machine and Python, as long as the distributions are pinned, pure wheels:
    scripts, whose first line an installer rewrites, lie outside the library folder and are left out.
    """
    if not data.packages:
        raise ValueError("data.packages: expected names of distributions, got none; write ('jax', 'optax')")
    names: dict[str, str] = {}
    for distribution in data.packages:
        names |= _python_files(distribution)
    return Files(tuple(files.ordered(names, cache_dir=cache.directory(data.cache))))


def memory(data: "Data", *, progress: Progress) -> Source:
    """The texts in `data.documents`."""
    if not data.documents:
        raise ValueError("data.documents: expected texts, got none; write ('one document', 'another')")
    return Memory(tuple(text.encode() for text in data.documents))


def made_up(data: "Data", *, progress: Progress) -> Source:
    """`data.num_documents` stories of `data.document_bytes` bytes."""
    if not (data.num_documents and data.document_bytes):
        raise ValueError(
            f"data.num_documents and data.document_bytes: expected 1 or more for source 'synthetic', got "
            f"{data.num_documents} and {data.document_bytes}; write 1000 and 2000"
        )
    return Synthetic(data.num_documents, data.document_bytes)


def json_lines(data: "Data", *, progress: Progress) -> Source:
    """The lines of JSONL files, plain or compressed."""
    found = compression.plain(_found(data, progress), cache_dir=cache.directory(data.cache), progress=progress)
    return _records(JsonLines(data.field), found, data, progress)


def parquet_rows(data: "Data", *, progress: Progress) -> Source:
    """The rows of Parquet files."""
    return _records(Parquet(data.field), _found(data, progress), data, progress)


def array_records(data: "Data", *, progress: Progress) -> Source:
    """The records of ArrayRecord files."""
    return _records(ArrayRecord(data.field), _found(data, progress), data, progress)


def tfds_set(data: "Data", *, progress: Progress) -> Source:
    """A split of a set of TensorFlow Datasets."""
    format, found = tfds.find(
        data.tfds,
        directory=data.tfds_dir,
        split=data.tfds_split,
        field=data.field,
        cache_dir=cache.directory(data.cache),
        progress=progress,
    )
    return _records(format, found, data, progress)


def cleaned(data: "Data", *, progress: Progress) -> Source:
    """The splits of a cleaned dataset, which is made now if `data.clean` says how."""
    found = dataset.find(data, progress=progress)
    format = CLEANED[found.format](data.field)
    parts = [_records(format, members, data, progress) for members in found.parts.values()]
    return Parted(tuple(found.parts), tuple(parts), found.account)


# How the text of a cleaned dataset is read, by the format that it was written in.
CLEANED: dict[str, Callable[[str], Format]] = {"jsonl": JsonLines, "parquet": Parquet, "array_record": ArrayRecord}

SOURCES: dict[str, Callable[..., Source]] = {
    "files": text_files,
    "jsonl": json_lines,
    "parquet": parquet_rows,
    "array_record": array_records,
    "tfds": tfds_set,
    "packages": packages,
    "memory": memory,
    "synthetic": made_up,
    "cleaned": cleaned,
}


def open_source(data: "Data", *, progress: Progress = quiet) -> Source:
    """The source that the spec names, whole. `progress` hears of downloads and of files that are read through.

    Raises:
      ValueError: nothing is there, or too much of it is bad, or it is not what `data.fingerprint` says.
    """
    source = checks.source(data.source, SOURCES)(data, progress=progress)
    if data.fingerprint and source.fingerprint() != data.fingerprint:
        raise ValueError(
            f"data.fingerprint: expected {data.fingerprint}, but this text has {source.fingerprint()}; "
            "--config.data.fingerprint='' accepts it"
        )
    return source


def _found(data: "Data", progress: Progress) -> list[File]:
    return files.find(data.files, cache_dir=cache.directory(data.cache), progress=progress)


def _records(format: Format, found: Sequence[File], data: "Data", progress: Progress) -> Source:
    return open_records(
        format,
        found,
        max_bad=data.max_bad,
        cache_dir=cache.directory(data.cache),
        num_workers=data.prepare_workers,
        progress=progress,
    )


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
