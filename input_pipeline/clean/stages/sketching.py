"""sketch: what is kept of each record so that its like are found, and all sketches by the numbers of records."""

import functools
import itertools
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline.clean import blocks
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.similar import exact, index
from input_pipeline.clean.similar.sketch import Evidence, Near, Sketches, Store
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages.cleaning import blocks_of, offsets_of
from input_pipeline.clean.stages.exchanges import save

INDEX = "index"  # below the output of a cleaning


@dataclass(frozen=True)
class Sketching:
    """Writes for each block `.sizes.npy`, `.bands.npy`, `.evidence.npy`, `.offsets.npy`, and then `.exact.npy`; all
    but the first and last only where near-duplicates are looked for.
    """

    source: pathlib.Path
    folder: pathlib.Path
    near: Near | None
    part: str  # of a record, that makes it what it is: a key of exact.PARTS

    def done(self, task: int) -> bool:
        return self._path(task, "exact").exists()

    def reads(self, task: int) -> Sequence[object]:
        return (blocks_of(self.source)[task],)

    def __call__(self, task: int) -> None:
        records = blocks.read(blocks_of(self.source)[task])
        save(self._path(task, "sizes"), np.array([blocks.num_bytes(record) for record in records], np.int64))
        if self.near is not None:
            sketches = self.near.sketch(records)
            save(self._path(task, "bands"), sketches.bands_NK)
            save(self._path(task, "evidence"), sketches.evidence.flat)
            save(self._path(task, "offsets"), sketches.evidence.offsets)
        save(self._path(task, "exact"), exact.digests(records, part=self.part))

    def _path(self, task: int, name: str) -> pathlib.Path:
        return self.folder / f"{blocks_of(self.source)[task].stem}.{name}.npy"

    def load(self, task: int, name: str) -> np.ndarray:
        """One array of a block, memory-mapped."""
        return np.load(self._path(task, name), mmap_mode="r")

    def sketches(self, task: int) -> Sketches:
        """Of a block; without bands and evidence where near-duplicates are not looked for."""
        digests_N2 = self.load(task, "exact")
        if self.near is None:
            return no_sketches(digests_N2)
        evidence = Evidence(self.load(task, "evidence"), self.load(task, "offsets"))
        return Sketches(digests_N2, self.load(task, "bands"), evidence)


def no_sketches(digests_N2: np.ndarray) -> Sketches:
    """For exact deduplication alone."""
    num_records = len(digests_N2)
    evidence = Evidence(np.zeros(0, np.uint64), np.zeros(num_records + 1, np.int64))
    return Sketches(digests_N2, np.zeros((num_records, 0), np.uint64), evidence)


@dataclass(frozen=True)
class All:
    """The sketches of earlier releases, and then of the cleaned blocks: a record's number counts through all."""

    new: Sketching
    against: tuple[pathlib.Path, ...]  # folders of indices

    @property
    def num_old(self) -> int:
        """Records of earlier releases."""
        return self.offsets[len(_old(self))]

    @property
    def num_blocks(self) -> int:
        """Of both."""
        return len(self.offsets) - 1

    @property
    def offsets(self) -> tuple[int, ...]:
        """The number of the first record of each block, and the number of all."""
        counts = [len(block.ids) for block in _old(self)]
        first = sum(counts)
        return (
            *itertools.accumulate(counts, initial=0),
            *(first + number for number in offsets_of(self.new.source)[1:]),
        )

    def sketches(self, block: int) -> Sketches:
        """Of a block."""
        old = _old(self)
        return old[block].sketches if block < len(old) else self.new.sketches(block - len(old))

    def store(self) -> Store:
        """The evidence of all records."""
        return Store([self.sketches(block).evidence for block in range(self.num_blocks)])

    def sizes(self) -> np.ndarray:
        """Bytes of text and payload of every record; 0 of those of earlier releases."""
        blocks_here = range(len(blocks_of(self.new.source)))
        return np.concatenate(
            [np.zeros(self.num_old, np.int64), *(self.new.load(task, "sizes") for task in blocks_here)]
        )

    def old_ids(self) -> list[str]:
        """Of the records of earlier releases."""
        return [id for block in _old(self) for id in block.ids]


@functools.lru_cache(1)
def _old(sketches: All) -> list[index.Block]:
    releases = (index.read(folder, near=sketches.new.near) for folder in sketches.against)
    return [block for release in releases for block in release.blocks]


def sketch(cleaned: Stage, spec: Clean, engine: Engine) -> tuple[Stage, All]:
    """The stage after `clean`, done, and all sketches.

    Raises:
      ValueError: no index of an earlier release, or one of other sketches.
    """
    stage = cleaned.then("sketch", spec.modality, repr(spec.near))
    work = Sketching(cleaned.folder, stage.folder, spec.near, exact.PART_OF[spec.modality])
    engine.run("sketching", work, len(blocks_of(cleaned.folder)))
    folders = tuple(pathlib.Path(folder).expanduser().absolute() / INDEX for folder in spec.dedup.against)
    found = All(work, folders)
    return stage.then("against", *map(index.identity, folders)) if folders else stage, found
