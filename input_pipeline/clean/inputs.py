"""What there is to clean: every file that globs and URLs match, with its hash; what cannot be read is listed too."""

import glob
import json
import os
import pathlib
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from input_pipeline import cache, digests, files, remote
from input_pipeline.clean import brought
from input_pipeline.progress import Progress, quiet


@dataclass(frozen=True, order=True)
class Input:
    """A file. Its identity is its name and its bytes; where it lies on this machine is not part of it."""

    name: str  # below the glob's last folder without a wildcard
    sha256: str  # in hex; "" where it cannot be read
    num_bytes: int
    path: str


def find(patterns: Sequence[str], *, cache_dir: pathlib.Path, progress: Progress = quiet) -> list[Input]:
    """All files in the order of their names; the second one of a name is called "@2/name".

    Args:
      patterns: globs, folders, URLs, and what `brought` has, such as a split of TFDS ("tfds:lm1b:1.1.0/train").

    Raises:
      ValueError: no pattern, one that matches nothing, a URL or set that cannot be read.
    """
    if not patterns:
        raise ValueError("--input: expected globs or URLs, got none; write --input='corpus/**/*.txt'")
    names: dict[str, str] = {}
    for pattern in patterns:
        names = _match(pattern, cache_dir, progress) | names
    return _named_once(sorted(_described(names, cache_dir, progress)))


def _named_once(found: Sequence[Input]) -> list[Input]:
    met: Counter[str] = Counter()
    renamed = []
    for each in found:
        met[each.name] += 1
        count = met[each.name]
        renamed.append(each if count == 1 else replace(each, name=f"@{count}/{each.name}"))
    return sorted(renamed)


def identity(inputs: Sequence[Input]) -> str:
    """A hex name for what the inputs are called and hold."""
    return cache.key(*((each.name, each.sha256) for each in inputs))


def _match(pattern: str, cache_dir: pathlib.Path, progress: Progress) -> dict[str, str]:
    """{path: name}."""
    scheme, _, rest = pattern.partition(":")
    if scheme in brought.SCHEMES and not remote.is_url(pattern):
        return brought.SCHEMES[scheme](rest, cache_dir)
    if remote.is_url(pattern):
        return remote.copies([pattern], cache_dir=cache_dir, progress=progress, field="--input")
    pattern = os.path.abspath(os.path.expanduser(pattern))
    if os.path.isdir(pattern):
        pattern = os.path.join(pattern, "**")
    root = files.plain_folder(pattern)
    paths = glob.iglob(pattern, recursive=True)
    found = {path: pathlib.PurePath(path).relative_to(root).as_posix() for path in paths if not os.path.isdir(path)}
    if not found:
        raise ValueError(
            f"--input: expected files, but {pattern!r} matches none; write a path or a glob such as 'corpus/**/*.txt'"
        )
    return found


def _described(names: dict[str, str], cache_dir: pathlib.Path, progress: Progress) -> list[Input]:
    """Only files that changed since the last call are read."""
    memory = cache_dir / "inputs" / f"{cache.key(*sorted(names))[:32]}.json"
    known = digests.recall(memory)
    fresh: dict[str, list] = {}
    for number, path in enumerate(sorted(names), start=1):
        fresh[path] = _entry(path, known.get(path))
        progress("hashing files", number, len(names))
    if fresh != known:
        with cache.replacing(memory) as file:
            file.write(json.dumps(fresh).encode())
    return [Input(names[path], sha256, num_bytes, path) for path, (num_bytes, _, sha256) in fresh.items()]


def _entry(path: str, known: list | None) -> list:
    """As `digests.entry`; no digest where it cannot be read: a dangling link, a pipe, a socket, another's file."""
    try:
        return digests.entry(path, known) if stat.S_ISREG(os.stat(path).st_mode) else [0, -1, ""]
    except OSError:
        return [0, -1, ""]
