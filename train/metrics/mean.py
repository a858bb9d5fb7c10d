"""Weighted means: totals and counts that merge exactly over batches."""

import flax.struct
import numpy as np
from clu import metrics


@flax.struct.dataclass
class Mean(metrics.Metric):
    """A weighted mean: `total / count`. Merging adds both, so uneven batches weigh what they hold."""

    total: np.float64
    count: np.float64

    @classmethod
    def of(cls, total, count) -> "Mean":
        return cls(total=np.float64(total), count=np.float64(count))

    @classmethod
    def empty(cls) -> "Mean":
        return cls.of(0, 0)

    def merge(self, other: "Mean") -> "Mean":
        return type(self)(total=self.total + other.total, count=self.count + other.count)

    def compute(self) -> float:
        """The mean; not a number if nothing was counted."""
        return float(self.total / self.count) if self.count else float("nan")


@flax.struct.dataclass
class Perplexity(Mean):
    """exp of the mean negative log likelihood a token, in nats."""

    def compute(self) -> float:
        return float(np.exp(super().compute()))


@flax.struct.dataclass
class Bits(Mean):
    """The mean in bits, of a total in nats; with bytes of text as the count, bits per byte."""

    def compute(self) -> float:
        return float(super().compute() / np.log(2))
