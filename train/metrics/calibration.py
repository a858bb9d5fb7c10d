"""Whether what is said with a confidence of 0.8 is right in 8 of 10 cases."""

from typing import NamedTuple, Self

import flax.struct
import numpy as np
from clu import metrics
from jaxtyping import Float, Shaped

from train.metrics.counts import ratio

NUM_BINS = 15
EDGES_N = np.linspace(0, 1, NUM_BINS + 1)


class Bins(NamedTuple):
    """Bins (low, high] of confidence, the first with its 0; means are 0 in a bin that nothing fell into."""

    low_N: Float[np.ndarray, "N"]
    high_N: Float[np.ndarray, "N"]
    count_N: Float[np.ndarray, "N"]
    confidence_N: Float[np.ndarray, "N"]
    accuracy_N: Float[np.ndarray, "N"]


@flax.struct.dataclass
class CalibrationError(metrics.Metric):
    """Expected calibration error: the mean distance of confidence and accuracy over 15 bins of one width (Guo et al.,
    2017, https://arxiv.org/abs/1706.04599, section 2)."""

    count_N: np.ndarray
    confidence_N: np.ndarray
    correct_N: np.ndarray

    @classmethod
    def of(
        cls,
        confidence_B: Float[np.ndarray, "B"],
        correct_B: Shaped[np.ndarray, "B"],
        weights_B: Float[np.ndarray, "B"],
    ) -> Self:
        """`correct`: 1 where what was said with this confidence is true, else 0."""
        bins_B = np.searchsorted(EDGES_N[1:-1], confidence_B)
        total = lambda values_B: np.bincount(bins_B, weights=values_B, minlength=NUM_BINS)
        return cls(
            count_N=total(weights_B),
            confidence_N=total(weights_B * confidence_B),
            correct_N=total(weights_B * correct_B),
        )

    @classmethod
    def empty(cls) -> Self:
        return cls(count_N=np.zeros(NUM_BINS), confidence_N=np.zeros(NUM_BINS), correct_N=np.zeros(NUM_BINS))

    def merge(self, other: Self) -> Self:
        return type(self)(
            count_N=self.count_N + other.count_N,
            confidence_N=self.confidence_N + other.confidence_N,
            correct_N=self.correct_N + other.correct_N,
        )

    def bins(self) -> Bins:
        confidence_N, accuracy_N = ratio(self.confidence_N, self.count_N), ratio(self.correct_N, self.count_N)
        return Bins(EDGES_N[:-1], EDGES_N[1:], self.count_N, confidence_N, accuracy_N)

    def compute(self) -> float:
        total = self.count_N.sum()
        return float(np.abs(self.confidence_N - self.correct_N).sum() / total) if total else float("nan")
