"""Mails: RFC 822 messages, one a file or many in an mbox. The text is the best part of the body.

Own code in place of the standard library's parser: its time and its recursion grow with what a hostile message nests,
some malformed headers make it raise, and it builds every part and header where three headers and one part are wanted.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from input_pipeline.clean.collect import charset, headers
from input_pipeline.clean.collect.content import Content, Refused, changed
from input_pipeline.clean.collect.headers import Headers
from input_pipeline.clean.record import CHANGED, Entry, Record

MAX_DEPTH, MAX_PARTS = 32, 1_000  # of a message
_FIELDS = (b"subject", b"date", b"from")
_PREFERRED = ("text/plain", "text/html", "text/")  # what may be a body, the best first
# A line that begins a message, and holds a time: RFC 4155, with looser writers in mind.
_FROM = re.compile(rb"From [^\n]*\d:\d\d")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)  # as mboxrd quotes what only looks like one
_RETURN, _NEWLINE = b"\r\n"
_DELIMITER_END = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\Z)")


def read_mail(content: Content) -> Iterator[Record | Entry]:
    """One message a file; the line that a mailbox put before it is no part of it."""
    yield from _message(content.whole(), content.name)


def read_mbox(content: Content) -> Iterator[Record | Entry]:
    """The messages, numbered from 0. What stands before the first line of "From " is one too."""
    for number, raw in enumerate(_messages(content)):
        id = f"{content.name}#{number}"
        try:
            if isinstance(raw, Refused):
                raise raw
            yield from _message(_QUOTED_FROM.sub(rb"\1", raw), id)
        except Refused as refused:
            yield refused.entry(id)


def _messages(content: Content) -> Iterator[bytes | Refused]:
    """Each message, or why it is none; one that is too long is not kept. What a fault has cut short is left out."""
    limit = content.spec.max_record_bytes
    pieces: list[bytes] = []
    total, blank = 0, True
    while line := content.stream.readline(limit):
        if blank and total and line.startswith(b"From ") and _FROM.match(line):
            yield b"".join(pieces) if total <= limit else Refused("record_bytes", total, limit)
            pieces, total = [], 0
        total += len(line)
        if total <= limit:
            pieces.append(line)
        else:
            pieces.clear()
        blank = line in (b"\n", b"\r\n")
    if total > limit:
        yield Refused("record_bytes", total, limit)
    elif not content.fault:
        yield b"".join(pieces) if total else Refused("empty", 0)


def _message(raw: bytes, id: str) -> Iterator[Record | Entry]:
    told = headers.parse(raw)
    if not told.values:
        raise Refused("mail", raw[:40].decode("utf-8", "replace"), "lines of headers")
    search = _Search(raw)
    search.look(told, len(raw), depth=0)
    if search.beyond:
        yield search.beyond.entry(id, action=CHANGED)
    kind, text, encoding = search.best()
    if encoding != "utf-8":
        yield changed(id, "encoding", encoding, "utf-8")
    fields = {name.decode(): told.text(name) for name in _FIELDS}
    yield Record(id, text, fields=fields | ({"format": "html"} if kind == "text/html" else {}))


class _Part(NamedTuple):
    """A part that may be the body, the better the smaller."""

    preference: int
    place: int
    kind: str
    charset: str
    transfer: str
    begin: int
    end: int


@dataclass
class _Search:
    """Looks for the body among the parts of a message, as RFC 2046, section 5.1 nests them."""

    raw: bytes
    parts: list[_Part] = field(default_factory=list)
    num_parts: int = 0
    others: set[str] = field(default_factory=set)
    beyond: Refused | None = None  # the limit that ended it

    def look(self, told: Headers, end: int, *, depth: int) -> None:
        """At one part that ends there, and at those that it holds."""
        self.num_parts += 1
        kind, declared, boundary = told.content_type()
        if told.word(b"content-disposition") == "attachment":
            self.others.add("attachment")
        elif kind.startswith("multipart/"):
            inner = list(self._inside(boundary, told.body, end))
            for begin, stop in inner:
                if self.num_parts >= MAX_PARTS or depth >= MAX_DEPTH:
                    self._stop(depth)
                    return
                self.look(headers.parse(self.raw, begin, stop), stop, depth=depth + 1)
            if not inner:  # a multipart message that was never divided
                self._add("text/plain", "", "", told.body, end)
        else:
            self._add(kind, declared, told.word(b"content-transfer-encoding"), told.body, end)

    def best(self) -> tuple[str, str, str]:
        """-> kind, text and charset of the body: the first of the best kind that is not blank."""
        if not self.parts:
            raise Refused("no_body", ", ".join(sorted(self.others))[:200] or "no parts", "text")
        for part in sorted(self.parts):
            raw = _transferred(self.raw[part.begin : part.end], part.transfer)
            if raw.strip():
                declared = part.charset or (charset.declared_in_html(raw) if part.kind == "text/html" else "")
                text, encoding = charset.decode(raw, declared=declared)
                return part.kind, text.replace("\r\n", "\n"), encoding
        raise Refused("empty", 0)

    def _add(self, kind: str, declared: str, transfer: str, begin: int, end: int) -> None:
        for preference, start in enumerate(_PREFERRED):
            if kind.startswith(start):
                self.parts.append(_Part(preference, len(self.parts), kind, declared, transfer, begin, end))
                return
        self.others.add(kind[:80])

    def _inside(self, boundary: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the parts between delimiters begin and end; the last one may lack its delimiter."""
        if not boundary:
            return
        start = -1
        for place, after, is_last in _delimiters(self.raw, b"--" + boundary, begin, end):
            if start >= 0:
                yield start, max(start, place)
            if is_last:
                return
            start = after
        if start >= 0:
            yield start, end

    def _stop(self, depth: int) -> None:
        if depth >= MAX_DEPTH:
            self.beyond = self.beyond or Refused("mail_depth", depth + 1, MAX_DEPTH)
        else:
            self.beyond = self.beyond or Refused("mail_parts", f"more than {MAX_PARTS}", MAX_PARTS)


def _delimiters(raw: bytes, delimiter: bytes, begin: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Where the line end before a delimiter is, where its line ends, and whether it closes: RFC 2046, section 5.1.1."""
    place = begin - 1
    while (place := raw.find(delimiter, place + 1, end)) >= 0:
        if place > begin and raw[place - 1] != _NEWLINE:
            continue
        if found := _DELIMITER_END.match(raw, place + len(delimiter), end):
            before = place - 2 if place > 1 and raw[place - 2] == _RETURN else place - 1
            yield max(begin, before), found.end(), bool(found[1])


def _transferred(raw: bytes, encoding: str) -> bytes:
    """RFC 2045, section 6; what is not known stays as it is."""
    if encoding == "base64":
        return headers.base64(raw)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw
