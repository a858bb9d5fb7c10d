"""Compressed files, written out once: what is read at random must lie plain.

plain/<key>    the bytes of one compressed file
"""

import bz2
import gzip
import lzma
import pathlib
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from input_pipeline import cache
from input_pipeline.files import File
from input_pipeline.progress import Progress, quiet

_CHUNK_BYTES = 1 << 16
_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError)


def _zstd(path: str) -> Any:
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.OSFile(path), "zstd")


# Suffix -> what reads such a file; all of them are closed by `with`.
OPENERS: dict[str, Callable[[str], AbstractContextManager[Any]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _zstd,
}
UNKNOWN = (".zip", ".7z", ".lz4", ".br", ".tar", ".tgz", ".rar", ".Z")


def plain(files: Sequence[File], *, cache_dir: pathlib.Path, progress: Progress = quiet) -> list[File]:
    """The same files, with the paths of plain copies where they are compressed, by their suffix.

    A damaged file keeps what can be read of it, and gets a last line that says so.

    Raises:
      ValueError: a compression that is not known.
    """
    compressed = sum(file.content.num_bytes for file in files if _suffix(file) in OPENERS)
    found, done = [], 0
    for file in files:
        if _suffix(file) in UNKNOWN:
            raise ValueError(
                f"data.files: expected plain files, or {', '.join(OPENERS)}, got {file.path}; unpack it first"
            )
        if _suffix(file) in OPENERS:
            copy = cache_dir / "plain" / cache.key("plain 1", file.content.sha256.hex())[:32]
            _expand(file, copy)
            done += file.content.num_bytes
            progress("decompressing (bytes)", done, compressed)
            file = file._replace(path=str(copy))
        found.append(file)
    return found


def _suffix(file: File) -> str:
    return pathlib.PurePath(file.path).suffix


def _expand(file: File, copy: pathlib.Path) -> None:
    with cache.locked(copy.with_suffix(".lock")):
        if copy.is_file():
            return
        with cache.replacing(copy) as draft:
            try:
                with OPENERS[_suffix(file)](file.path) as source:
                    # What came before a fault is kept: `read1` never reads on once it has something.
                    while chunk := source.read1(_CHUNK_BYTES):
                        draft.write(chunk)
            except _DAMAGE as error:
                draft.write(f"\ndamaged {_suffix(file)} file, what follows is lost: {error}\n".encode())
