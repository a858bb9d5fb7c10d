"""The feed-forward layer: GELU, or gated SwiGLU (Shazeer, 2020, https://arxiv.org/abs/2002.05202)."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from models.layers.linear import MakeLinear


class Mlp(nnx.Module):
    """`activation` is "gelu" (the tanh form, as in GPT-2) or "swiglu"."""

    def __init__(self, make: MakeLinear, *, activation: str):
        """`make` knows the sizes of D, F and T."""
        self.is_gated = activation == "swiglu"
        self.up = make("DTF" if self.is_gated else "DF")
        self.down = make("FD")

    def __call__(self, x_BLD: Float[Array, "B L D"], *, placement) -> Float[Array, "B L D"]:
        if self.is_gated:
            h_BLTF = self.up("BLD,DTF->BLTF", x_BLD, placement=placement)
            h_BLF = jax.nn.silu(h_BLTF[:, :, 0]) * h_BLTF[:, :, 1]
        else:
            h_BLF = jax.nn.gelu(self.up("BLD,DF->BLF", x_BLD, placement=placement), approximate=True)
        return self.down("BLF,FD->BLD", h_BLF, placement=placement)
