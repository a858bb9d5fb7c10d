"""The feed-forward layer: GELU and its kin, or gated SwiGLU and GeGLU (Shazeer, 2020, https://arxiv.org/abs/2002.05202)."""

from collections.abc import Callable, Mapping
from functools import partial

import jax
from flax import nnx
from jaxtyping import Array, Float

from models.layers.linear import MakeLinear

GELU = partial(jax.nn.gelu, approximate=True)  # the tanh form, as in GPT-2 and Gemma
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "gelu": GELU,
    "gelu_exact": partial(jax.nn.gelu, approximate=False),  # as in BERT and most vision Transformers
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "swiglu": jax.nn.silu,
    "geglu": GELU,
}
GATED = ("swiglu", "geglu")


class Mlp(nnx.Module):
    """`activation` is one of `ACTIVATIONS`; those in `GATED` multiply what it gives by a second projection."""

    def __init__(self, make: MakeLinear, *, activation: str):
        """`make` knows the sizes of D, F and T."""
        self.activation = activation
        self.up = make("DTF" if activation in GATED else "DF")
        self.down = make("FD")

    def __call__(self, x_BLD: Float[Array, "B L D"], *, placement) -> Float[Array, "B L D"]:
        function = ACTIVATIONS[self.activation]
        if self.activation in GATED:
            h_BLTF = self.up("BLD,DTF->BLTF", x_BLD, placement=placement)
            h_BLF = function(h_BLTF[:, :, 0]) * h_BLTF[:, :, 1]
        else:
            h_BLF = function(self.up("BLD,DF->BLF", x_BLD, placement=placement))
        return self.down("BLF,FD->BLD", h_BLF, placement=placement)
