"""Numbers far from the others of their column: clipped, flagged, or their rows removed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from input_pipeline.clean.record import CHANGED, REMOVED, Entry, excerpt
from input_pipeline.clean.steps.table import Names
from input_pipeline.clean.tabular.blocks import Block
from input_pipeline.clean.tabular.scale import quartiles
from input_pipeline.clean.tabular.summaries import Moments, Sample, gather

Limits: TypeAlias = dict[str, tuple[float, float]]
_GAUSSIAN = 0.6745  # of a normal distribution, its median absolute deviation over its standard deviation


@dataclass(frozen=True)
class Outliers:
    """A number outside the limits of its column, found on training rows.

    zscore: mean +- limit standard deviations (of the population). iqr: quartiles -+ limit times their distance (J.
    Tukey, "Exploratory Data Analysis", 1977, section 2D: 1.5 is the inner fence, 3 the outer). mad: median +- limit
    median absolute deviations / 0.6745 (B. Iglewicz, D. Hoaglin, "How to Detect and Handle Outliers", 1993: 3.5).

    A column whose spread is 0, as where most values are one, has no limits; nor have those that say yes or no.
    """

    rule: str = "iqr"
    limit: float = 0.0  # 0: the published one
    columns: Names = ()
    action: ClassVar[str] = "clip"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule: expected one of {', '.join(RULES)}, got {self.rule!r}")
        if self.limit < 0:
            raise ValueError(f"limit: expected a number above 0, or 0 for the published one, got {self.limit}")

    def fit(self, like: Block, blocks: Iterable[Block]) -> "Limited":
        """Of training rows."""
        find, published = RULES[self.rule]
        limits = find(blocks, like.chosen_numbers(self.columns), self.limit or published)
        return Limited(self.action, self.rule, {name: pair for name, pair in limits.items() if pair[0] < pair[1]})


@dataclass(frozen=True)
class RemoveOutliers(Outliers):
    """Removes the row: see `Outliers`. In every split; a score on rows left over may flatter."""

    action: ClassVar[str] = "remove"


@dataclass(frozen=True)
class FlagOutliers(Outliers):
    """Adds a column `<column>_outlier` of 0 and 1 for each that has limits: see `Outliers`."""

    action: ClassVar[str] = "flag"


@dataclass(frozen=True)
class Limited:
    """Fitted limits."""

    action: str
    rule: str
    limits: Mapping[str, tuple[float, float]]

    def __call__(self, block: Block) -> tuple[Block, list[Entry]]:
        names = tuple(self.limits)
        low, high = np.array([self.limits[name] for name in names]).reshape(-1, 2).T
        numbers = block.of(names)
        outside = (numbers < low) | (numbers > high)
        has_any: np.ndarray = np.logical_or.reduce(outside, axis=1)
        rows = np.flatnonzero(has_any).tolist()
        entries = [self._entry(block.records[row].id, names, numbers[row], outside[row]) for row in rows]
        if self.action == "remove":
            return block.take(~has_any), entries
        if self.action == "flag":
            return block.with_columns(
                [f"{name}_outlier" for name in names], outside.astype(float), are_flags=True
            ), entries
        return block.replaced(names, np.clip(numbers, low, high)), entries

    def _entry(self, row: str, names: tuple[str, ...], numbers_F: np.ndarray, outside_F: np.ndarray) -> Entry:
        """The first of them, and in the excerpt all."""
        places = np.flatnonzero(outside_F).tolist()
        value = float(numbers_F[places[0]])
        low, high = self.limits[names[places[0]]]
        told = excerpt(", ".join(f"{names[place]}: {numbers_F[place]:.6g}" for place in places[:20]))
        removed = REMOVED if self.action == "remove" else CHANGED
        rule, limit = f"{self.action}_outliers.{self.rule}", low if value < low else high
        return Entry(row, rule, _rounded(value), _rounded(limit), removed, told)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _zscore(blocks: Iterable[Block], names: tuple[str, ...], limit: float) -> Limits:
    gather(blocks, moments := Moments(names))
    return {name: _around(moments.mean(name), limit * moments.std(name)) for name in names}


def _iqr(blocks: Iterable[Block], names: tuple[str, ...], limit: float) -> Limits:
    gather(blocks, sample := Sample(names))
    found = quartiles(sample).items()
    return {
        name: (low - limit * (high - low), high + limit * (high - low)) for name, (low, _, high) in found if low < high
    }


def _mad(blocks: Iterable[Block], names: tuple[str, ...], limit: float) -> Limits:
    gather(blocks, sample := Sample(names))
    columns = {name: column for name in names if len(column := sample.column(name))}
    middles = {name: float(np.median(column)) for name, column in columns.items()}
    return {
        name: _around(middle, limit * float(np.median(np.abs(columns[name] - middle))) / _GAUSSIAN)
        for name, middle in middles.items()
    }


def _around(middle: float, distance: float) -> tuple[float, float]:
    return middle - distance, middle + distance


RULES: Mapping[str, tuple[Callable[[Iterable[Block], tuple[str, ...], float], Limits], float]] = {
    "zscore": (_zscore, 3.0),
    "iqr": (_iqr, 1.5),
    "mad": (_mad, 3.5),
}
