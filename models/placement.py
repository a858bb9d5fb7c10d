"""What a model needs from a mesh, behind one small Protocol, and its plain form for one device.

A model never sees a mesh. Wherever the way of computing depends on how arrays lie on devices, it asks its `Placement`:
`train/parallel/placement.py` supplies one for meshes; `ONE_DEVICE` serves without.
"""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from models.layers.attention import Attend, attend
from models.layers.conv import Window, convolve

LayerFn = Callable[[Any, Any], tuple[Any, Any]]


class Placement(Protocol):
    """How arrays lie on devices. Shapes are written in the letters of `models/axes.py`."""

    def einsum(self, equation: str, x: Array, weight: Array, *, dtype: Any = None) -> Array:
        """`jnp.einsum` of an activation with a weight, which is gathered first; sums over devices come after."""
        ...

    def conv(self, x_BHWC: Float[Array, "B H W C"], kernel_IJCO: Float[Array, "I J C O"], *, stride: Window) -> Array:
        """`models.layers.conv.convolve` with a kernel that is gathered first -> [B, h, w, O]."""
        ...

    def lookup(self, table_VD: Float[Array, "V D"], ids_BL: Int[Array, "B L"]) -> Float[Array, "B L D"]:
        """Rows of an embedding table."""
        ...

    def weight(self, weight: Array, letters: str) -> Array:
        """A stored weight as it lies when it is used."""
        ...

    def spread(self, weight: Array, letters: str, x: Array) -> Array:
        """A stored scale or bias as it is used on `x`, whose last axes are `letters`: broadcasts against it."""
        ...

    def channel_sums(self, x: Float[Array, "B *dims N"]) -> Float[Array, "N"]:
        """Sums over the rows of all devices and their positions."""
        ...

    def activation(self, x: Array, letters: str) -> Array:
        """States how an activation lies."""
        ...

    @property
    def attend(self) -> Attend:
        """Attention over [B, L, K, G, H] queries and [B, S, K, H] keys and values."""
        ...

    def run_layers(self, layer_fn: LayerFn, carry: Any, stacked: Any, *, loop: str) -> tuple[Any, Any]:
        """Runs `carry, out = layer_fn(carry, slice)` over the leading axis of `stacked`; the outs come back stacked.

        `loop` is "scan", "unroll", or "auto": what is faster on these devices.
        """
        ...


def channel_sums(x: Float[Array, "B *dims N"]) -> Float[Array, "N"]:
    """The plain form of `Placement.channel_sums`."""
    return jnp.sum(x, axis=range(x.ndim - 1))


def loop_layers(layer_fn: LayerFn, carry: Any, stacked: Any, *, loop: str) -> tuple[Any, Any]:
    """`loop` is "scan" (one layer's program, run again and again) or "unroll" (every layer's own)."""
    if loop == "scan":
        return jax.lax.scan(layer_fn, carry, stacked)
    outs = []
    for index in range(len(jax.tree.leaves(stacked)[0])):
        carry, out = layer_fn(carry, jax.tree.map(lambda leaf, index=index: leaf[index], stacked))
        outs.append(out)
    return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outs)


class OneDevice:
    """The plain form: everything lies on one device, and layers run one after another."""

    attend = staticmethod(attend)
    conv = staticmethod(convolve)
    channel_sums = staticmethod(channel_sums)

    def einsum(self, equation, x, weight, *, dtype=None):
        return jnp.einsum(equation, x, weight, preferred_element_type=dtype)

    def lookup(self, table_VD, ids_BL):
        return table_VD[ids_BL]

    def weight(self, weight, letters):
        return weight

    def spread(self, weight, letters, x):
        return jnp.expand_dims(weight, range(x.ndim - weight.ndim))

    def activation(self, x, letters):
        return x

    def run_layers(self, layer_fn, carry, stacked, *, loop):
        return loop_layers(layer_fn, carry, stacked, loop="scan" if loop == "auto" else loop)


ONE_DEVICE = OneDevice()
