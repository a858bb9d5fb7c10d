"""How much of the labels' variance predictions explain."""

import flax.struct
import numpy as np
from clu import metrics
from jaxtyping import Float

from train.metrics.counts import ratio


@flax.struct.dataclass
class R2(metrics.Metric):
    """The coefficient of determination, each of K outputs alike (scikit-learn's `uniform_average`).

    Squares are taken about the mean and merged so (Chan, Golub and LeVeque, 1983, equation 1.5): labels far from 0 lose
    no digits. Constant labels give 1 if all were met exactly, else 0; fewer than two rows are not a number.
    """

    num_rows: np.int64
    weight: np.float64
    mean_K: np.ndarray
    spread_K: np.ndarray  # squared distances of labels from their mean
    error_K: np.ndarray  # squared distances of labels from predictions

    @classmethod
    def of(
        cls,
        predictions_BK: Float[np.ndarray, "B K"],
        labels_BK: Float[np.ndarray, "B K"],
        weights_B: Float[np.ndarray, "B"],
    ) -> "R2":
        if not len(weights_B):
            return cls.empty()
        shifted_BK = labels_BK - labels_BK[0]  # equal labels have this very mean, without rounding
        shift_K = weights_B @ shifted_BK / weights_B.sum()
        return cls(
            num_rows=np.int64(len(weights_B)),
            weight=weights_B.sum(),
            mean_K=labels_BK[0] + shift_K,
            spread_K=weights_B @ np.square(shifted_BK - shift_K),
            error_K=weights_B @ np.square(predictions_BK - labels_BK),
        )

    @classmethod
    def empty(cls) -> "R2":
        nothing = np.zeros(())
        return cls(np.int64(0), np.float64(0), mean_K=nothing, spread_K=nothing, error_K=nothing)

    def merge(self, other: "R2") -> "R2":
        if not (self.num_rows and other.num_rows):
            return self if self.num_rows else other
        weight = self.weight + other.weight
        between_K = other.mean_K - self.mean_K
        return type(self)(
            num_rows=self.num_rows + other.num_rows,
            weight=weight,
            mean_K=self.mean_K + between_K * (other.weight / weight),
            spread_K=self.spread_K + other.spread_K + between_K**2 * (self.weight * other.weight / weight),
            error_K=self.error_K + other.error_K,
        )

    def compute(self) -> float:
        if self.num_rows < 2:
            return float("nan")
        explained_K = 1 - ratio(self.error_K, self.spread_K)
        return float(np.where((self.spread_K == 0) & (self.error_K != 0), 0.0, explained_K).mean())
