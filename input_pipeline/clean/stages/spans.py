"""spans: what stands in a text before is cut from later ones, by a keyed exchange of all runs of words."""

import functools
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline.clean import blocks
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import substrings
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages.cleaning import blocks_of, offsets_of
from input_pipeline.clean.stages.deciding import REMOVED, Decision
from input_pipeline.clean.stages.exchanges import num_partitions, parcels, part, save

NAME = "spans"
_SPAN = np.dtype([("key", "<u8"), ("place", "<i8")])
_BLOCK = 40  # bits of a place that count the words of a block


@dataclass(frozen=True)
class Texts:
    """The records that stay, block by block."""

    source: pathlib.Path
    decision: Decision

    def read(self, block: int) -> list[Record]:
        """Of one block."""
        first = offsets_of(self.source)[block]
        records = blocks.read(blocks_of(self.source)[block])
        stays_N = _stays(self)[first : first + len(records)]
        return [record for record, stays in zip(records, stays_N, strict=True) if stays]


@functools.lru_cache(1)
def _stays(texts: Texts) -> np.ndarray:
    return texts.decision.stays(offsets_of(texts.source)[-1])


@dataclass(frozen=True)
class BySpan:
    """The exchange by span: writes the places, rising, of those that stand before."""

    texts: Texts
    folder: pathlib.Path
    size: int
    num_partitions: int

    def done(self, partition: int) -> bool:
        return part(self.folder, partition).exists()

    def emit(self, task: int) -> Iterator[tuple[int, bytes]]:
        found = substrings.emit([record.text for record in self.texts.read(task)], size=self.size)
        rows = np.empty(len(found.keys_M), _SPAN)
        rows["key"], rows["place"] = found.keys_M, found.places_M + (task << _BLOCK)
        yield from parcels(rows, rows["key"], self.num_partitions)

    def reduce(self, partition: int, sent: Sequence[bytes]) -> None:
        rows = np.frombuffer(b"".join(sent), _SPAN)
        save(part(self.folder, partition), substrings.repeats(rows["key"], rows["place"], size=self.size))


@dataclass(frozen=True)
class Cutting:
    """Writes for each block the records that stay, without the spans that stand before."""

    spans: BySpan
    folder: pathlib.Path

    def done(self, task: int) -> bool:
        return self._path(task).exists()

    def reads(self, task: int) -> Sequence[object]:
        return (blocks_of(self.spans.texts.source)[task],)

    def __call__(self, task: int) -> None:
        before = self.spans.texts.read(task)
        after, entries = substrings.cut(before, self._places(task), size=self.spans.size)
        blocks.write(self._path(task), after, entries, blocks.count(before, after, entries), NAME)

    def _places(self, task: int) -> np.ndarray:
        """Of all partitions, within the block."""
        found = []
        for partition in range(self.spans.num_partitions):
            places = np.load(part(self.spans.folder, partition), mmap_mode="r")
            low, high = np.searchsorted(places, [task << _BLOCK, (task + 1) << _BLOCK])
            found.append(places[low:high] - (task << _BLOCK))
        return np.sort(np.concatenate(found))

    def _path(self, task: int) -> pathlib.Path:
        return self.folder / blocks_of(self.spans.texts.source)[task].name


def run(cleaned: Stage, decision: Decision, spec: Clean, engine: Engine) -> tuple[Stage, Decision]:
    """The stage after `dedup`, done: its blocks hold only what stays, and nothing more is to be removed of them."""
    stage = decision.stage.then(NAME, spec.dedup.substring_words)
    num_blocks = len(blocks_of(cleaned.folder))
    num_words = sum(blocks.counts_of(path).bytes_out for path in blocks_of(cleaned.folder)) // 5
    exchange = BySpan(
        Texts(cleaned.folder, decision),
        stage.folder / "repeats",
        spec.dedup.substring_words,
        num_partitions(_SPAN.itemsize * num_words),
    )
    engine.exchange("repeated spans", exchange, num_blocks, stage.folder / "sent")
    engine.run("cutting repeated spans", Cutting(exchange, stage.folder), num_blocks)
    return stage, _nothing_removed(stage)


def _nothing_removed(stage: Stage) -> Decision:
    decision = Decision(stage)
    if not decision.is_done:
        paths = blocks_of(stage.folder)
        decision.write(
            removed=np.zeros(0, REMOVED),
            edges_E2=np.zeros((0, 2), np.int64),
            num_records=offsets_of(stage.folder)[-1],
            num_uncompared=0,
            ledgers={NAME: b"".join(blocks.ledger_of(path).read_bytes() for path in paths)},
            counts={NAME: sum((blocks.counts_of(path) for path in paths), blocks.Counts())},
        )
    return decision
