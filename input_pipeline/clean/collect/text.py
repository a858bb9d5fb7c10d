"""Plain text and pages of HTML: a file is one document."""

from collections.abc import Iterator

from input_pipeline.clean.collect import charset
from input_pipeline.clean.collect.content import Content, Refused, changed
from input_pipeline.clean.record import Entry, Record


def read_text(content: Content) -> Iterator[Record | Entry]:
    text, encoding = charset.decode(content.whole())
    yield from document(content.name, text, encoding)


def read_html(content: Content) -> Iterator[Record | Entry]:
    """The page as it is; the step `html` makes text of it."""
    raw = content.whole()
    text, encoding = charset.decode(raw, declared=charset.declared_in_html(raw))
    yield from document(content.name, text, encoding, format="html")


def document(id: str, text: str, encoding: str, **fields: str) -> Iterator[Record | Entry]:
    """A record, after the entry that tells its charset if it was not UTF-8."""
    if not text:
        raise Refused("empty", 0)
    if encoding != "utf-8":
        yield changed(id, "encoding", encoding, "utf-8")
    yield Record(id, text, fields=fields)
