"""What a data card tells of records as a whole: histograms, diversity, examples; in bounded memory, part by part.

The result depends neither on the order of the records nor on how they were cut into parts.
"""

import dataclasses
import heapq
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from input_pipeline.clean import diversity
from input_pipeline.clean.record import Fields, Record, excerpt
from input_pipeline.clean.tally import Tally
from input_pipeline.splits import name_hash

SAMPLED = 4096  # records whose texts are measured
SAMPLED_CHARS = 4096  # of each
NUM_EXAMPLES = 12
# What is counted by name -> the fields that may hold it, the first that is there.
NAMED: Mapping[str, tuple[str, ...]] = {
    "language": ("language", "lang"),
    "label": ("label",),
    "licence": ("licence", "license"),
    "source": ("url", "source"),
}
# What is counted by size -> its unit, and the fields that may hold it.
SIZES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "width": ("pixels", ("width",)),
    "height": ("pixels", ("height",)),
    "duration": ("seconds", ("duration_s", "seconds", "duration")),
}


@dataclasses.dataclass
class Sizes:
    """A histogram whose bins are as wide as half of their power of two: [1, 1.5), [1.5, 2), [2, 3), [3, 4), ..."""

    counts: dict[int, int] = dataclasses.field(default_factory=dict)  # by bin; see _edge
    zeros: int = 0
    least: float = math.inf
    greatest: float = -math.inf

    def add(self, size: float) -> None:
        if not (math.isfinite(size) and size >= 0):
            return
        self.least, self.greatest = min(self.least, size), max(self.greatest, size)
        if size == 0:
            self.zeros += 1
            return
        fraction, exponent = math.frexp(size)
        index = 2 * exponent + (fraction >= 0.75)
        self.counts[index] = self.counts.get(index, 0) + 1

    def merge(self, other: "Sizes") -> None:
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.zeros += other.zeros
        self.least, self.greatest = min(self.least, other.least), max(self.greatest, other.greatest)

    def as_json(self, unit: str) -> dict[str, Any]:
        """{"unit", "least", "greatest", "zeros", "edges": [n + 1 numbers], "counts": [n]}; no gaps between bins."""
        bins = range(min(self.counts, default=0), max(self.counts, default=-1) + 1)
        edges = [_edge(index) for index in [*bins, bins.stop]] if bins else []
        found = {
            "unit": unit,
            "zeros": self.zeros,
            "edges": edges,
            "counts": [self.counts.get(index, 0) for index in bins],
        }
        return found | ({"least": self.least, "greatest": self.greatest} if self.least <= self.greatest else {})


def _edge(index: int) -> float:
    """Where a bin begins; a whole number is one."""
    edge = math.ldexp(0.75 if index % 2 else 0.5, index // 2)
    return int(edge) if edge.is_integer() else edge


@dataclasses.dataclass
class Sample:
    """The texts of the records whose ids have the least hashes: uniform, whatever the order they come in."""

    limit: int = SAMPLED
    chars: int = SAMPLED_CHARS
    heap: list[tuple[int, str, str]] = dataclasses.field(default_factory=list)  # (-hash, id, text), a heap

    def add(self, id: str, text: str) -> None:
        id = _spelt(id)
        self._push((-name_hash(id), id, _spelt(text[: self.chars])))

    def _push(self, each: tuple[int, str, str]) -> None:
        if len(self.heap) < self.limit:
            heapq.heappush(self.heap, each)
        elif each > self.heap[0]:
            heapq.heapreplace(self.heap, each)

    def merge(self, other: "Sample") -> None:
        for each in other.heap:
            self._push(each)

    def in_order(self) -> list[tuple[str, str]]:
        """(id, text), by the hashes."""
        return [(id, text) for _, id, text in sorted(self.heap, key=lambda each: (-each[0], each[1]))]


@dataclasses.dataclass
class Summary:
    """What is kept of the records of a part; parts merge. About 20 MB at the most."""

    text_length: Sizes = dataclasses.field(default_factory=Sizes)
    payload_length: Sizes = dataclasses.field(default_factory=Sizes)
    sizes: dict[str, Sizes] = dataclasses.field(default_factory=lambda: {name: Sizes() for name in SIZES})
    names: dict[str, Tally] = dataclasses.field(default_factory=lambda: {name: Tally() for name in NAMED})
    sample: Sample = dataclasses.field(default_factory=Sample)

    def add(self, record: Record) -> None:
        if record.text:
            self.text_length.add(len(record.text))
        if record.payload:
            self.payload_length.add(len(record.payload))
        self.sample.add(record.id, record.text)
        for name, tally in self.names.items():
            if found := _named(name, record.fields):
                tally.add(found)
        for name, sizes in self.sizes.items():
            value = _first(SIZES[name][1], record.fields)
            if isinstance(value, int | float):
                sizes.add(value)

    def merge(self, other: "Summary") -> None:
        """Takes in the summary of other records."""
        self.text_length.merge(other.text_length)
        self.payload_length.merge(other.payload_length)
        self.sample.merge(other.sample)
        for name in NAMED:
            self.names[name].merge(other.names[name])
        for name in SIZES:
            self.sizes[name].merge(other.sizes[name])

    def as_json(self, *, seed: int = 0) -> dict[str, Any]:
        """The manifest's {"histograms", "diversity", "examples"}. What no record has is left out."""
        histograms: dict[str, Any] = {}
        if self.text_length.counts:
            histograms["length"] = self.text_length.as_json("characters")
        if self.payload_length.counts:
            histograms["size"] = self.payload_length.as_json("bytes")
        for name, sizes in self.sizes.items():
            if sizes.counts or sizes.zeros:
                histograms[name] = sizes.as_json(SIZES[name][0])
        named = {name: tally for name, tally in self.names.items() if tally.total}
        histograms |= {name: tally.top() for name, tally in named.items()}
        measured: dict[str, Any] = {name: tally.measures() for name, tally in named.items()}
        sampled = self.sample.in_order()
        if texts := [text for _, text in sampled if text]:
            measured["text"] = diversity.of_texts(texts, seed=seed)
        examples = [{"id": id, "excerpt": excerpt(text)} for id, text in sampled[:NUM_EXAMPLES]]
        return {"histograms": histograms, "diversity": measured, "examples": examples}


def dump(summary: Summary) -> bytes:
    """All that is kept of a part, for another process to `load` and merge."""
    return json.dumps(dataclasses.asdict(summary), separators=(",", ":")).encode("utf-8", "surrogatepass")


def load(dumped: bytes) -> Summary:
    kept = json.loads(dumped)
    return Summary(
        text_length=_sizes(kept["text_length"]),
        payload_length=_sizes(kept["payload_length"]),
        sizes={name: _sizes(each) for name, each in kept["sizes"].items()},
        names={name: Tally(**each) for name, each in kept["names"].items()},
        sample=Sample(**{**kept["sample"], "heap": [(key, id, text) for key, id, text in kept["sample"]["heap"]]}),
    )


def _sizes(kept: Mapping[str, Any]) -> Sizes:
    return Sizes(**{**kept, "counts": {int(index): count for index, count in kept["counts"].items()}})


def of(records: Iterable[Record]) -> Summary:
    """The summary of some records."""
    made = Summary()
    for record in records:
        made.add(record)
    return made


def _named(name: str, fields: Fields) -> str:
    """What the record's fields call it; of a URL its host."""
    value = _first(NAMED[name], fields)
    text = "" if value is None else _spelt(str(value))
    return _host(text) if name == "source" and "://" in text else text


def _spelt(text: str) -> str:
    """Text that UTF-8 can write: a lone surrogate, which JSON can spell, by its escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _first(fields: Iterable[str], values: Fields) -> str | int | float | bool | None:
    return next((values[field] for field in fields if values.get(field) not in (None, "")), None)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.") or url
    except ValueError:  # such as "http://[" is
        return url
