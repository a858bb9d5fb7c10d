"""From the features of a row to its logits."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.layers.linear import param

STD = 0.01


class Head(nnx.Module):
    """A linear layer whose outputs are float32 in every compute dtype.

    It starts small, so that every class is about as likely, and not at 0, where embeddings would be all the same and
    without a gradient (Goyal et al., 2017, https://arxiv.org/abs/1706.02677, section 5.1). Kernel and bias are whole in
    use: there are few classes, and seldom as many as a mesh divides.
    """

    def __init__(self, size: int, num_outputs: int, *, param_dtype: Any, rngs: nnx.Rngs):
        self.kernel = param(jax.random.normal(rngs.params(), (size, num_outputs), param_dtype) * STD, "DC")
        self.bias = param(jnp.zeros(num_outputs, param_dtype), "C")

    def __call__(self, x_BD: Float[Array, "B D"], *, placement) -> Float[Array, "B C"]:
        logits_BC = placement.einsum("BD,DC->BC", x_BD, self.kernel[...].astype(x_BD.dtype), dtype=jnp.float32)
        return logits_BC + placement.spread(self.bias[...].astype(jnp.float32), "C", logits_BC)
