"""WARC files (ISO 28500:2017; https://iipc.github.io/warc-specifications/): pages, and text that was taken from pages.

Own reading on a stream with limits: what a record says of its length is held against where the next one begins, and
after a false one reading goes on there.
"""

import io
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from input_pipeline.clean.collect import charset, headers
from input_pipeline.clean.collect.content import CHUNK_BYTES, Content, Refused
from input_pipeline.clean.collect.headers import Headers
from input_pipeline.clean.collect.text import document
from input_pipeline.clean.record import Entry, Record

_MAX_LINE = 1 << 16  # bytes of one line of headers; of all of them, headers.MAX_BYTES
_DOCUMENTS = ("response", "resource", "conversion")  # the kinds that hold what a page said
_FORMATS = {"text/html": "html", "application/xhtml+xml": "html", "text/plain": "", "": ""}
_BEGIN, _BETWEEN = b"WARC/", b"\r\n\r\nWARC/1."


def read(content: Content) -> Iterator[Record | Entry]:
    """Documents, named by the numbers of their records from 0; requests, metadata and their like are passed over."""
    source = _Source(content)
    number = -1
    while found := source.next():
        number += 1
        id = f"{content.name}#{number}"
        try:
            if isinstance(found, Refused):
                raise found
            if found.told.word(b"warc-type") in _DOCUMENTS:
                yield from _document(found, id, content.spec.max_record_bytes)
        except Refused as refused:
            yield refused.entry(id)


class _Found(NamedTuple):
    """A record of WARC."""

    told: Headers
    body: bytes


class _Source:
    """Records in their order, or why one is none."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._again = io.BytesIO()  # bytes to be read once more
        self._left = content.spec.max_record_bytes  # that may be
        self._lost = False  # whether what comes belongs to no record

    def next(self) -> "_Found | Refused | None":
        """None at the end, or where a fault has cut a record short."""
        while line := self._line():
            if line.startswith(_BEGIN):
                self._lost = False
                return self._record()
            if line.strip() and not self._lost:
                self._lost = True
                return Refused("warc", line[:40].decode("utf-8", "replace"), "WARC/1.x")
        return None

    def _record(self) -> "_Found | Refused | None":
        raw, is_whole = self._headers()
        if not is_whole:
            self._lost = True
            if len(raw) > headers.MAX_BYTES:
                return Refused("header_bytes", f"more than {headers.MAX_BYTES}", headers.MAX_BYTES)
            return None if self._content.fault else Refused("warc", "the end within headers", "a record")
        told = headers.parse(raw)
        length = told.word(b"content-length")
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            self._lost = True
            return Refused("warc_length", length[:40], "a whole number")
        limit, is_wanted = self._content.spec.max_record_bytes, told.word(b"warc-type") in _DOCUMENTS
        if int(length) > limit:
            return self._skip(int(length), is_wanted)
        body = self._read(int(length))
        if len(body) < int(length):
            return None if self._content.fault else self._false(body, length)
        return _Found(told, body) if self._ends() else self._false(body, length)

    def _headers(self) -> tuple[bytes, bool]:
        """Lines up to a blank one, which is not among them, and whether it came before they were too long."""
        lines, total = [], 0
        while (line := self._line()).strip() and total <= headers.MAX_BYTES:
            total += len(line)
            lines.append(line)
        return b"".join(lines), bool(line) and total <= headers.MAX_BYTES

    def _skip(self, length: int, is_wanted: bool) -> "_Found | Refused | None":
        left = length
        while left and (raw := self._read(min(left, CHUNK_BYTES))):
            left -= len(raw)
        if left and not self._content.fault:
            return Refused("warc_length", length, length - left)
        return Refused("record_bytes", length, self._content.spec.max_record_bytes) if is_wanted else self.next()

    def _ends(self) -> bool:
        """Whether a record ends here: with two empty lines, or with one before the next record or the end."""
        first = self._line()
        second = b"" if first.strip() else self._line()
        if first.strip() or (second.strip() and not second.startswith(_BEGIN)):
            self._push(first + second)
            return False
        self._push(second if second.strip() else b"")
        return True

    def _false(self, body: bytes, length: str) -> Refused:
        """A length that is not the record's: what it took of the next records is read again."""
        place = body.find(_BETWEEN)
        if place >= 0 and self._left >= len(body) - place:
            self._left -= len(body) - place
            self._push(body[place:])
        self._lost = True
        return Refused("warc_length", int(length), place if place >= 0 else "the record's own")

    def _push(self, raw: bytes) -> None:
        self._again = io.BytesIO(raw + self._again.read())

    def _line(self) -> bytes:
        line = self._again.readline(_MAX_LINE)
        if line.endswith(b"\n") or len(line) == _MAX_LINE:
            return line
        return line + self._content.stream.readline(_MAX_LINE - len(line))

    def _read(self, num_bytes: int) -> bytes:
        raw = self._again.read(num_bytes)
        return raw + self._content.stream.read(num_bytes - len(raw)) if len(raw) < num_bytes else raw


def _document(found: _Found, id: str, limit: int) -> Iterator[Record | Entry]:
    told, body = found.told, found.body
    if told.word(b"content-type") == "application/http":
        told_http, body = _http(body, limit)
    else:
        told_http = told
    kind, declared, _ = told_http.content_type()
    if kind not in _FORMATS:
        raise Refused("content_type", kind[:80], "text/html or text/plain")
    if not body:
        raise Refused("empty", 0)
    declared = declared or (charset.declared_in_html(body) if _FORMATS[kind] else "")
    fields = {"url": told.text(b"warc-target-uri"), "date": told.text(b"warc-date")}
    if _FORMATS[kind]:
        fields["format"] = _FORMATS[kind]
    yield from document(id, *charset.decode(body, declared=declared), **fields)


def _http(raw: bytes, limit: int) -> tuple[Headers, bytes]:
    """The headers and the decoded body of an answer. RFC 9112."""
    status, _, _ = raw.partition(b"\n")
    code = status.split()[1:2]
    if not status.startswith(b"HTTP/") or not code:
        raise Refused("http", status[:40].decode("utf-8", "replace"), "HTTP/1.1 200")
    if not code[0].startswith(b"2"):
        raise Refused("http_status", code[0][:10].decode("utf-8", "replace"), "200 to 299")
    told = headers.parse(raw, len(status) + 1)
    body = raw[told.body :]
    if told.word(b"transfer-encoding") == "chunked":
        body = _joined(body)
    return told, _unpacked(body, told.word(b"content-encoding"), limit)


def _joined(raw: bytes) -> bytes:
    """A chunked body in one piece, as far as it goes; as it is where crawlers have joined it before. Section 7.1."""
    pieces, place = [], 0
    while (end := raw.find(b"\n", place, place + 1_000)) >= 0:
        digits = raw[place:end].partition(b";")[0].strip()
        if not digits or len(digits) > 8 or digits.translate(None, b"0123456789abcdefABCDEF"):
            break
        if not (size := int(digits, 16)):
            break
        pieces.append(raw[end + 1 : end + 1 + size])
        place = end + 1 + size + (2 if raw.startswith(b"\r\n", end + 1 + size) else 1)
    return b"".join(pieces) if pieces else raw


def _unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("", "identity", "none", "utf-8"):
        return raw
    if encoding in ("gzip", "x-gzip", "deflate"):
        if not raw.startswith(b"\x1f\x8b") and encoding != "deflate":  # unpacked before
            return raw
        try:
            unpacked = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, limit + 1)
        except zlib.error as error:
            raise Refused("damaged", str(error)[:200]) from None
        if len(unpacked) > limit:
            raise Refused("record_bytes", f"more than {limit}", limit)
        return unpacked
    raise Refused("content_encoding", encoding[:40], "gzip or deflate")
