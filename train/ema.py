"""An exponential moving average of the parameters, beside those that are trained (Polyak and Juditsky, 1992)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

# What an evaluation or a sample may take its parameters from, and where the state holds it.
PARAMS = {"trained": "params", "ema": "ema"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ema:
    """Config section `ema`. The average moves by 1 - decay of the way at each step that is not skipped.

    `warmup` keeps a young average from remembering the initial values: its decay is at most (1 + t) / (10 + t) after t
    updates (https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage).
    """

    decay: float = 0.0  # 0: no average is kept
    warmup: bool = True

    def __post_init__(self):
        if not 0 <= self.decay < 1:
            raise ValueError(f"ema.decay: expected 0 (no average) or a number below 1, got {self.decay}; write 0.999")

    def start(self, params: Any) -> Any:
        """An average that has seen `params` alone, in float32, in memory of its own."""
        return jax.tree.map(lambda leaf: jnp.array(leaf, jnp.float32, copy=True), params)

    def update(self, average: Any, params: Any, num_updates: Int[Array, ""]) -> Any:
        """The average with one more step's parameters in it, after `num_updates` others."""
        young = (1 + num_updates) / (10 + num_updates)
        decay = jnp.minimum(self.decay, young) if self.warmup else self.decay
        move = lambda old, new: old + (1 - decay) * (new.astype(jnp.float32) - old)
        return jax.tree.map(move, average, params)


def check_params(name: str, ema: Ema, *, path: str) -> None:
    """Raises a ValueError unless `name` is a choice of parameters that this run has."""
    if name not in PARAMS:
        raise ValueError(f"{path}: expected one of {', '.join(PARAMS)}, got {name!r}")
    if name == "ema" and not ema.decay:
        raise ValueError(
            f"{path}: 'ema' needs an average of the parameters, and ema.decay is 0; train with ema.decay=0.999"
        )
