"""Pictures and clips: a file is one, undecoded; its label stands in its name or is its folder."""

from collections.abc import Iterator

from input_pipeline.clean.collect.content import Content, spelt
from input_pipeline.clean.record import Entry, Record


def read(content: Content) -> Iterator[Record | Entry]:
    """The bytes of the file, as they are; whether they can be decoded is found out when they are cleaned."""
    raw = content.whole()
    folder = spelt(content.form.rpartition("/")[0].rpartition("/")[2])
    fields = {"label": folder} if folder and not content.spec.pattern else {}
    yield Record(content.name, payload=raw, fields=fields)
