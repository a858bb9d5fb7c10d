"""A weight and an optional bias whose shapes are written in the letters of `models/axes.py`."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from models import axes


def param(value: Array, letters: str) -> nnx.Param:
    """A parameter that carries its logical axes as metadata; stacking layers puts "layers" in front of them."""
    return nnx.Param(value, out_sharding=axes.names(letters), eager_sharding=False)


class Linear(nnx.Module):
    """`einsum(x, kernel) + bias`.

    `letters` is the kernel's shape, for example "DKGH"; `sizes` gives the size of each letter; `bias` the letters of the
    bias ("" for none). Kernels start normal with `std`, biases at zero. Stored in `param_dtype`, used in `dtype`.
    """

    def __init__(
        self,
        letters: str,
        *,
        sizes: dict[str, int],
        bias: str,
        std: float,
        param_dtype,
        dtype,
        rngs: nnx.Rngs,
    ):
        shape = tuple(sizes[letter] for letter in letters)
        self.letters = letters
        self.bias_letters = bias
        self.dtype = dtype
        self.kernel = param(jax.random.normal(rngs.params(), shape, param_dtype) * std, letters)
        bias_shape = tuple(sizes["D" if letter == "N" else letter] for letter in bias)
        self.bias = param(jnp.zeros(bias_shape, param_dtype), bias) if bias else None

    def __call__(self, equation: str, x: Array, *, placement) -> Array:
        y = placement.einsum(equation, x, self.kernel[...].astype(self.dtype))
        if self.bias is None:
            return y
        bias = placement.weight(self.bias[...].astype(self.dtype), self.bias_letters)
        return y + jnp.expand_dims(bias, range(y.ndim - bias.ndim))
