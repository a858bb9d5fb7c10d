"""Layer norm (Ba et al., 2016, https://arxiv.org/abs/1607.06450) and RMS norm (Zhang and Sennrich, 2019,
https://arxiv.org/abs/1910.07467) over the last axis, computed in float32."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.layers.linear import param


class Norm(nnx.Module):
    """`kind` is "layer" (mean and variance, scale, and a bias if `use_bias`) or "rms" (scale alone).

    Gemma stores a scale as its distance w from 1, so that it starts at 0; we store 1 + w for every family. The
    gradients and Adam's updates are the same; weight decay, which would pull towards another point, leaves norms out
    (`optimizer.decay_mask`). Whoever reads or writes Gemma's own files adds or takes away the 1.
    """

    def __init__(self, size: int, *, letter: str, kind: str, use_bias: bool, epsilon: float, param_dtype):
        """`letter` names the axis that is normalised: "N" the residual stream, "H" a head."""
        self.kind = kind
        self.epsilon = epsilon
        self.letter = letter
        self.scale = param(jnp.ones(size, param_dtype), letter)
        self.bias = param(jnp.zeros(size, param_dtype), letter) if kind == "layer" and use_bias else None

    def __call__(self, x: Float[Array, "*rows N"], *, placement) -> Float[Array, "*rows N"]:
        y = x.astype(jnp.float32)
        if self.kind == "layer":
            y = y - jnp.mean(y, axis=-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.mean(jnp.square(y), axis=-1, keepdims=True) + self.epsilon)
        y = y * placement.spread(self.scale[...].astype(jnp.float32), self.letter, y)
        if self.bias is not None:
            y = y + placement.spread(self.bias[...].astype(jnp.float32), self.letter, y)
        return y.astype(x.dtype)
