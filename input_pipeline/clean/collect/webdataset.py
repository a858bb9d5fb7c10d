"""WebDataset: a tar whose members belong together where they share a name up to its first dot.

https://github.com/webdataset/webdataset#the-webdataset-format: "a/b.jpg", "a/b.cls" and "a/b.json" are one sample.
"""

from collections.abc import Iterator
from typing import Any

from input_pipeline.clean.collect import charset, formats, jsonl, rows, tars
from input_pipeline.clean.collect.content import Content, Refused, changed
from input_pipeline.clean.collect.members import Names
from input_pipeline.clean.record import Entry, Record

_TEXT, _LABEL, _OBJECT = ("txt", "text", "caption"), ("cls", "label"), ("json",)


def read(content: Content) -> Iterator[Record | Entry]:
    """A record for each sample of neighbours, with the name that they share.

    The picture or clip is its payload, .txt its text, .cls its label; each value of .json is a field.
    """
    names = Names(content)
    sample: _Sample | None = None
    for member in tars.members(content):
        if isinstance(member, Entry):
            yield member
            continue
        key, ending = _split(member.form)
        if sample is None or key != sample.key or ending in sample.endings:
            yield from sample.finish() if sample else ()
            sample = _Sample(key, names.id(key), content)
        sample.add(member, ending)
    yield from sample.finish() if sample else ()


def _split(name: str) -> tuple[str, str]:
    """A member's key, and its ending in lower case."""
    folder, slash, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    return folder + slash + stem, ending.lower()


class _Sample:
    """One sample as it comes together."""

    def __init__(self, key: str, id: str, content: Content) -> None:
        self.key, self._id, self._content = key, id, content
        self.endings: set[str] = set()
        self._text, self._payload, self._num_bytes = "", b"", 0
        self._fields: dict[str, Any] = {}
        self._entries: list[Entry] = []
        self._refused: Refused | None = None

    def add(self, member: Content, ending: str) -> None:
        self.endings.add(ending)
        if self._refused:
            return
        try:
            self._add(member, ending)
        except Refused as refused:
            self._refused = Refused(refused.reason, f"{ending}: {refused.value}", refused.threshold)

    def finish(self) -> Iterator[Record | Entry]:
        """The record, or why there is none."""
        if self._refused:
            yield self._refused.entry(self._id)
        elif not (self._text or self._payload):
            yield Refused("webdataset", ", ".join(sorted(self.endings))[:200], "a picture, a clip or text").entry(
                self._id
            )
        else:
            yield from self._entries
            yield Record(self._id, self._text, self._payload, self._fields)

    def _add(self, member: Content, ending: str) -> None:
        last = ending.rpartition(".")[2]
        kind = formats.by_suffix(f"x.{last}")
        if not (kind in ("image", "audio") or last in (*_TEXT, *_LABEL, *_OBJECT)):
            self._entries.append(changed(self._id, "webdataset", ending[:80], "a part that is known"))
            return
        raw = member.whole()
        self._num_bytes += len(raw)
        if self._num_bytes > self._content.spec.max_record_bytes:
            raise Refused("record_bytes", self._num_bytes, self._content.spec.max_record_bytes)
        if kind in ("image", "audio"):
            self._payload = raw
        elif last in _OBJECT:
            self._add_object(jsonl.parse(self._decoded(raw)))
        elif last in _LABEL:
            self._fields["label"] = self._decoded(raw).strip()
        else:
            self._text = self._decoded(raw)

    def _add_object(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise Refused("json", rows.kind(value), "an object")
        fields, entries = rows.kept(value, self._id, self._content.spec)
        self._fields |= fields
        self._entries += entries

    def _decoded(self, raw: bytes) -> str:
        text, encoding = charset.decode(raw)
        if encoding != "utf-8":
            self._entries.append(changed(self._id, "encoding", encoding, "utf-8"))
        return text
