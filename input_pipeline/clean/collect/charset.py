"""Bytes of unknown encoding become text; what is no text is told from it."""

import codecs
import io
import re

from input_pipeline.clean.collect.content import Refused, buffered
from input_pipeline.clean.collect.formats import HEAD_BYTES

GUESS_BYTES = 1 << 16  # that a guess looks at
NUL_CHARACTERS = 8_000  # at the beginning of a text, without a NUL: the rule by which git tells binary files
MAX_CONTROL = 0.02  # share of control characters in a text
_BOMS = (  # the longer first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# C0 without what texts are laid out with, and terminals' escape; DEL.
_CONTROL = bytes(sorted({*range(32), 127} - {*b"\t\n\r\f\b\x1b"}))
_META = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
# What pages and mails are written in: https://encoding.spec.whatwg.org/#names-and-labels. A guess knows no others, and
# of those that make the text look the same, or as much like a language, it takes the first.
_CANDIDATES = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "iso8859_2", "koi8_r"),
    *("shift_jis", "euc_jp", "iso2022_jp", "gb18030", "big5", "euc_kr", "cp874"),
)
# Bytes 80 to 9F are letters of Windows there, and controls by the book: https://encoding.spec.whatwg.org/#windows-1252
_ALIASES = {"ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "gb2312": "gb18030"}
_HIGH = bytes(range(0x80, 0x100))
_FEW = 0.02  # share of bytes that are not ASCII; German has as many
_ALIKE = 0.03  # of charset-normalizer's coherence
_LEAST_ZEROS = 4  # that tell UTF-16
_SEVEN_BITS = ("iso2022", "hz", "utf-7")
_NO_CHARSETS = ("idna", "punycode", "unicode-escape", "raw-unicode-escape")


def decode(raw: bytes, *, declared: str = "") -> tuple[str, str]:
    """The text, and the charset it was in; "utf-8" says that nothing had to be found out.

    In this order: what a byte order mark says, UTF-16 by its zeros, UTF-8, what is `declared`, a guess from the
    beginning, Windows-1252. Bytes that are none of their charset's become U+FFFD.

    Raises:
      Refused: it is no text.
    """
    text, charset = _decoded(raw, declared)
    check(text)
    return text, charset


def check(text: str) -> None:
    """Raises Refused for binary data in a text's place."""
    if (place := text.find("\0", 0, NUL_CHARACTERS)) >= 0:
        raise Refused("binary", f"NUL at character {place}", f"none in {NUL_CHARACTERS}")
    raw = text.encode("utf-8", "surrogatepass")
    share = (len(raw) - len(raw.translate(None, _CONTROL))) / max(1, len(raw))
    if share > MAX_CONTROL:
        raise Refused("binary", round(share, 6), MAX_CONTROL)


def declared_in_html(raw: bytes) -> str:
    """What a page says of its own charset in its first 1,024 bytes, as browsers look for it."""
    found = _META.search(raw, 0, 1024)
    return found[1].decode() if found else ""


def lookup(declared: str) -> str:
    """Python's name of a charset, or "" where it knows none of text."""
    try:
        name = codecs.lookup(declared).name
        b" ".decode(name)  # some codecs are of bytes
    except (LookupError, ValueError):
        return ""
    return "" if name in _NO_CHARSETS else _ALIASES.get(name, name)


def as_utf8(stream: io.BufferedReader) -> tuple[io.BufferedReader, str]:
    """The stream in UTF-8 without its mark, and its charset: for lines, which UTF-16 and UTF-32 end with several bytes.

    Where neither a mark nor zeros tell one of those, the stream comes back as it is.
    """
    head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
    for mark, charset in _BOMS:
        if head.startswith(mark):
            stream.read(len(mark))
            return (stream if charset == "utf-8" else _transcoded(stream, charset)), charset
    if charset := _utf16(head):
        return _transcoded(stream, charset), charset
    return stream, "utf-8"


def _transcoded(stream: io.BufferedReader, charset: str) -> io.BufferedReader:
    decoder = codecs.getincrementaldecoder(charset)("replace")

    def read(num_bytes: int) -> bytes:
        while raw := stream.read1(num_bytes // 4):
            if text := decoder.decode(raw):
                return text.encode("utf-8", "replace")
        return decoder.decode(b"", final=True).encode("utf-8", "replace")

    return buffered(read)


def _decoded(raw: bytes, declared: str) -> tuple[str, str]:
    for mark, charset in _BOMS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(charset, "replace"), charset
    if charset := _utf16(raw[:GUESS_BYTES]):  # before UTF-8, which would take the zeros for text
        return raw.decode(charset, "replace"), charset
    if (charset := lookup(declared)).startswith(_SEVEN_BITS):  # these would pass for ASCII
        return raw.decode(charset, "replace"), charset
    try:
        return raw.decode(), "utf-8"
    except UnicodeDecodeError:
        return _damaged_utf8(raw) or _other(raw, declared)


def _utf16(head: bytes) -> str:
    """UTF-16 without a mark, by the zeros in every other byte."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < max(_LEAST_ZEROS, len(head) // 5) or 50 * min(even, odd) > len(head):
        return ""
    return "utf-16-be" if even > odd else "utf-16-le"


def _damaged_utf8(raw: bytes) -> tuple[str, str] | None:
    """UTF-8 with some wrong bytes: most of what is not ASCII is right. Another charset hardly ever looks like that."""
    text = raw.decode("utf-8", "replace")
    lost = text.count("\ufffd")
    right = len(text) - len(text.encode("ascii", "ignore")) - lost
    return (text, "utf-8 with errors") if right > 4 * lost else None


def _other(raw: bytes, declared: str) -> tuple[str, str]:
    """In the charset that is declared or guessed, if nearly all bytes belong to it; else in Windows-1252."""
    for find in (lambda: lookup(declared), lambda: _guess(raw[:GUESS_BYTES])):
        if (charset := find()) and charset != "utf-8":
            text = raw.decode(charset, "replace")
            if 100 * text.count("\ufffd") <= len(text):
                return text, charset
    return raw.decode("cp1252", "replace"), "cp1252"


def _guess(head: bytes) -> str:
    """Too few letters that are not ASCII tell nothing: quotation marks and names in English are Windows-1252."""
    if len(head) - len(head.translate(None, _HIGH)) < _FEW * len(head):
        return "cp1252"
    try:
        import charset_normalizer
    except ImportError:
        raise ValueError(
            "text that is not UTF-8 needs charset-normalizer; pip install charset-normalizer, or make setup-clean"
        ) from None
    matches = charset_normalizer.from_bytes(head, cp_isolation=list(_CANDIDATES), enable_fallback=False)
    least = min((match.chaos for match in matches), default=0)
    sound = [match for match in matches if match.chaos == least]
    most = max((match.coherence for match in sound), default=0)
    likely = {
        name
        for match in sound
        if match.coherence >= most - _ALIKE
        for name in (match.encoding, *match.could_be_from_charset)
    }
    return next((name for name in _CANDIDATES if name in likely), "")
