"""Which files a source reads: globs on this machine, or URLs, whose files are copied here first."""

import glob
import itertools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from input_pipeline import digests, remote
from input_pipeline.digests import Digest
from input_pipeline.progress import Progress, quiet


class File(NamedTuple):
    """A file on this machine, what it is called on every machine, and what it held when it was opened."""

    name: str
    path: str
    content: Digest


def find(patterns: Sequence[str], *, cache_dir: pathlib.Path, progress: Progress = quiet) -> list[File]:
    """All files that the globs and URLs match, named by their path below the glob's last folder without a wildcard.

    Raises:
      ValueError: a glob that matches nothing, a URL that cannot be read.
    """
    if not patterns:
        raise ValueError("data.files: expected globs, got none; write --config.data.files='corpus/**/*.txt'")
    names: dict[str, str] = {}  # path -> name
    for pattern in patterns:
        if remote.is_url(pattern):
            found = remote.copies([pattern], cache_dir=cache_dir, progress=progress)
        else:
            found = _match(pattern)
        if not found:
            raise ValueError(
                f"data.files: expected files, but {pattern!r} matches none in {os.getcwd()}; "
                "write a path or a glob such as 'corpus/**/*.txt'"
            )
        names = found | names
    return ordered(names, cache_dir=cache_dir)


def ordered(names: Mapping[str, str], *, cache_dir: pathlib.Path) -> list[File]:
    """Files, given as {path: name}, in the order of their names, and of their contents where two have one name."""
    paths = sorted(names)
    contents = digests.of_files(paths, cache_dir=cache_dir)
    found = (File(names[path], path, content) for path, content in zip(paths, contents, strict=True))
    return sorted(found, key=lambda file: (file.name, file.content.sha256))


def _match(pattern: str) -> dict[str, str]:
    """{absolute path: name} of the files that a glob matches."""
    pattern = os.path.abspath(os.path.expanduser(pattern))
    root = plain_folder(pattern)
    found = filter(os.path.isfile, glob.iglob(pattern, recursive=True))
    return {path: pathlib.PurePath(path).relative_to(root).as_posix() for path in found}


def plain_folder(pattern: str) -> pathlib.PurePath:
    """The last folder of a glob that comes before any wildcard."""
    *folders, _ = pathlib.PurePath(pattern).parts
    return pathlib.PurePath(*itertools.takewhile(lambda part: not glob.has_magic(part), folders))
