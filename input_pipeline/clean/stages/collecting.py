"""collect: files to blocks of records. A task is a shard: some files, in the order of their names."""

import functools
import json
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from input_pipeline import cache
from input_pipeline.clean import blocks, collect
from input_pipeline.clean.collect.spec import Collect
from input_pipeline.clean.engine import Engine, Stage, first
from input_pipeline.clean.inputs import Input, identity
from input_pipeline.clean.record import Entry, Record
from input_pipeline.clean.spec import Clean

NAME = "collect"
_LEAST_SHARDS = 16  # where there are so many files: a dozen processes find work
_SHARD_BYTES = 64 << 20


def shards(inputs: Sequence[Input], *, num_shards: int) -> list[list[Input]]:
    """Runs of the inputs with about the same number of bytes; 0 shards for one per 64 MB, sixteen or more."""
    sizes = [each.num_bytes + 1 for each in inputs]  # files without a byte count too
    wanted = num_shards or max(_LEAST_SHARDS, -(-sum(sizes) // _SHARD_BYTES))
    most = -(-sum(sizes) // max(1, min(wanted, len(inputs))))
    found: list[list[Input]] = [[]]
    room = most
    for each, size in zip(inputs, sizes, strict=True):
        if found[-1] and size > room:
            found.append([])
            room += most
        found[-1].append(each)
        room -= size
    return [shard for shard in found if shard]


def run(root: pathlib.Path, spec: Clean, found: Sequence[Input], engine: Engine) -> Stage:
    """The first stage, done."""
    parts = shards(found, num_shards=spec.shards)
    stage = first(root, NAME, spec.source, spec.block_records, identity(found), len(parts))
    plan(stage.folder, parts)
    engine.run("reading files", Collecting(stage.folder, spec.source, spec.block_records), len(parts))
    return stage


def plan(folder: pathlib.Path, parts: Sequence[Sequence[Input]]) -> None:
    """Leaves the shards where the tasks read them."""
    with cache.replacing(folder / "shards.json") as file:
        file.write(json.dumps([[asdict(each) for each in part] for part in parts], indent=0).encode())


@functools.lru_cache(1)
def _planned(folder: pathlib.Path) -> list[list[Input]]:
    parts = json.loads((folder / "shards.json").read_bytes())
    return [[Input(**each) for each in part] for part in parts]


@dataclass(frozen=True)
class Collecting:
    """Writes `<shard>-<block>.parquet`, and `<shard>.done` when there are no more.

    A shard that was cut short goes on at the first block that is not there.
    """

    folder: pathlib.Path
    spec: Collect
    block_records: int

    def done(self, task: int) -> bool:
        return self._marker(task).exists()

    def reads(self, task: int) -> Sequence[object]:
        return [each.path for each in _planned(self.folder)[task]]

    def __call__(self, task: int) -> None:
        found = (each for one in _planned(self.folder)[task] for each in self._read(one))
        for number, block in enumerate(blocks.cut(found, most=self.block_records)):
            path = self.folder / f"{task:05d}-{number:06d}.parquet"
            if not path.exists():
                _write(path, block)
        with cache.replacing(self._marker(task)):
            pass

    def _read(self, one: Input) -> Iterator[Record | Entry]:
        try:
            yield from collect.read(one.path, one.name, spec=self.spec)
        except Exception as error:
            error.add_note(one.path)  # of the many files of a shard
            raise

    def _marker(self, task: int) -> pathlib.Path:
        return self.folder / f"{task:05d}.done"


def _write(path: pathlib.Path, block: Sequence[Record | Entry]) -> None:
    records = [each for each in block if isinstance(each, Record)]
    entries = [each for each in block if isinstance(each, Entry)]
    counted = blocks.count(records, records, entries)
    refused = sum(counted.removed.values())  # records, or files that held none
    blocks.write(path, records, entries, replace(counted, records_in=len(records) + refused), NAME)
