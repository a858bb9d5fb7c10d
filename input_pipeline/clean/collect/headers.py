"""Headers of mails and their parts (RFC 5322, 2045, 2047), read without the rest of the message."""

import binascii
import functools
import re
from email.message import Message
from typing import NamedTuple

from input_pipeline.clean.collect import charset
from input_pipeline.clean.collect.content import Refused

MAX_BYTES = 1 << 20  # of the headers of one message or part
_KEPT = 1_000  # characters of one header
# Lines of headers, folded ones with their continuations: names are printable ASCII without a colon.
_BLOCK = re.compile(rb"(?:From [^\n]*+\n)?(?:(?:[!-9;-~]++[ \t]*+:|[ \t])[^\n]*+(?:\n|\Z))*+")
_LINE = re.compile(rb"^([!-9;-~]+)[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
# RFC 2047, section 2: =?charset?encoding?text?=, the charset with a language after "*" (RFC 2231, section 5).
_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{1,40})?\?([bBqQ])\?([^?]{0,1000})\?=")
_BETWEEN = re.compile(r"(?<=\?=)\s+(?==\?[^?\s]{1,80}\?[bBqQ]\?)")  # white space between encoded words means nothing


class ContentType(NamedTuple):
    """What a part says that it is."""

    name: str
    charset: str
    boundary: bytes


class Headers(NamedTuple):
    """The first value of each header by its lower-case name, and where the body begins."""

    values: dict[bytes, bytes]
    body: int

    def text(self, name: bytes) -> str:
        """A header for people, on one line, with its encoded words decoded."""
        raw = self.values.get(name, b"")[: 8 * _KEPT]
        return " ".join(_decoded(_eight_bits(raw)).split())[:_KEPT]

    def word(self, name: bytes) -> str:
        """The first word of a header that is a name, in lower case."""
        first, _, _ = self.values.get(name, b"").partition(b";")
        return first.strip().lower().decode("ascii", "replace")

    def content_type(self) -> ContentType:
        """By RFC 2045, section 5.2, text/plain where it is not told or makes no sense."""
        return _content_type(self.values.get(b"content-type", b"text/plain")[: 8 * _KEPT])


def parse(raw: bytes, begin: int = 0, end: int | None = None) -> Headers:
    """The headers of a message or part in these bytes, as far as there are lines of headers.

    Raises:
      Refused: they are longer than MAX_BYTES.
    """
    end = len(raw) if end is None else end
    found = _BLOCK.match(raw, begin, min(end, begin + MAX_BYTES))
    assert found
    stop = found.end()
    if stop - begin == MAX_BYTES and stop < end:
        raise Refused("header_bytes", f"more than {MAX_BYTES}", MAX_BYTES)
    values: dict[bytes, bytes] = {}
    for name, value in _LINE.findall(raw[begin:stop]):
        values.setdefault(name.lower(), value)
    blank = 2 if raw.startswith(b"\r\n", stop) else 1 if raw.startswith(b"\n", stop) else 0
    return Headers(values, min(stop + blank, end))


@functools.lru_cache(256)
def _content_type(raw: bytes) -> ContentType:
    told = Message()
    told["content-type"] = _eight_bits(raw)
    try:
        boundary = told.get_boundary("")
        found = told.get_content_charset("")
    except Exception:  # the standard library raises what it likes for parameters that contradict one another
        boundary, found = "", ""
    return ContentType(told.get_content_type(), found, boundary.encode("utf-8", "surrogateescape"))


def _eight_bits(raw: bytes) -> str:
    """Headers are ASCII by the book; what is not is mostly UTF-8 or Windows-1252."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _decoded(text: str) -> str:
    return _WORD.sub(_word, _BETWEEN.sub("", text)) if "=?" in text else text


def _word(found: re.Match[str]) -> str:
    """One encoded word; as it came where its charset is unknown or its bytes make no sense."""
    name, encoding, encoded = charset.lookup(found[1]), found[2].lower(), found[3].encode("utf-8", "replace")
    try:
        raw = binascii.a2b_qp(encoded, header=True) if encoding == "q" else base64(encoded)
        return raw.decode(name, "replace") if name else found[0]
    except ValueError:
        return found[0]


def base64(raw: bytes) -> bytes:
    """What the letters of base64 in these bytes say, as far as they go; others between them mean nothing.

    RFC 2045, section 6.8. Padding ends nothing: some mails join several encoded pieces.
    """
    letters = raw.translate(None, _NO_BASE64)
    return binascii.a2b_base64(letters[: len(letters) // 4 * 4 + _USABLE[len(letters) % 4]] + b"==")


_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NO_BASE64 = bytes(sorted({*range(256)} - {*_BASE64}))
_USABLE = (0, 0, 2, 3)  # letters after the last whole four that make bytes
