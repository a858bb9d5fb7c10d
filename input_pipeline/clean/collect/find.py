"""Which files a collection is made of: globs, URLs and sets of TFDS."""

import glob
import os
import pathlib
import stat
from collections import Counter
from collections.abc import Sequence

from input_pipeline import digests, files, remote, tfds
from input_pipeline.digests import Digest
from input_pipeline.files import File
from input_pipeline.progress import Progress, quiet

_TFDS = "tfds://"


def find(patterns: Sequence[str], *, cache_dir: pathlib.Path, progress: Progress = quiet) -> list[File]:
    """All files in the order of their names, which are their paths below the globs' folders, each once.

    What cannot be read is there too, with a content of no bytes, so that the ledger will name it; folders are not.

    Args:
      patterns: globs, URLs, and sets of TFDS with their split: "tfds://lm1b:1.1.0/train".

    Raises:
      ValueError: a pattern that matches nothing, a URL or set that cannot be read.
    """
    names: dict[str, str] = {}  # path -> name
    for pattern in patterns:
        if not (found := _matched(pattern, cache_dir, progress)):
            raise ValueError(f"--input: expected files, but {pattern!r} matches none in {os.getcwd()}; write a glob")
        names = found | names
    readable = sorted(filter(_is_readable, names))
    contents = dict(zip(readable, digests.of_files(readable, cache_dir=cache_dir), strict=True))
    listed = [File(name, path, contents.get(path, Digest(0, b""))) for path, name in names.items()]
    return _named_once(sorted(listed, key=lambda file: (file.name, file.content.sha256, file.path)))


def _matched(pattern: str, cache_dir: pathlib.Path, progress: Progress) -> dict[str, str]:
    if pattern.startswith(_TFDS):
        name, _, split = pattern.removeprefix(_TFDS).rpartition("/")
        found = tfds.shards(name, split=split, cache_dir=cache_dir, progress=progress)
        return {file.path: file.name for file in found}
    if remote.is_url(pattern):
        return remote.copies([pattern], cache_dir=cache_dir, progress=progress, field="--input")
    pattern = os.path.abspath(os.path.expanduser(pattern))
    root = files.plain_folder(pattern)
    paths = (path for path in glob.iglob(pattern, recursive=True, include_hidden=False) if not os.path.isdir(path))
    return {path: pathlib.PurePath(path).relative_to(root).as_posix() for path in paths}


def _is_readable(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.R_OK)
    except OSError:
        return False


def _named_once(found: Sequence[File]) -> list[File]:
    """The second file of a name is called "@2/name"."""
    met: Counter[str] = Counter()
    renamed = []
    for file in found:
        met[file.name] += 1
        count = met[file.name]
        renamed.append(file if count == 1 else file._replace(name=f"@{count}/{file.name}"))
    return sorted(renamed, key=lambda file: file.name)
