"""Precision, recall, F1 and the confusion matrix, from weights added up by class.

A ratio 0 / 0 is 0, as scikit-learn's `zero_division=0`.
"""

import functools
from collections.abc import Callable
from typing import Self

import flax.struct
import numpy as np
from clu import metrics
from jaxtyping import Bool, Float, Int, Real


@flax.struct.dataclass
class Counts(metrics.Metric):
    """Weights by class: rows that are of it (`actual`), that were said to be (`predicted`), and both (`hits`)."""

    hits_C: np.ndarray
    predicted_C: np.ndarray
    actual_C: np.ndarray
    total: np.float64  # of all rows

    @classmethod
    def of_classes(
        cls,
        predicted_B: Int[np.ndarray, "B"],
        labels_B: Int[np.ndarray, "B"],
        weights_B: Float[np.ndarray, "B"],
        *,
        num_classes: int,
    ) -> Self:
        """One class a row."""
        count = functools.partial(np.bincount, minlength=num_classes)
        return cls(
            hits_C=count(labels_B, weights=weights_B * (predicted_B == labels_B)),
            predicted_C=count(predicted_B, weights=weights_B),
            actual_C=count(labels_B, weights=weights_B),
            total=weights_B.sum(),
        )

    @classmethod
    def of_labels(
        cls,
        predicted_BC: Bool[np.ndarray, "B C"],
        labels_BC: Bool[np.ndarray, "B C"],
        weights_B: Float[np.ndarray, "B"],
    ) -> Self:
        """Any number of classes a row."""
        return cls(
            hits_C=weights_B @ (predicted_BC & labels_BC),
            predicted_C=weights_B @ predicted_BC,
            actual_C=weights_B @ labels_BC,
            total=weights_B.sum(),
        )

    @classmethod
    def sharing(cls, counts: "Counts") -> Self:
        """The same counts as another metric."""
        return cls(counts.hits_C, counts.predicted_C, counts.actual_C, counts.total)

    @classmethod
    def empty(cls) -> Self:
        return cls(hits_C=np.zeros(()), predicted_C=np.zeros(()), actual_C=np.zeros(()), total=np.float64(0))

    def merge(self, other: Self) -> Self:
        return type(self)(
            hits_C=self.hits_C + other.hits_C,
            predicted_C=self.predicted_C + other.predicted_C,
            actual_C=self.actual_C + other.actual_C,
            total=self.total + other.total,
        )

    def pooled(self) -> "Counts":
        """All classes as one."""
        pool = lambda counts_C: counts_C.sum(keepdims=True)
        return Counts(pool(self.hits_C), pool(self.predicted_C), pool(self.actual_C), self.total)


Measure = Callable[[Counts], np.ndarray]
Average = Callable[[Measure, Counts], float]


def precision(counts: Counts) -> Float[np.ndarray, "C"]:
    """The share of hits among what was said to be of a class."""
    return ratio(counts.hits_C, counts.predicted_C)


def recall(counts: Counts) -> Float[np.ndarray, "C"]:
    """The share of hits among what is of a class."""
    return ratio(counts.hits_C, counts.actual_C)


def f1(counts: Counts) -> Float[np.ndarray, "C"]:
    """The harmonic mean of precision and recall."""
    return ratio(2 * counts.hits_C, counts.predicted_C + counts.actual_C)


def ratio(share: Real[np.ndarray, "*shape"], whole: Real[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """share / whole, 0 where the whole is 0. Counts of nothing come as integers from `np.bincount`."""
    return np.divide(share, whole, out=np.zeros(whole.shape), where=whole != 0)


def macro(measure: Measure, counts: Counts) -> float:
    """Each class alike, of those that occur among labels or predictions (scikit-learn's default `labels`)."""
    return measure(counts)[counts.actual_C + counts.predicted_C != 0].mean()


def macro_of_all(measure: Measure, counts: Counts) -> float:
    """Each class alike; one that does not occur counts 0 (scikit-learn's rule for several labels a row)."""
    return measure(counts).mean()


def weighted(measure: Measure, counts: Counts) -> float:
    """Each class by the weight of its rows."""
    return ratio((measure(counts) * counts.actual_C).sum(keepdims=True), counts.actual_C.sum(keepdims=True))[0]


def micro(measure: Measure, counts: Counts) -> float:
    """All classes as one."""
    return measure(counts.pooled())[0]


def positive(measure: Measure, counts: Counts) -> float:
    """The last class alone: the positive one of a binary problem."""
    return measure(counts)[-1]


@functools.cache
def score(measure: Measure, average: Average) -> type[Counts]:
    """The metric that averages a measure over classes: `score(f1, macro)`. Not a number without rows."""

    @flax.struct.dataclass
    class Score(Counts):
        def compute(self) -> float:
            return float(average(measure, self)) if self.total else float("nan")

    return Score


@flax.struct.dataclass
class Confusion(metrics.Metric):
    """The confusion matrix: weights by true class (rows) and predicted class (columns)."""

    matrix_CC: np.ndarray

    @classmethod
    def of(
        cls,
        predicted_B: Int[np.ndarray, "B"],
        labels_B: Int[np.ndarray, "B"],
        weights_B: Float[np.ndarray, "B"],
        *,
        num_classes: int,
    ) -> "Confusion":
        cells_B = labels_B.astype(np.int64) * num_classes + predicted_B
        cells = np.bincount(cells_B, weights=weights_B, minlength=num_classes**2)
        return cls(matrix_CC=cells.reshape(num_classes, num_classes))

    @classmethod
    def empty(cls) -> "Confusion":
        return cls(matrix_CC=np.zeros(()))

    def merge(self, other: "Confusion") -> "Confusion":
        return type(self)(matrix_CC=self.matrix_CC + other.matrix_CC)

    def compute(self) -> np.ndarray:
        return self.matrix_CC
