"""Rotary position embeddings (Su et al., 2021, https://arxiv.org/abs/2104.09864), and frequencies for long contexts."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

KINDS = ("llama3", "linear")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """A stretch of the frequencies to longer contexts; `factor` 1 leaves them as they are.

    "llama3" stretches the slow ones, as in Llama 3.1 (https://arxiv.org/abs/2407.21783, section 3.4.3; the published
    ones use 8, 1, 4, 8192). "linear" divides all by `factor` alone (Chen et al., 2023,
    https://arxiv.org/abs/2306.15595), as Gemma 3 does from 4B on, by 8.
    """

    kind: str = "llama3"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_length: int = 8192

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"model.rope_scaling.kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.factor < 1 or self.original_length < 1 or self.low_freq_factor >= self.high_freq_factor:
            raise ValueError(
                f"model.rope_scaling: expected factor >= 1, original_length >= 1, low_freq_factor < high_freq_factor, "
                f"got {self}; write Llama 3.1's factor=8, low_freq_factor=1, high_freq_factor=4, original_length=8192"
            )


def frequencies(head_size: int, *, theta: float, scaling: RopeScaling) -> np.ndarray:
    """Angles a position turns by, in radians: [head_size / 2], fastest first."""
    freqs = theta ** (-np.arange(0, head_size, 2, dtype=np.float64) / head_size)
    if scaling.kind == "linear" or scaling.factor == 1:
        return freqs / scaling.factor
    turns = scaling.original_length * freqs / (2 * math.pi)  # whole turns within the original context
    smooth = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    smooth = np.clip(smooth, 0, 1)  # 0: stretched by the factor, 1: left alone
    return freqs * (smooth + (1 - smooth) / scaling.factor)


def rotate(
    x: Float[Array, "B L *heads H"], positions: Int[Array, "#B L *A"], freqs: Float[Array | np.ndarray, "*A R"]
) -> Float[Array, "B L *heads H"]:
    """Turns the pairs (i, i + H/2) of every head by its position's angles; there are H/2. Computed in float32.

    A position is one number and `freqs` are [H/2]; or it has several (the row and column of a patch), `freqs` have as
    many rows, and a pair's angle is the sum of what each number turns it by.
    """
    products = positions[..., None].astype(jnp.float32) * freqs[None, None]
    angles = products if freqs.ndim == 1 else jnp.sum(products, axis=2)
    angles = jnp.expand_dims(angles, range(2, x.ndim - 1))
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)
