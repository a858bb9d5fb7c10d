"""Evaluation: one pass over a split, exact over uneven ends and on any number of hosts."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import numpy as np

from train.durations import Cadence
from train.findings.kept import Found
from train.objectives.objective import Context, Objective, Sums
from train.state import State
from train.step import Batch


class Reading(NamedTuple):
    """What one pass over a split measured: metrics by name, and what the objective keeps of each row, by batch."""

    metrics: dict[str, float]
    parts: Sequence[Mapping[str, np.ndarray]]

    def rows(self) -> dict[str, np.ndarray]:
        """[N, ...] of each; rows of weight zero fill up the end and are left out. {} where nothing is kept."""
        names = self.parts[0] if self.parts else {}
        whole = {name: np.concatenate([part[name] for part in self.parts]) for name in names}
        return {name: rows[whole["weights"] > 0] for name, rows in whole.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator:
    """One named evaluation. Called with a state, it reads its split once."""

    cadence: Cadence
    split: str
    eval_step: Callable[[State, State, Batch, Any], Sums]
    batches: Callable[[], Iterable[Batch]]  # one pass; rows of weight zero count nothing
    objective: Objective
    constants: Any
    context: Context
    explain: Callable[[Mapping[str, np.ndarray]], Found] | None  # of the rows of a reading; None: nothing is told
    part: str = "params"  # of the state: the parameters that are evaluated

    def __call__(self, state: State) -> Reading:
        """Sums come from the devices batch by batch and are merged in float64 on the host."""
        stats = state.get("stats", {})
        sums = (self.eval_step(state[self.part], stats, batch, self.constants) for batch in self.batches())
        fetched = list(_fetched(sums))
        parts = [self.objective.metrics(part, self.context) for part in fetched]
        merged = reduce(lambda one, other: {name: one[name].merge(other[name]) for name in one}, parts)
        return Reading({name: metric.compute() for name, metric in merged.items()}, [part.rows for part in fetched])

    def found(self, reading: Reading, *, step: int) -> Found | None:
        """What the report is to tell of a reading at its last step; None: nothing, or the objective keeps no rows."""
        rows = reading.rows() if self.explain else {}
        if not (rows and self.explain):
            return None
        facts, files = self.explain(rows)
        return Found({"step": step, "split": self.split, **facts, "metrics": reading.metrics}, files)


def _fetched(sums: Iterable[Sums]) -> Iterator[Sums]:
    """Each on the host, one behind the devices: they keep no more than two batches' rows."""
    running: Sums | None = None
    for one in sums:
        if running is not None:
            yield jax.device_get(running)
        running = one
    if running is not None:
        yield jax.device_get(running)
