"""The norms of convolutional networks, chosen by config."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from models.layers.batch_norm import BatchNorm
from models.layers.group_norm import GroupNorm


@dataclasses.dataclass(frozen=True)
class MakeNorm:
    """Makes the norms of one network. `kind`: "batch", "group", or "none"."""

    kind: str
    num_groups: int
    momentum: float
    epsilon: float
    param_dtype: Any

    def __call__(self, size: int, *, start: float = 1.0) -> BatchNorm | GroupNorm | None:
        """A norm of so many channels, whose scale begins with `start`."""
        common = dict(start=start, epsilon=self.epsilon, param_dtype=self.param_dtype)
        if self.kind == "none":
            return None
        if self.kind == "batch":
            return BatchNorm(size, momentum=self.momentum, **common)
        return GroupNorm(size, num_groups=self.num_groups, **common)


def check(config: Any, channels: Sequence[int]) -> None:
    """Of a model's config its `norm_groups`, `norm_momentum` and `norm_epsilon`, beside the channels of its layers.

    Raises:
      ValueError: a number out of range, or groups that do not divide the channels.
    """
    if config.norm_epsilon <= 0:
        raise ValueError(f"model.norm_epsilon: expected a number above 0, got {config.norm_epsilon}")
    if not 0 <= config.norm_momentum < 1:
        raise ValueError(f"model.norm_momentum: expected a share in [0, 1), got {config.norm_momentum}")
    if config.norm_groups < 1:
        raise ValueError(f"model.norm_groups: expected at least 1, got {config.norm_groups}")
    if config.norm == "group" and any(size % config.norm_groups for size in channels):
        raise ValueError(
            f"model.norm_groups: expected a divisor of the channels of every layer, {tuple(channels)}, got "
            f"{config.norm_groups}; write {math.gcd(*channels)} or a divisor of it"
        )
