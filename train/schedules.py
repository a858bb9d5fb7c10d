"""Learning-rate schedules: the share of the peak rate at a step."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from train import durations

Shape = Callable[[Int[Array, ""]], Float[Array, ""]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Config section `optimizer.schedule`. `final` is the share of the peak rate that is left at the last step.

    Warmup is given in one of four units; `shape` wants it in steps (`durations.in_steps`).
    """

    name: str = "cosine"
    warmup_steps: int = 0
    warmup_tokens: int = 0
    warmup_examples: int = 0
    warmup_epochs: float = 0.0
    final: float = 0.0

    def __post_init__(self):
        if self.name not in SCHEDULES:
            raise ValueError(f"optimizer.schedule.name: expected one of {', '.join(SCHEDULES)}, got {self.name!r}")
        durations.check(self, "optimizer.schedule")
        if not 0 <= self.final <= 1:
            raise ValueError(f"optimizer.schedule.final: expected a share from 0 to 1, got {self.final}")

    def shape(self, num_steps: int) -> Shape:
        """-> a function of the step: linear warmup to 1, then this schedule until `num_steps`."""
        decay = SCHEDULES[self.name](max(num_steps - self.warmup_steps, 1), self.final)

        def value(step):
            warm = (step + 1) / (self.warmup_steps + 1)
            return jnp.where(step < self.warmup_steps, warm, decay(step - self.warmup_steps))

        return value


def constant(num_steps: int, final: float) -> Shape:
    """1 throughout."""
    return lambda step: jnp.ones((), jnp.float32)


def cosine(num_steps: int, final: float) -> Shape:
    """Half a cosine from 1 to `final`, without restarts (Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983)."""

    def value(step):
        progress = jnp.clip(step / num_steps, 0, 1)
        return final + (1 - final) * 0.5 * (1 + jnp.cos(jnp.pi * progress))

    return value


SCHEDULES = {"constant": constant, "cosine": cosine}
