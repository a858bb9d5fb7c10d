"""A weight and an optional bias whose shapes are written in the letters of `models/axes.py`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from models import axes


def param(value: Array, letters: str) -> nnx.Param:
    """A parameter that carries its logical axes as metadata; stacking layers puts "layers" in front of them."""
    return nnx.Param(value, out_sharding=axes.names(letters), eager_sharding=False)


@dataclasses.dataclass(frozen=True)
class MakeLinear:
    """Makes the Linear layers of one block, which have sizes, dtypes and biases in common.

    Kernels start normal: those that end in D write into the residual stream and have `residual_std`, others `std`.
    """

    sizes: Mapping[str, int]  # of each letter
    use_bias: bool
    std: float
    residual_std: float
    param_dtype: Any
    compute_dtype: Any
    rngs: nnx.Rngs

    def __call__(self, letters: str) -> "Linear":
        """`letters` is the kernel's shape, such as "DKGH": from D to K, G and H, or "FD": from F to D."""
        std = self.residual_std if letters.endswith("D") else self.std
        kernel = self._normal(letters) * std
        bias_letters = "N" if letters.endswith("D") else letters.removeprefix("D")
        bias_shape = [self.sizes["D" if letter == "N" else letter] for letter in bias_letters]
        bias = jnp.zeros(bias_shape, self.param_dtype) if self.use_bias else None
        return Linear(kernel, letters, bias, bias_letters, dtype=self.compute_dtype)

    def _normal(self, letters: str) -> Array:
        shape = tuple(self.sizes[letter] for letter in letters)
        return jax.random.normal(self.rngs.params(), shape, self.param_dtype)


class Linear(nnx.Module):
    """`einsum(x, kernel) + bias`, computed in `dtype`."""

    def __init__(self, kernel: Array, letters: str, bias: Array | None, bias_letters: str, *, dtype: Any):
        self.kernel = param(kernel, letters)
        self.bias = None if bias is None else param(bias, bias_letters)
        self.bias_letters = bias_letters
        self.dtype = jnp.dtype(dtype)

    def __call__(self, equation: str, x: Array, *, placement) -> Array:
        y = placement.einsum(equation, x, self.kernel[...].astype(self.dtype))
        if self.bias is None:
            return y
        return y + placement.spread(self.bias[...].astype(self.dtype), self.bias_letters, y)
