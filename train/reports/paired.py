"""Runs compared seed by seed: the mean of their differences, and how sure of it one may be."""

import dataclasses
import math
from collections.abc import Sequence

LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Difference:
    """The mean difference over seeds, and half the width of its interval."""

    mean: float
    half: float

    @property
    def sign(self) -> int:
        """-1 or 1 where the interval lies on one side of 0, else 0: undecided."""
        if not abs(self.mean) > self.half:
            return 0
        return 1 if self.mean > 0 else -1


def difference(values: Sequence[float], baseline: Sequence[float], *, level: float = LEVEL) -> Difference:
    """Student's t interval of paired differences; with a single seed it has no end."""
    from scipy import stats

    by_seed = [value - base for value, base in zip(values, baseline, strict=True)]
    count = len(by_seed)
    mean = math.fsum(by_seed) / count
    if count < 2:
        return Difference(mean, math.inf)
    error = math.sqrt(math.fsum((each - mean) ** 2 for each in by_seed) / (count - 1) / count)
    return Difference(mean, float(stats.t.ppf((1 + level) / 2, count - 1)) * error)
