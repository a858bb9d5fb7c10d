"""What every modality's feed has in common: parts, orders, batches on the devices, and the cursor."""

import dataclasses
from collections.abc import Generator, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from input_pipeline import loader
from input_pipeline.loader import Part, Rows
from input_pipeline.mixture import Mixture
from input_pipeline.transforms import Transform
from train import durations, spec
from train.findings.kept import Found
from train.objectives.objective import Context
from train.parallel import mesh as meshes

NAMED = 3  # records at fault that are named on the screen and in config.json
OF_RUN = {"share": "of all examples", "epochs": "epochs in this run"}


def cleaned(account: Mapping[str, Any]) -> str:
    """How a cleaned dataset came about, for people."""
    removed = account["records_in"] - account["records_out"]
    return f"cleaned: {removed:,} of {account['records_in']:,} records are left out, see {account['folder']}/ledger"


@dataclasses.dataclass(frozen=True)
class Feed:
    """What feeds a run: the rows of each split of each part. The part of no mixture is called "".

    `train_batches` and `eval_batches` are the way of the data; `facts`, `lines` and `warnings` tell of it.
    """

    run: spec.Run
    rows: Mapping[str, Mapping[str, Any]]  # by split, then by part; each `loader.Rows`

    @property
    def training(self) -> tuple[Part, ...]:
        """Training rows, their weights and their transforms."""
        raise NotImplementedError

    def eval_transforms(self, evaluation: spec.Evaluation) -> tuple[Transform, ...]:
        """What is done to the rows that an evaluation reads."""
        return ()

    def evaluated(self, evaluation: spec.Evaluation) -> Rows:
        """The rows that an evaluation reads."""
        raise NotImplementedError

    def context(self, evaluation: spec.Evaluation) -> Context:
        """What metrics want to know of these rows."""
        raise NotImplementedError

    def explain(self, evaluation: spec.Evaluation, evaluated: Mapping[str, np.ndarray]) -> Found:
        """What is found in evaluated rows, for the report."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What is known of the data, for `config.json`: {"data.train": {"rows": ..}, ..}."""
        raise NotImplementedError

    def lines(self) -> Iterator[str]:
        """The facts, for people."""
        raise NotImplementedError

    def warnings(self) -> Iterator[str]:
        """What is wrong with the data, in lines."""
        raise NotImplementedError

    def save(self, workdir: Any) -> None:
        """Keeps beside the checkpoints what the model cannot be used without."""

    @property
    def epoch_examples(self) -> int:
        """One epoch of each part, together: so many examples are an epoch, of a mixture too."""
        return sum(len(part.epoch) for part in self.training)

    @cached_property
    def mixture(self) -> Mixture:
        """Which example of the run comes from which part."""
        return loader.mix(self.training, seed=self.run.seed)

    @cached_property
    def num_steps(self) -> int:
        """Of the whole run, whose length may stand in epochs."""
        return durations.in_steps(self.run, self.run.pace(self.epoch_examples)).train.num_steps

    @property
    def num_examples(self) -> int:
        """Of the whole run."""
        return self.num_steps * self.run.train.batch_size

    def cursor(self, examples: int) -> dict[str, Any]:
        """Where a run stands in its data: what a checkpoint keeps of it."""
        return {"examples": examples, "fingerprint": loader.fingerprint(self.training)}

    def check_cursor(self, cursor: Mapping[str, Any], workdir: Any) -> None:
        """Raises a ValueError unless the training data is what the run in `workdir` began with."""
        expected, came = cursor["fingerprint"], loader.fingerprint(self.training)
        if expected != came:
            raise ValueError(
                f"--workdir={workdir}: expected the data it was trained on ({expected[:12]}), got other data "
                f"({came[:12]}); give back the old files, transforms, tokenizer and seq_len, or write another --workdir"
            )

    def train_batches(self, mesh: Mesh, *, start: int) -> Generator[dict[str, jax.Array], None, None]:
        """Global batches on the devices, from example `start` on, for ever."""
        size = self.run.train.batch_size
        with loader.train_batches(
            self.training,
            seed=self.run.seed,
            batch_size=size,
            row_range=meshes.local_rows(mesh, size),
            start=start,
            workers=self.run.data.workers,
        ) as local:
            yield from map(partial(meshes.place_batch, mesh, batch_size=size), local)

    def eval_batches(self, mesh: Mesh, evaluation: spec.Evaluation) -> Iterator[dict[str, jax.Array]]:
        """One pass over a split, the last batch filled up with rows of weight zero."""
        size, transforms = self.run.eval_batch_size(evaluation), self.eval_transforms(evaluation)
        with loader.eval_batches(
            self.evaluated(evaluation),
            batch_size=size,
            row_range=meshes.local_rows(mesh, size),
            transforms=transforms,
            workers=self.run.data.workers if transforms else 0,
        ) as local:
            yield from map(partial(meshes.place_batch, mesh, batch_size=size), local)
