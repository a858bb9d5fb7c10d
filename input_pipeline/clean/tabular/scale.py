"""Columns of numbers on one scale."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from input_pipeline.clean.record import Entry
from input_pipeline.clean.steps.table import Names, lost
from input_pipeline.clean.tabular.blocks import Block
from input_pipeline.clean.tabular.summaries import Extent, Moments, Sample, gather

Scales: TypeAlias = dict[str, tuple[float, float]]  # by column: what is taken off, and what is divided by


@dataclass(frozen=True)
class Standardize:
    """Each number less its column's centre, over its spread, of the training rows; missing ones stay missing.

    std: mean and standard deviation of the population; robust: median and the distance of the quartiles; minmax: least
    and greatest, so that training rows lie in [0, 1]. These are scikit-learn's StandardScaler, RobustScaler and
    MinMaxScaler. A spread of 0 divides by 1. Columns that say yes or no are left alone unless they are named.
    """

    rule: str = "std"
    columns: Names = ()

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule: expected one of {', '.join(RULES)}, got {self.rule!r}")

    def fit(self, like: Block, blocks: Iterable[Block]) -> "Standardized":
        """Of training rows."""
        found = RULES[self.rule](blocks, like.chosen_numbers(self.columns))
        scales = {name: (centre, spread or 1.0) for name, (centre, spread) in found.items() if centre == centre}
        return Standardized(self.rule, scales)


@dataclass(frozen=True)
class Standardized:
    """A fitted `Standardize`."""

    rule: str
    scales: Mapping[str, tuple[float, float]]  # a column without any value has none

    def __call__(self, block: Block) -> tuple[Block, list[Entry]]:
        names = tuple(self.scales)
        centre, spread = np.array([self.scales[name] for name in names]).reshape(-1, 2).T
        before = block.of(names)
        with np.errstate(over="ignore"):
            after = (before - centre) / spread
        return block.replaced(names, after), _overflows(block, names, before, after)


def _overflows(block: Block, names: tuple[str, ...], before: np.ndarray, after: np.ndarray) -> list[Entry]:
    """Of numbers too far from the centre for a float64, which become missing."""
    infinite = np.isinf(after)
    return [
        lost(block.records[row], "standardize.overflow", {names[i]: before[row, i] for i in np.flatnonzero(which)})
        for row, which in enumerate(infinite)
        if which.any()
    ]


def _std(blocks: Iterable[Block], names: tuple[str, ...]) -> Scales:
    gather(blocks, moments := Moments(names))
    return {name: (moments.mean(name), moments.std(name)) for name in names}


def _robust(blocks: Iterable[Block], names: tuple[str, ...]) -> Scales:
    gather(blocks, sample := Sample(names))
    return {name: (middle, high - low) for name, (low, middle, high) in quartiles(sample).items()}


def _minmax(blocks: Iterable[Block], names: tuple[str, ...]) -> Scales:
    gather(blocks, extent := Extent(names))
    present = [name for name in names if extent.counts[name]]
    return {name: (extent.least[name], extent.greatest[name] - extent.least[name]) for name in present}


def quartiles(sample: Sample) -> dict[str, tuple[float, float, float]]:
    """The quartiles of each column that has values, linear between two values (numpy's default method)."""
    columns = {name: sample.column(name) for name in sample.names}
    return {
        name: tuple(np.quantile(column, (0.25, 0.5, 0.75)).tolist()) for name, column in columns.items() if len(column)
    }


RULES: Mapping[str, Callable[[Iterable[Block], tuple[str, ...]], Scales]] = {
    "std": _std,
    "robust": _robust,
    "minmax": _minmax,
}
