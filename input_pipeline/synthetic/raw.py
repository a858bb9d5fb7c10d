"""Raw text made from a number: stories as they come from outside, among copies and junk, to try a cleaning on.

What is wrong with document number n stands in `DEFECTS[n % len(DEFECTS)]`, so what a cleaning should do is known.
"""

from collections.abc import Callable

from input_pipeline.synthetic.stories import text

# Several short stories in one: a long one of so small a cast repeats itself more than Gopher's rules allow.
_STORIES, _STORY_BYTES = 4, 200
_PAGE = """<!DOCTYPE html><html><head><title>Stories</title><script>track("page");</script></head><body>
<nav><a href="/">Home</a> <a href="/about">About us</a> <a href="/cookies">Cookies</a></nav>
<main>{}</main>
<footer>All rights reserved. <a href="/terms">Terms of use</a></footer></body></html>
"""


def _story(number: int) -> str:
    parts = (text(number * _STORIES + part, num_bytes=_STORY_BYTES) for part in range(_STORIES))
    return "\n".join(part.decode().rpartition(".")[0] + "." for part in parts) + "\n"


def _none(number: int) -> bytes:
    return _story(number).encode()


def _copy(number: int) -> bytes:
    """The same as the document six before it, which is as it should be."""
    return _story(number - 6).encode()


def _near_copy(number: int) -> bytes:
    """The one seven before it, but for its end."""
    return (_story(number - 7) + "And that was all.\n").encode()


def _page(number: int) -> bytes:
    paragraphs = "".join(f"<p>{line}</p>\n" for line in _story(number).splitlines())
    return _PAGE.format(paragraphs).encode()


def _garbled(number: int) -> bytes:
    """UTF-8 that somebody read as Windows-1252 and wrote again."""
    quoted = _story(number).replace('"Whose', "\u201cWhose").replace('?"', "?\u201d").replace("bakery", "caf\u00e9")
    return quoted.encode().decode("cp1252", "replace").encode()


def _latin(number: int) -> bytes:
    return _story(number).replace("bakery", "caf\u00e9").replace("market", "march\u00e9").encode("latin-1")


def _personal(number: int) -> bytes:
    """An address on the Internet of documentation, RFC 2606 and RFC 5737, and a mail address."""
    told = f"Write to ada.{number}@example.org, or call 192.0.2.{number % 256} for more of them.\n"
    return f"{_story(number)}{told}".encode()


def _short(number: int) -> bytes:
    return f"Page {number}\n".encode()


def _repeated(number: int) -> bytes:
    return b"Click here to read more.\n" * 40 + _story(number).encode()[:60]


def _symbols(number: int) -> bytes:
    return "".join(f"| {n * number % 997} | ### | ... | -- |\n" for n in range(60)).encode()


def _binary(number: int) -> bytes:
    return bytes((number * n * n + 7 * n) % 256 for n in range(2_000))


DEFECTS: tuple[tuple[str, str, Callable[[int], bytes]], ...] = (
    *(("none", ".txt", _none),) * 6,
    ("copy", ".txt", _copy),
    ("near_copy", ".txt", _near_copy),
    *(("none", ".txt", _none),) * 3,
    ("page", ".html", _page),
    ("garbled", ".txt", _garbled),
    ("latin", ".txt", _latin),
    ("personal", ".txt", _personal),
    ("short", ".txt", _short),
    ("repeated", ".txt", _repeated),
    ("symbols", ".txt", _symbols),
    ("binary", ".txt", _binary),
)


def raw(number: int) -> tuple[str, bytes]:
    """-> (what document `number` is called, such as "copy-000006.txt"; its bytes)."""
    defect, suffix, make = DEFECTS[number % len(DEFECTS)]
    return f"{defect}-{number:06d}{suffix}", make(number)
