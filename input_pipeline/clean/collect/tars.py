"""Tar archives, read from front to back. Nothing is ever written anywhere.

Own reading of the headers in place of the standard library's, which holds extended ones in memory whatever they say of
their size, keeps a list of all members, and ends at the first damaged header.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from input_pipeline.clean.collect.content import CHUNK_BYTES, Content, Refused
from input_pipeline.clean.collect.members import Names
from input_pipeline.clean.record import Entry

_BLOCK = tarfile.BLOCKSIZE
_MAX_EXTENDED = 1 << 20  # bytes of a long name or of extended headers
_MAX_SIZE = 1 << 62
_ENCODING = ("utf-8", "surrogateescape")
_NO_FILES = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a FIFO",
}
_QUIET = (tarfile.DIRTYPE, tarfile.XGLTYPE, b"V", b"M")  # folders, headers for all, volume labels: they hold no file


@dataclass
class _Extended:
    """What headers before a header say of its member."""

    name: str = ""
    records: dict[str, str] = field(default_factory=dict)


def members(content: Content) -> Iterator[Content | Entry]:
    """The files of an archive, each to be read before the next. After a damaged header, the next sound one counts."""
    names, extended, lost = Names(content), _Extended(), False
    while block := content.stream.read(_BLOCK):
        if not block.strip(b"\0"):
            continue
        try:
            told = tarfile.TarInfo.frombuf(block, *_ENCODING)
            if not 0 <= told.size < _MAX_SIZE:
                raise ValueError(f"a size of {told.size}")
        except (tarfile.HeaderError, ValueError) as error:
            if not lost and not content.fault:
                yield Refused("tar_header", str(error)[:200], "a sound header").entry(content.name)
            lost, extended = True, _Extended()
            continue
        lost = False
        if told.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            yield from _extend(content, told, extended)
            continue
        yield from _member(content, told, extended, names)
        extended = _Extended()


def _extend(content: Content, told: tarfile.TarInfo, extended: _Extended) -> Iterator[Entry]:
    window = _Window(content, told.size)
    if told.size > _MAX_EXTENDED:
        yield Refused("tar_header", told.size, _MAX_EXTENDED).entry(content.name)
    else:
        raw = content.stream.read(told.size)
        window.left -= len(raw)
        if window.left and not content.fault:
            yield _cut(window.left).entry(content.name)
        if told.type == tarfile.GNUTYPE_LONGNAME:
            extended.name = raw.rstrip(b"\0").decode(*_ENCODING)
        elif told.type != tarfile.GNUTYPE_LONGLINK:
            extended.records |= _pax(raw)
    window.close()


def _pax(raw: bytes) -> dict[str, str]:
    """The records "length key=value" of an extended header, up to the first that makes no sense. POSIX.1-2017, pax."""
    records: dict[str, str] = {}
    while raw:
        length, _, _ = raw[:20].partition(b" ")
        if not length.isdigit() or not len(length) + 3 < int(length) <= len(raw):
            break
        key, found, value = raw[len(length) + 1 : int(length) - 1].partition(b"=")
        if not found:
            break
        records[key.decode(*_ENCODING)] = value.decode(*_ENCODING)
        raw = raw[int(length) :]
    return records


def _member(content: Content, told: tarfile.TarInfo, extended: _Extended, names: Names) -> Iterator[Content | Entry]:
    size = extended.records.get("size", "")
    window = _Window(content, int(size) if size.isdigit() and len(size) < 20 else told.size)
    name = extended.records.get("path") or extended.name or told.name
    try:
        if told.type in _NO_FILES:
            window = _Window(content, 0)
            raise Refused("member_type", _NO_FILES[told.type], "a file")
        if told.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in extended.records):
            raise Refused("member_type", "a sparse file", "a file")
        if told.type not in _QUIET:
            member = content.inside(window.read, name=names.id(name), form=name, size=window.left)
            yield member
            if (lost := window.skip()) and not (member.fault or content.fault):
                yield _cut(lost).entry(member.name)
    except Refused as refused:
        yield refused.entry(names.refused(name))
    window.close()


class _Window:
    """The bytes of one member."""

    def __init__(self, content: Content, size: int) -> None:
        self._content, self.left = content, size
        self._padding = -size % _BLOCK

    def read(self, num_bytes: int) -> bytes:
        """Raises EOFError where the archive ends within the member."""
        raw = self._content.stream.read1(min(num_bytes, self.left))
        if self.left and not raw:
            raise EOFError(f"the archive ends {self.left} bytes before it does")
        self.left -= len(raw)
        return raw

    def skip(self) -> int:
        """Goes on to the end of the member. -> bytes that the archive lacks."""
        while self.left and (raw := self._content.stream.read1(min(CHUNK_BYTES, self.left))):
            self.left -= len(raw)
        return self.left

    def close(self) -> None:
        """Goes on to the next header."""
        self.skip()
        self.left += self._padding
        self.skip()


def _cut(num_bytes: int) -> Refused:
    return Refused("truncated", f"the archive ends {num_bytes} bytes before its member does")
