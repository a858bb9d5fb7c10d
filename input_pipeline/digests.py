"""SHA-256 of many files, remembered between runs by path, size and time of change."""

import hashlib
import json
import os
import pathlib
import time
from collections.abc import Sequence
from typing import NamedTuple

from input_pipeline import cache

# A file changed this recently may change again within one tick of its clock: hash it again next time.
SETTLED_NS = 2_000_000_000


class Digest(NamedTuple):
    """What a file held when it was hashed."""

    num_bytes: int
    sha256: bytes


def of_files(paths: Sequence[str], *, cache_dir: pathlib.Path) -> list[Digest]:
    """The digest of each file, in order; only files that changed since the last call are read.

    Raises:
      OSError: a file is not there, or may not be read.
    """
    memory = cache_dir / "digests" / f"{cache.key(*paths)[:32]}.json"
    known = recall(memory)
    fresh = {path: entry(path, known.get(path)) for path in paths}
    if fresh != known:
        with cache.replacing(memory) as file:
            file.write(json.dumps(fresh).encode())
    return [Digest(fresh[path][0], bytes.fromhex(fresh[path][2])) for path in paths]


def entry(path: str, known: list | None) -> list:
    """What is remembered of a file: [bytes, mtime in ns or -1 where it cannot be trusted, hex digest]."""
    status = os.stat(path)
    if known and known[:2] == [status.st_size, status.st_mtime_ns]:
        return known
    settled = time.time_ns() - status.st_mtime_ns > SETTLED_NS
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        num_bytes = file.tell()
    return [num_bytes, status.st_mtime_ns if settled else -1, digest]


def recall(memory: pathlib.Path) -> dict[str, list]:
    """What is remembered; nothing, where the file is missing or spoilt: it can be made again."""
    try:
        return json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
