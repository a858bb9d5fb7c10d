"""Evaluation: one pass over a split, exact over uneven ends and on any number of hosts."""

import dataclasses
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import jax

from train.durations import Cadence
from train.objectives.objective import Context, Objective, Sums
from train.state import State
from train.step import Batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator:
    """One named evaluation. Called with a state, it returns its metrics by name."""

    cadence: Cadence
    split: str
    eval_step: Callable[[State, State, Batch, Any], Sums]
    batches: Callable[[], Iterable[Batch]]  # one pass; rows of weight zero count nothing
    objective: Objective
    constants: Any
    context: Context
    part: str = "params"  # of the state: the parameters that are evaluated

    def __call__(self, state: State) -> dict[str, float]:
        """Sums come from the devices batch by batch and are merged in float64 on the host."""
        stats = state.get("stats", {})
        sums = [self.eval_step(state[self.part], stats, batch, self.constants) for batch in self.batches()]
        parts = [self.objective.metrics(part, self.context) for part in jax.device_get(sums)]
        merged = reduce(lambda one, other: {name: one[name].merge(other[name]) for name in one}, parts)
        return {name: metric.compute() for name, metric in merged.items()}
