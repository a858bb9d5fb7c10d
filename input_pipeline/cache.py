"""Files that can be made again: where they live, how they are named, how they are written.

A name is the hash of everything that the content depends on, so a cached file is never stale, only absent.
A file appears under its final name complete or not at all, whatever kills the writer.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
import re
import uuid
from collections.abc import Iterator
from typing import IO

from input_pipeline.progress import Progress, quiet

# array_record's RuntimeError, and numpy's OSError, which has no errno.
_FULL = re.compile(r"No space left on device|^\d+ requested and \d+ written$")


def directory(configured: str = "") -> pathlib.Path:
    """The caches' folder: the configured one, else $XDG_CACHE_HOME/meshwright or ~/.cache/meshwright."""
    if configured:
        return pathlib.Path(configured).expanduser()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(home).expanduser() / "meshwright"


def key(*parts: object) -> str:
    """A hex name of 64 digits for these parts; no two lists of parts share a spelling."""
    return hashlib.sha256(repr(tuple(map(str, parts))).encode("utf-8", "surrogateescape")).hexdigest()


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """Write here, and `path` holds all of it afterwards; fail, and `path` is untouched.

    Raises:
      OSError: among others ENOSPC, with the path, also where a library tells of a full disk in words alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(draft, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        _sync_directory(path.parent)
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _FULL.search(str(error)):
            raise OSError(errno.ENOSPC, "no room is left on the disk", str(path)) from error
        raise
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: pathlib.Path, *, progress: Progress = quiet) -> Iterator[None]:
    """Hold `path` alone; the kernel lets go when the holder dies. The file system must know flock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another process that holds {path}", 0, 1)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sync_directory(path: pathlib.Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
