"""clean: the line of steps, block by block."""

import functools
import hashlib
import itertools
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

from input_pipeline.clean import blocks, steps
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.record import Entry, Record, Step
from input_pipeline.clean.spec import Clean

NAME = "clean"


@functools.lru_cache(4)
def blocks_of(folder: pathlib.Path) -> list[pathlib.Path]:
    """The blocks of a stage that is done."""
    return blocks.listed(folder)


@functools.lru_cache(4)
def offsets_of(folder: pathlib.Path) -> tuple[int, ...]:
    """The number of the first record of each block of a stage that is done, and the number of all records."""
    counts = [blocks.counts_of(path).records_out for path in blocks_of(folder)]
    return tuple(itertools.accumulate(counts, initial=0))


@functools.lru_cache(4)
def operations(line: str, modality: str) -> Sequence[Step]:
    """A line, read once a process: an operation may keep what it has loaded."""
    return steps.line(line, modality=modality)


def apply(line: Sequence[Step], records: Sequence[Record]) -> tuple[Sequence[Record], list[Entry]]:
    """What is left after all steps, and what each had to say."""
    entries: list[Entry] = []
    for step in line:
        outcome = step(records)
        records = outcome.records
        entries += outcome.entries
    return records, entries


def run(collected: Stage, spec: Clean, engine: Engine) -> Stage:
    """The stage after `collect`, done.

    Raises:
      ValueError: a file that a step needs cannot be read.
    """
    stage = collected.then(NAME, spec.modality, *map(repr, spec.operations), *contents(spec.operations))
    work = Cleaning(collected.folder, stage.folder, spec.steps, spec.modality)
    engine.run("cleaning", work, len(blocks_of(collected.folder)))
    return stage


def contents(line: Sequence[Step]) -> list[str]:
    """The hashes of the files that steps read."""
    return [_sha256(path) for step in line for path in getattr(step, "files", ())]


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"steps: expected a file that can be read, got {path!r}: {error.strerror}") from None


@dataclass(frozen=True)
class Cleaning:
    """Writes a block for each block of `source`, by the same name."""

    source: pathlib.Path
    folder: pathlib.Path
    line: str
    modality: str

    def done(self, task: int) -> bool:
        return self._path(task).exists()

    def reads(self, task: int) -> Sequence[object]:
        return (blocks_of(self.source)[task],)

    def __call__(self, task: int) -> None:
        before = blocks.read(blocks_of(self.source)[task])
        after, entries = apply(operations(self.line, self.modality), before)
        blocks.write(self._path(task), after, entries, blocks.count(before, after, entries), NAME)

    def _path(self, task: int) -> pathlib.Path:
        return self.folder / blocks_of(self.source)[task].name
