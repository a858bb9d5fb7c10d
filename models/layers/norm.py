"""Layer norm (Ba et al., 2016, https://arxiv.org/abs/1607.06450) and RMS norm (Zhang and Sennrich, 2019,
https://arxiv.org/abs/1910.07467) over the last axis, computed in float32."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.layers.linear import param


class Norm(nnx.Module):
    """`kind` is "layer" (mean and variance, scale, and a bias if `use_bias`) or "rms" (scale alone)."""

    def __init__(self, size: int, *, kind: str, use_bias: bool, epsilon: float, param_dtype):
        self.kind = kind
        self.epsilon = epsilon
        self.scale = param(jnp.ones(size, param_dtype), "N")
        self.bias = param(jnp.zeros(size, param_dtype), "N") if kind == "layer" and use_bias else None

    def __call__(self, x_BLD: Float[Array, "B L D"], *, placement) -> Float[Array, "B L D"]:
        x = x_BLD.astype(jnp.float32)
        if self.kind == "layer":
            x = x - jnp.mean(x, axis=-1, keepdims=True)
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + self.epsilon)
        x = x * placement.weight(self.scale[...], "N").astype(jnp.float32)[None, None, :]
        if self.bias is not None:
            x = x + placement.weight(self.bias[...], "N").astype(jnp.float32)[None, None, :]
        return x.astype(x_BLD.dtype)
