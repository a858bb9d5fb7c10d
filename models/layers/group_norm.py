"""Group norm (Wu and He, 2018, https://arxiv.org/abs/1803.08494), computed in float32: each row stands for itself."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.layers.linear import param


class GroupNorm(nnx.Module):
    """Normalises the channels of a group together, over all positions of a row; then a scale and a bias a channel."""

    def __init__(self, size: int, *, start: float, num_groups: int, epsilon: float, param_dtype: Any):
        """`start`: the scale's first value."""
        self.num_groups = num_groups
        self.epsilon = epsilon
        self.scale = param(jnp.full(size, start, param_dtype), "N")
        self.bias = param(jnp.zeros(size, param_dtype), "N")

    def __call__(self, x_BHWC: Float[Array, "B H W C"], *, is_training: bool, placement) -> Float[Array, "B H W C"]:
        """Neither training nor devices make a difference: both stand there for batch norm's sake."""
        *positions, size = x_BHWC.shape
        y = x_BHWC.astype(jnp.float32).reshape(*positions, self.num_groups, size // self.num_groups)
        y = y - jnp.mean(y, axis=(1, 2, 4), keepdims=True)
        y = y * jax.lax.rsqrt(jnp.mean(jnp.square(y), axis=(1, 2, 4), keepdims=True) + self.epsilon)
        y = y.reshape(x_BHWC.shape)
        y = y * jnp.expand_dims(self.scale[...].astype(jnp.float32), (0, 1, 2))
        return (y + jnp.expand_dims(self.bias[...].astype(jnp.float32), (0, 1, 2))).astype(x_BHWC.dtype)
