"""fit: what tables learn from their training rows, done to the rows of every split."""

import functools
import json
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline import cache
from input_pipeline.clean import blocks, schema, splits, tabular
from input_pipeline.clean.blocks import Counts
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.record import Record, as_json
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages import describing
from input_pipeline.clean.stages.cleaning import blocks_of, offsets_of
from input_pipeline.clean.stages.splitting import Placing

NAME = "fit"
_TRAIN = splits.NAMES.index("train")


@dataclass(frozen=True)
class Fitting:
    """One task: writes `fitted.json`, learnt from training rows alone."""

    source: pathlib.Path
    places: pathlib.Path
    folder: pathlib.Path
    line: str
    untouched: tuple[str, ...]

    def done(self, task: int) -> bool:
        del task
        return (self.folder / "fitted.json").exists()

    def reads(self, task: int) -> Sequence[object]:
        del task
        return (self.source,)

    def __call__(self, task: int) -> None:
        del task
        fitted = tabular.read(self.line, untouched=self.untouched).fit(self._rows)
        with cache.replacing(self.folder / "columns.jsonl") as file:
            for entry in fitted.entries:
                file.write(json.dumps(as_json(entry, NAME), ensure_ascii=False).encode() + b"\n")
        with cache.replacing(self.folder / "fitted.json") as file:
            file.write(fitted.as_json().encode())

    def _rows(self) -> Iterator[Sequence[Record]]:
        places = np.load(self.places)
        for block, first in enumerate(offsets_of(self.source)[:-1]):
            records = blocks.read(blocks_of(self.source)[block])
            yield [record for number, record in enumerate(records, first) if places[number] == _TRAIN]


@dataclass(frozen=True)
class Applying:
    """Writes for each block what comes of its rows that have a place, and their places."""

    source: pathlib.Path
    places: pathlib.Path
    folder: pathlib.Path

    def done(self, task: int) -> bool:
        return self._path(task).exists()

    def reads(self, task: int) -> Sequence[object]:
        return (blocks_of(self.source)[task],)

    def __call__(self, task: int) -> None:
        first = offsets_of(self.source)[task]
        records = blocks.read(blocks_of(self.source)[task])
        places = np.load(self.places, mmap_mode="r")[first : first + len(records)]
        before = [record for record, place in zip(records, places, strict=True) if place != splits.NOWHERE]
        place_of = {record.id: place for record, place in zip(records, places, strict=True)}
        after, entries = _fitted(self.folder / "fitted.json")(before)
        with cache.replacing(self._path(task).with_suffix(".npy")) as file:
            np.save(file, np.array([place_of[record.id] for record in after], np.int8))
        blocks.write(self._path(task), after, entries, blocks.count(before, after, entries), NAME)

    def _path(self, task: int) -> pathlib.Path:
        return self.folder / blocks_of(self.source)[task].name


@functools.lru_cache(1)
def _fitted(path: pathlib.Path) -> tabular.Fitted:
    return tabular.from_json(path.read_text())


def run(cleaned: Stage, placing: Placing, spec: Clean, engine: Engine) -> tuple[Stage, Placing]:
    """The stage after `split`, done: its blocks, and the places of their rows.

    Raises:
      ValueError: no training rows, or columns that an operation cannot take.
    """
    stage = placing.stage.then(NAME, spec.fitted, spec.untouched, tabular.FORMAT)
    fitted = Placing(stage, NAME)
    engine.run("fitting", Fitting(cleaned.folder, placing.places, stage.folder, spec.fitted, spec.untouched), 1)
    work = Applying(cleaned.folder, placing.places, stage.folder)
    engine.run("applying what was fitted", work, len(blocks_of(cleaned.folder)))
    if not fitted.is_done:
        _gather(stage, fitted)
    return stage, fitted


def _gather(stage: Stage, fitted: Placing) -> None:
    """The files of a `Placing`."""
    paths = blocks_of(stage.folder)
    places = [np.load(path.with_suffix(".npy")) for path in paths]
    sizes = [blocks.num_bytes(record) for path in paths for record in blocks.read(path)]
    facts = np.zeros(len(sizes), describing.FACTS)
    facts["bytes"] = sizes
    types = schema.types_of(record.fields for path in paths for record in blocks.read(path))
    fitted.write(
        places=np.concatenate([np.zeros(0, np.int8), *places]),
        facts=facts,
        types=types,
        ledger=b"".join(path.read_bytes() for path in (stage.folder / "columns.jsonl", *map(blocks.ledger_of, paths))),
        counts=sum((blocks.counts_of(path) for path in paths), Counts()),
    )
