"""Batch norm (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167), computed in float32."""

from collections.abc import Callable
from functools import partial
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

    def __init__(self, size: int, *, start: float, momentum: float, epsilon: float, param_dtype: Any):
        """`start`: the scale's first value."""
        self.momentum = momentum
        self.epsilon = epsilon
        self.scale = param(jnp.full(size, start, param_dtype), "N")
        self.bias = param(jnp.zeros(size, param_dtype), "N")
        self.mean = statistic(jnp.zeros(size, jnp.float32))
        self.variance = statistic(jnp.ones(size, jnp.float32))

    def __call__(self, x: Float[Array, "B *dims N"], *, is_training: bool, placement) -> Float[Array, "B *dims N"]:
        y = x.astype(jnp.float32)
        scale, bias = self.scale[...].astype(jnp.float32), self.bias[...].astype(jnp.float32)
        if is_training:
            y, mean, variance = normalise(y, scale, bias, self.epsilon, placement.channel_sums)
            self._remember(mean, variance, count=x.size // x.shape[-1])
        else:
            y = _apply(y, scale, bias, self.mean[...], self.variance[...], self.epsilon)
        return y.astype(x.dtype)

    def _remember(self, mean, variance, *, count: int):
        share = 1 - self.momentum
        unbiased = variance * (count / max(count - 1, 1))
        self.mean[...] += share * (mean - self.mean[...])
        self.variance[...] += share * (unbiased - self.variance[...])


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def normalise(
    x: Float[Array, "B *dims N"],
    scale: Float[Array, "N"],
    bias: Float[Array, "N"],
    epsilon: float,
    sums: Callable[[Array], Array],
) -> tuple[Float[Array, "B *dims N"], Float[Array, "N"], Float[Array, "N"]]:
    """-> the normalised array, and the mean and (biased) variance of each channel, which have no gradient.

    `sums`: `Placement.channel_sums`. The backward pass is that of the paper, section 3, in two passes over the array.
    """
    return _normalise(x, scale, bias, epsilon, sums)[0]


def _normalise(x, scale, bias, epsilon, sums):
    count = x.size // x.shape[-1]
    mean = sums(x) / count
    variance = sums(jnp.square(x - jnp.expand_dims(mean, range(x.ndim - 1)))) / count
    return (_apply(x, scale, bias, mean, variance, epsilon), mean, variance), (x, scale, mean, variance)


def _apply(x, scale, bias, mean, variance, epsilon):
    """Vectors of channels lie whole wherever they are, so they need no `Placement`."""
    factor = scale * jax.lax.rsqrt(variance + epsilon)
    dims = range(x.ndim - 1)
    return x * jnp.expand_dims(factor, dims) + jnp.expand_dims(bias - mean * factor, dims)


def _gradients(epsilon, sums, kept, grads):
    x, scale, mean, variance = kept
    grad, count = grads[0], x.size // x.shape[-1]
    spread = partial(jnp.expand_dims, axis=range(x.ndim - 1))
    inverse = jax.lax.rsqrt(variance + epsilon)
    centred = x - spread(mean)
    bias_grad = sums(grad)
    scale_grad = sums(grad * centred) * inverse
    common = spread(bias_grad / count) + centred * spread(scale_grad * inverse / count)
    return spread(scale * inverse) * (grad - common), scale_grad, bias_grad


normalise.defvjp(_normalise, _gradients)
