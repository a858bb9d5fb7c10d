"""Batch norm (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167), computed in float32."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models import axes
from models.layers.linear import param


def statistic(value: Float[Array, "N"]) -> nnx.BatchStat:
    """What a model gathers while it trains, beside its parameters: whole on every device."""
    return nnx.BatchStat(value, out_sharding=axes.names("N"), eager_sharding=False)


class BatchNorm(nnx.Module):
    """Normalises each channel by its mean and variance over all rows of the global batch and their positions.

    While training it also keeps running averages, which evaluation uses: `momentum` of the old and the rest of the
    batch's, its variance unbiased (algorithm 2).
    """

    def __init__(self, size: int, *, momentum: float, epsilon: float, param_dtype: Any):
        self.momentum = momentum
        self.epsilon = epsilon
        self.scale = param(jnp.ones(size, param_dtype), "N")
        self.bias = param(jnp.zeros(size, param_dtype), "N")
        self.mean = statistic(jnp.zeros(size, jnp.float32))
        self.variance = statistic(jnp.ones(size, jnp.float32))

    def __call__(self, x: Float[Array, "B *dims N"], *, is_training: bool, placement) -> Float[Array, "B *dims N"]:
        if is_training:
            mean, variance = placement.moments(x)
            self._remember(mean, variance, count=math.prod(x.shape[:-1]))
        else:
            mean, variance = self.mean[...], self.variance[...]
        scale = self.scale[...].astype(jnp.float32) * jax.lax.rsqrt(variance + self.epsilon)
        shift = self.bias[...].astype(jnp.float32) - mean * scale
        y = x.astype(jnp.float32)
        return (y * placement.spread(scale, "N", y) + placement.spread(shift, "N", y)).astype(x.dtype)

    def _remember(self, mean, variance, *, count: int):
        share = 1 - self.momentum
        unbiased = variance * (count / max(count - 1, 1))
        self.mean[...] += share * (jax.lax.stop_gradient(mean) - self.mean[...])
        self.variance[...] += share * (jax.lax.stop_gradient(unbiased) - self.variance[...])


def moments(x: Float[Array, "B *dims N"]) -> tuple[Float[Array, "N"], Float[Array, "N"]]:
    """Mean and variance (biased) of each channel, in float32."""
    x = x.astype(jnp.float32)
    dims = tuple(range(x.ndim - 1))
    mean = jnp.mean(x, axis=dims)
    return mean, jnp.mean(jnp.square(x - jnp.expand_dims(mean, dims)), axis=dims)
