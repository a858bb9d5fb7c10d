"""write: the files of each split. A task is a file: some blocks, of which it takes the records of its split."""

import functools
import hashlib
import itertools
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int8, Int64

from input_pipeline import cache, images
from input_pipeline.clean import blocks, splits, summary
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.formats import FORMATS
from input_pipeline.clean.record import Record
from input_pipeline.clean.schema import Schema
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages.cleaning import blocks_of, offsets_of
from input_pipeline.clean.stages.splitting import Placing

NAME = "write"


def run(cleaned: Stage, placing: Placing, spec: Clean, engine: Engine) -> Stage:
    """The stage after `split`, done: in its folder lies `data`, whole."""
    offsets = offsets_of(cleaned.folder)
    parts = plan(np.load(placing.places), placing.facts["bytes"], offsets, shard_bytes=spec.output.shard_bytes)
    stage = placing.stage.then(NAME, spec.output, spec.name, spec.modality)
    work = Writing(
        source=cleaned.folder,
        places=placing.places,
        folder=stage.folder,
        parts=tuple(parts),
        offsets=offsets,
        dataset=spec.name,
        format=spec.output.format,
        schema=Schema(spec.modality, placing.types),
    )
    engine.run("writing", work, len(parts))
    engine.run("describing the dataset", Finishing(work), 1)
    return stage


@dataclass(frozen=True)
class Part:
    """One file of the dataset."""

    split: int  # of splits.NAMES
    shard: int
    num_shards: int
    first: int  # block
    last: int  # block, not among them


def plan(
    places_N: Int8[np.ndarray, "N"], sizes_N: Int64[np.ndarray, "N"], offsets: Sequence[int], *, shard_bytes: int
) -> list[Part]:
    """The files of all splits. Each ends with the block that takes it over `shard_bytes`; a split without a record has
    none. `offsets`: the number of each block's first record, and the number of all.
    """
    found = []
    for split in range(len(splits.NAMES)):
        taken_N = np.where(places_N == split, sizes_N, 0)
        count_N = places_N == split
        if not count_N.any():
            continue
        sums = np.concatenate([[0], np.cumsum(taken_N)])[np.asarray(offsets)]
        ends, full = [], 0
        for block in range(1, len(offsets)):
            if sums[block] - full >= shard_bytes:
                ends.append(block)
                full = sums[block]
        if not ends or count_N[offsets[ends[-1]] :].any():
            ends.append(len(offsets) - 1)
        starts = [0, *ends]
        found += [Part(split, shard, len(ends), *pair) for shard, pair in enumerate(itertools.pairwise(starts))]
    return found


@dataclass(frozen=True)
class Writing:
    """Writes one file of the dataset, and after it `<task>.json` with its name and how many records it has."""

    source: pathlib.Path  # a stage of blocks
    places: pathlib.Path  # the places of all their records, .npy
    folder: pathlib.Path
    parts: tuple[Part, ...]
    offsets: tuple[int, ...]
    dataset: str
    format: str
    schema: Schema

    def done(self, task: int) -> bool:
        return self.receipt(task).exists()

    def receipt(self, task: int) -> pathlib.Path:
        return self.folder / f"{task:06d}.json"

    def reads(self, task: int) -> Sequence[object]:
        part = self.parts[task]
        return blocks_of(self.source)[part.first : part.last]

    def __call__(self, task: int) -> None:
        part = self.parts[task]
        name = FORMATS[self.format].name(self.dataset, splits.NAMES[part.split], part.shard, part.num_shards)
        path = self.folder / "data" / name
        channels: set[int] = set()
        FORMATS[self.format].write(path, self._seen(self._records(part, part.split), channels), self.schema)
        num_records = int((self._places(part) == part.split).sum())
        receipt = {"name": name, "split": splits.NAMES[part.split], "records": num_records}
        with cache.replacing(self.receipt(task)) as file:
            file.write(json.dumps(receipt | {"channels": sorted(channels)}).encode())

    def _seen(self, records: Iterator[Record], channels: set[int]) -> Iterator[Record]:
        """The same records; of pictures, how many channels they have."""
        for record in records:
            if self.schema.modality == "image":
                channels.add(images.channels(record.payload))
            yield record

    def _places(self, part: Part) -> np.ndarray:
        return _loaded(self.places)[self.offsets[part.first] : self.offsets[part.last]]

    def records(self) -> Iterator[Record]:
        """Of all splits, in the order of the blocks."""
        for block in range(len(self.offsets) - 1):
            yield from self._taken(block, lambda places: places != splits.NOWHERE)

    def _records(self, part: Part, split: int) -> Iterator[Record]:
        for block in range(part.first, part.last):
            yield from self._taken(block, lambda places: places == split)

    def _taken(self, block: int, wanted_of: Callable[[np.ndarray], np.ndarray]) -> Iterator[Record]:
        low, high = self.offsets[block : block + 2]
        wanted = wanted_of(_loaded(self.places)[low:high])
        if wanted.any():
            yield from itertools.compress(blocks.read(blocks_of(self.source)[block]), wanted)


@dataclass(frozen=True)
class Finishing:
    """One task: writes what describes all files, `summary.json`, and then `files.json`, which lists them."""

    writing: Writing

    def done(self, task: int) -> bool:
        del task
        return (self.writing.folder / "files.json").exists()

    def reads(self, task: int) -> Sequence[object]:
        del task
        return (self.writing.folder / "data",)

    def __call__(self, task: int) -> None:
        del task
        folder = self.writing.folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        files = [json.loads(self.writing.receipt(each).read_bytes()) for each in range(len(self.writing.parts))]
        for each in files:
            with open(folder / each["name"], "rb") as written:
                each["sha256"] = hashlib.file_digest(written, "sha256").hexdigest()
                each["bytes"] = written.tell()
        kept = {split: [(f["records"], f["bytes"]) for f in files if f["split"] == split] for split in splits.NAMES}
        kept = {split: found for split, found in kept.items() if found}
        channels = {each for file in files for each in file.pop("channels")}
        schema = replace(self.writing.schema, channels=channels.pop() if len(channels) == 1 else 0)
        FORMATS[self.writing.format].finish(folder, self.writing.dataset, schema, kept)
        with cache.replacing(self.writing.folder / "summary.json") as file:
            file.write(json.dumps(summary.of(self.writing.records()).as_json(), ensure_ascii=False).encode())
        with cache.replacing(self.writing.folder / "files.json") as file:
            file.write(json.dumps(files).encode())


@functools.lru_cache(2)
def _loaded(path: pathlib.Path) -> np.ndarray:
    return np.load(path)
