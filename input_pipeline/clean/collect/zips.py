"""Zip archives: PKWARE's APPNOTE 6.3.10 (https://support.pkware.com/pkzip/appnote). Nothing is ever written anywhere.

Own reading in place of the standard library's, which holds a whole directory in memory whatever its size, and reads
nothing of an archive that was cut short: there, the headers before each member tell what they can.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from input_pipeline.clean.collect.content import CHUNK_BYTES, Content, Refused
from input_pipeline.clean.collect.members import Names
from input_pipeline.clean.record import Entry

_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7: magic, version, flags, method, time, date, crc, packed, size, name, extra
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # 4.3.12: the same with a version before, and four numbers and a place after
_END = struct.Struct("<4s4H2LH")  # 4.3.16
_LOCATOR, _END_64 = struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")  # 4.3.15, 4.3.14
_ALL_32, _ALL_16 = 0xFFFFFFFF, 0xFFFF  # stand for numbers that lie elsewhere
_ENCRYPTED, _SIZES_FOLLOW, _UTF_8 = 1 << 0, 1 << 3, 1 << 11  # bits of flags
_STORED, _DEFLATED = 0, 8
_MAX_COMMENT = 1 << 16


class _Member(NamedTuple):
    name: str
    flags: int
    method: int
    crc: int
    packed: int  # bytes; -1 where nobody told
    size: int
    offset: int  # of its local header


def members(content: Content) -> Iterator[Content | Entry]:
    """The files of an archive, by its directory; by their own headers where that is lost."""
    names = Names(content)
    with content.file() as file:
        try:
            begin, end, shift = _directory(file)
            found = _by_directory(file, begin, end, shift)
        except Refused as refused:
            yield refused.entry(content.name)
            found = _by_headers(file)
        try:
            for member in found:
                yield from _open(content, file, member, names)
        except Refused as refused:
            yield refused.entry(content.name)


def _open(content: Content, file: IO[bytes], member: _Member, names: Names) -> Iterator[Content | Entry]:
    if member.name.endswith("/") and not member.size:
        return
    try:
        if member.flags & _ENCRYPTED:
            raise Refused("encrypted", "encrypted", "a plain member")
        unpacking = _Unpacking(file, member, _begin(file, member))
        yield content.inside(
            unpacking.read, name=names.id(member.name), form=member.name, packed=lambda: unpacking.taken
        )
    except Refused as refused:
        yield refused.entry(names.refused(member.name))


def _directory(file: IO[bytes]) -> tuple[int, int, int]:
    """Where the directory begins and ends, and how many bytes stand before the archive."""
    size = file.seek(0, 2)
    base = max(0, size - _END.size - _MAX_COMMENT)
    file.seek(base)
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0 or place + _END.size > len(tail):
        raise Refused("zip_directory", "none", "a directory at the end")
    *_, num_bytes, offset, _ = _END.unpack_from(tail, place)
    end = base + place
    if _ALL_32 in (num_bytes, offset) or tail[max(0, place - _LOCATOR.size) :].startswith(b"PK\6\7"):
        num_bytes, offset, end = _directory_64(file, end)
    shift = end - num_bytes - offset
    if shift < 0:
        raise Refused("zip_directory", f"{num_bytes} bytes at {offset}", f"before {end}")
    return offset + shift, end, shift


def _directory_64(file: IO[bytes], end: int) -> tuple[int, int, int]:
    file.seek(max(0, end - _LOCATOR.size))
    raw = file.read(_LOCATOR.size)
    if not raw.startswith(b"PK\6\7"):
        raise Refused("zip_directory", "no locator", "that of zip64")
    _, _, place, _ = _LOCATOR.unpack(raw)
    file.seek(min(place, end))
    raw = file.read(_END_64.size)
    if not raw.startswith(b"PK\6\6") or len(raw) < _END_64.size:
        raise Refused("zip_directory", "no end", "that of zip64")
    *_, num_bytes, offset = _END_64.unpack(raw)
    return num_bytes, offset, place


def _by_directory(file: IO[bytes], place: int, end: int, shift: int) -> Iterator[_Member]:
    while place < end:
        file.seek(place)
        raw = file.read(_CENTRAL.size)
        if not raw.startswith(b"PK\1\2") or len(raw) < _CENTRAL.size:
            raise Refused("zip_directory", f"damaged {end - place} bytes before its end", "a sound directory")
        _, _, _, flags, method, _, _, crc, packed, size, name, extra, comment, _, _, _, offset = _CENTRAL.unpack(raw)
        named, more = file.read(name), file.read(extra)
        size, packed, offset = _numbers_64(more, [size, packed, offset])
        place += _CENTRAL.size + name + extra + comment
        yield _Member(_decoded(named, flags), flags, method, crc, packed, size, offset + shift)


def _by_headers(file: IO[bytes]) -> Iterator[_Member]:
    place = 0
    while (place := _next_header(file, place)) >= 0:
        file.seek(place)
        raw = file.read(_LOCAL.size)
        if len(raw) < _LOCAL.size:
            return
        _, _, flags, method, _, _, crc, packed, size, name, extra = _LOCAL.unpack(raw)
        named, more = file.read(name), file.read(extra)
        size, packed = _numbers_64(more, [size, packed])
        told = not flags & _SIZES_FOLLOW
        yield _Member(_decoded(named, flags), flags, method, crc, packed if told else -1, size, place)
        place += _LOCAL.size + name + extra + (packed if told else 0)


def _next_header(file: IO[bytes], place: int) -> int:
    """Where the next local header begins, or -1."""
    while True:
        file.seek(place)
        piece = file.read(CHUNK_BYTES)
        if (found := piece.find(b"PK\3\4")) >= 0:
            return place + found
        if len(piece) < CHUNK_BYTES:
            return -1
        place += CHUNK_BYTES - 3


def _numbers_64(extra: bytes, numbers: list[int]) -> list[int]:
    """The numbers, each that stands for a greater one replaced by it: 4.5.3."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            greater = iter(struct.unpack_from(f"<{min(length, len(extra) - 4) // 8}Q", extra, 4))
            return [next(greater, number) if number == _ALL_32 else number for number in numbers]
        extra = extra[4 + length :]
    return numbers


def _decoded(name: bytes, flags: int) -> str:
    """UTF-8 where it is flagged, or where it happens to be; else code page 437, as in D.1."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("utf-8", "surrogateescape") if flags & _UTF_8 else name.decode("cp437")


def _begin(file: IO[bytes], member: _Member) -> int:
    """Where a member's bytes begin."""
    file.seek(member.offset)
    raw = file.read(_LOCAL.size)
    if not raw.startswith(b"PK\3\4") or len(raw) < _LOCAL.size:
        raise Refused("zip_member", "no header", f"one at byte {member.offset}")
    *_, name, extra = _LOCAL.unpack(raw)
    return member.offset + _LOCAL.size + name + extra


class _Unpacking:
    """The bytes of one member, from the place where they lie."""

    def __init__(self, file: IO[bytes], member: _Member, begin: int) -> None:
        if member.method not in (_STORED, _DEFLATED):
            raise Refused("zip_method", member.method, "0 (stored) or 8 (deflated)")
        if member.method == _STORED and member.packed < 0:
            raise Refused("zip_member", "no size", "its size")
        self._file, self._member, self._place = file, member, begin
        self.taken, self._size, self._crc = 0, 0, 0
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None

    def read(self, num_bytes: int) -> bytes:
        """Raises EOFError or zlib.error where it is cut short or damaged, and ValueError where its sum is wrong."""
        raw = self._pull(num_bytes) if self._inflate is None else self._inflated(num_bytes)
        self._size, self._crc = self._size + len(raw), zlib.crc32(raw, self._crc)
        if not raw and self._member.packed >= 0 and (self._size, self._crc) != (self._member.size, self._member.crc):
            raise ValueError(f"expected {self._member.size} bytes of sum {self._member.crc:08x}, got {self._crc:08x}")
        return raw

    def _inflated(self, num_bytes: int) -> bytes:
        assert self._inflate
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._pull(CHUNK_BYTES)
            if raw := self._inflate.decompress(packed, num_bytes):
                return raw
            if not packed:
                raise EOFError("the member ends too early")
        return b""

    def _pull(self, num_bytes: int) -> bytes:
        """Packed bytes; the file may have been read elsewhere meanwhile."""
        if self._member.packed >= 0:
            num_bytes = min(num_bytes, self._member.packed - self.taken)
        self._file.seek(self._place)
        raw = self._file.read(num_bytes)
        if not raw and self.taken < self._member.packed:
            raise EOFError("the archive ends within the member")
        self._place += len(raw)
        self.taken += len(raw)
        return raw
