"""The choice of the next token: greedy, or drawn from the softmax, whole or cut to its likeliest part."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is drawn. The settings apply in the order in which they stand here, as in other tools.

    Each narrows what the one before left, and is taken in shares of that. Between equal logits the lower id counts as
    the likelier one, so every set has exactly the size that its definition gives it.
    """

    temperature: float = 1.0  # the logits are divided by it; 0: always the likeliest token
    top_k: int = 0  # the k likeliest (Fan et al., 2018, https://arxiv.org/abs/1805.04833); 0: all
    top_p: float = 1.0  # the fewest whose mass reaches p (Holtzman et al., 2020, https://arxiv.org/abs/1904.09751)
    min_p: float = 0.0  # those with this share of the likeliest one's mass (https://arxiv.org/abs/2407.01082)

    def __post_init__(self):
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature: expected a number of 0 (greedy) or more, got {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k: expected 0 (all tokens) or more, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: expected a share above 0, up to 1 (all tokens), got {self.top_p}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p: expected a share from 0 (all tokens) to 1, got {self.min_p}")

    def traced(self) -> "Settings":
        """The settings as arguments of a compiled program: other values compile nothing."""
        return Settings(
            jnp.float32(self.temperature), jnp.int32(self.top_k), jnp.float32(self.top_p), jnp.float32(self.min_p)
        )


class Settings(NamedTuple):
    """The fields of `Sampling`, as arrays."""

    temperature: Float[Array, ""]
    top_k: Int[Array, ""]
    top_p: Float[Array, ""]
    min_p: Float[Array, ""]


def choose(logits_BV: Float[Array, "B V"], keys_B: Key[Array, "B"], settings: Settings) -> Int[Array, "B"]:
    """The next token of each row. A row's choice depends on its own logits and key alone."""

    def greedy():
        return jnp.argmax(logits_BV, axis=-1)

    def drawn():
        return jax.vmap(jax.random.categorical)(keys_B, _tempered(logits_BV, settings))

    def drawn_from_the_likeliest():
        tempered_BV = _tempered(logits_BV, settings)
        kept_BV = likeliest(tempered_BV, settings)
        return jax.vmap(jax.random.categorical)(keys_B, jnp.where(kept_BV, tempered_BV, -jnp.inf))

    narrows = (settings.top_k > 0) | (settings.top_p < 1) | (settings.min_p > 0)
    branch = jnp.where(settings.temperature == 0, 0, jnp.where(narrows, 2, 1))
    return jax.lax.switch(branch, (greedy, drawn, drawn_from_the_likeliest)).astype(jnp.int32)


def _tempered(logits_BV: Float[Array, "B V"], settings: Settings) -> Float[Array, "B V"]:
    """The likeliest token is at 0, so that no temperature is too low to divide by."""
    top_B1 = jnp.max(logits_BV, axis=-1, keepdims=True)
    return (logits_BV - top_B1) / jnp.maximum(settings.temperature, jnp.finfo(jnp.float32).tiny)


def likeliest(logits_BV: Float[Array, "B V"], settings: Settings) -> Bool[Array, "B V"]:
    """Which tokens may be drawn by `top_k`, `top_p` and `min_p`; at least one of each row.

    Sorted by likelihood they are the first few, whatever the settings. So values are sorted, and ids never are.
    """
    sorted_BV = jnp.sort(logits_BV, axis=-1, descending=True)
    num_B1 = _num_likeliest(sorted_BV, settings)[:, None]
    least_B1 = jnp.take_along_axis(sorted_BV, num_B1 - 1, axis=-1)
    above_BV, equal_BV = logits_BV > least_B1, logits_BV == least_B1
    room_B1 = num_B1 - jnp.sum(above_BV, axis=-1, keepdims=True)
    return above_BV | (equal_BV & (jnp.cumsum(equal_BV, axis=-1) <= room_B1))


def _num_likeliest(sorted_BV: Float[Array, "B V"], settings: Settings) -> Int[Array, "B"]:
    """How many of the sorted logits are kept."""
    in_top_k_1V = (jnp.arange(sorted_BV.shape[-1]) < settings.top_k)[None] | (settings.top_k == 0)
    mass_BV = jax.nn.softmax(jnp.where(in_top_k_1V, sorted_BV, -jnp.inf), axis=-1)
    mass_before_BV = jnp.cumsum(mass_BV, axis=-1) - mass_BV
    # A sum of rounded shares may reach 1 before the last token does.
    in_top_p_BV = (mass_before_BV < settings.top_p) | (settings.top_p == 1)
    in_min_p_BV = mass_BV >= settings.min_p * mass_BV[:, :1]
    return jnp.maximum(jnp.sum(in_top_k_1V & in_top_p_BV & in_min_p_BV, axis=-1), 1)
