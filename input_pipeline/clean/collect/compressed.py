"""Compressed files: each holds one other, and keeps its name."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator

from input_pipeline.clean.collect import formats
from input_pipeline.clean.collect.content import CHUNK_BYTES, Content, changed
from input_pipeline.clean.record import Entry

XZ_MEMORY = 256 << 20  # bytes; xz -9 asks for 65 MiB, a hostile file for 4 GiB
_NO_STREAM = ("Not a gzipped file", "Input format not supported")  # errors where a stream would have to begin


def _gzip(stream: io.BufferedReader) -> Callable[[int], bytes]:
    return gzip.GzipFile(fileobj=stream).read1


def _bzip2(stream: io.BufferedReader) -> Callable[[int], bytes]:
    return bz2.BZ2File(stream).read1


def _xz(stream: io.BufferedReader) -> Callable[[int], bytes]:
    return _Xz(stream).read


def _zstandard(stream: io.BufferedReader) -> Callable[[int], bytes]:
    import pyarrow

    return pyarrow.CompressedInputStream(stream, "zstd").read


# Kind -> from packed bytes to a function that reads unpacked ones: some, b"" at the end, an error for damage.
OPENERS: dict[str, Callable[[io.BufferedReader], Callable[[int], bytes]]] = {
    "gz": _gzip,
    "bz2": _bzip2,
    "xz": _xz,
    "zst": _zstandard,
}


def members(content: Content, *, kind: str) -> Iterator[Content | Entry]:
    """The one file that a compressed file holds. Of several streams in a row, all are read."""
    unpack = OPENERS[kind](content.stream)
    trailing = ""

    def read(num_bytes: int) -> bytes:
        nonlocal trailing
        try:
            return b"" if trailing else unpack(num_bytes)
        except (gzip.BadGzipFile, lzma.LZMAError) as error:
            if not inner.count or not str(error).startswith(_NO_STREAM):
                raise
            trailing = str(error)
            return b""

    inner = content.inside(read, name=content.name, form=formats.unpacked(content.form), packed=lambda: content.count)
    yield inner
    if trailing:  # after the last sound stream
        yield changed(content.name, "trailing", trailing[:200], "the end of the file")


class _Xz:
    """Streams of xz in a row, within XZ_MEMORY, which the standard library's file cannot be told."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._decompressor = self._new()

    def _new(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def read(self, num_bytes: int) -> bytes:
        """Raises EOFError where a stream is cut short, and LZMAError where it is damaged or asks for too much."""
        while True:
            if self._decompressor.eof:
                rest = self._decompressor.unused_data.lstrip(b"\0") or self._stream.read1(CHUNK_BYTES).lstrip(b"\0")
                if not rest:
                    return b""
                self._decompressor = self._new()
            elif self._decompressor.needs_input:
                rest = self._stream.read1(CHUNK_BYTES)
                if not rest:
                    raise EOFError("the stream ends too early")
            else:
                rest = b""
            if raw := self._decompressor.decompress(rest, num_bytes):
                return raw
