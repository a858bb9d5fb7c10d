"""index: what a later cleaning needs of the records that stay, to be deduplicated against them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline.clean import blocks
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.similar import index
from input_pipeline.clean.stages.cleaning import blocks_of, offsets_of
from input_pipeline.clean.stages.deciding import Decision
from input_pipeline.clean.stages.sketching import Sketching

NAME = "index"


@dataclass(frozen=True)
class Indexing:
    """One task, with one block in memory: writes an `index.Release`."""

    decision: Decision
    sketches: Sketching
    stage: Stage

    def done(self, task: int) -> bool:
        del task
        return (self.stage.folder / index.INDEX).exists()

    def reads(self, task: int) -> Sequence[object]:
        del task
        return (self.sketches.folder,)

    def __call__(self, task: int) -> None:
        del task
        index.write(self.stage.folder, self._blocks(), near=self.sketches.near)

    def _blocks(self) -> Iterator[index.Block]:
        offsets = offsets_of(self.sketches.source)
        stays_N = self.decision.stays(offsets[-1])
        for block, path in enumerate(blocks_of(self.sketches.source)):
            numbers = np.flatnonzero(stays_N[offsets[block] : offsets[block + 1]])
            whole = index.Block(blocks.ids_of(path), self.sketches.sketches(block))
            yield index.select(whole, numbers)


def run(decision: Decision, sketches: Sketching, engine: Engine) -> Stage:
    """The stage after `dedup`, done."""
    stage = decision.stage.then(NAME, index.FORMAT)
    engine.run("keeping an index", Indexing(decision, sketches, stage), 1)
    return stage
