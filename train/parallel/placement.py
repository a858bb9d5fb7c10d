"""What models are handed to compute on a mesh: the mesh form of `models.placement.Placement`.

The axes are Explicit, so every collective stands here: gathering a weight that `fsdp` cut is `jax.reshard`, whose
transpose scatters the gradient; a sum over `tensor` is an einsum whose output sharding drops the axis.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from models.layers.attention import attend
from models.layers.conv import Window, convolve
from models.placement import LayerFn, channel_sums, loop_layers
from train.parallel import rules
from train.parallel.attention import splash

REMAT_POLICIES = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Remat:
    """What the backward pass computes again (config section `remat`): "none", "dots" (all but matmuls), or "full"."""

    policy: str = "none"

    def __post_init__(self):
        if self.policy not in REMAT_POLICIES:
            raise ValueError(f"remat.policy: expected one of {', '.join(REMAT_POLICIES)}, got {self.policy!r}")


@dataclasses.dataclass(frozen=True)
class MeshPlacement:
    """Arrays lie as `rules.USED` says; to be used under `jax.set_mesh` of an Explicit mesh.

    `attention`: the form of attention within rows, "plain" or "splash" (`train/parallel/attention.py` chooses).
    """

    remat: Remat = Remat()
    attention: str = "plain"
    channel_sums = staticmethod(channel_sums)

    def einsum(self, equation: str, x: jax.Array, weight: jax.Array, *, dtype: Any = None) -> jax.Array:
        inputs, _, output = equation.partition("->")
        weight = self.weight(weight, inputs.split(",")[1])
        return jnp.einsum(equation, x, weight, out_sharding=rules.used(output), preferred_element_type=dtype)

    def conv(self, x_BHWC: jax.Array, kernel_IJCO: jax.Array, *, stride: Window) -> jax.Array:
        return convolve(x_BHWC, self.weight(kernel_IJCO, "IJCN"), stride=stride)

    def lookup(self, table_VD: jax.Array, ids_BL: jax.Array) -> jax.Array:
        return self.weight(table_VD, "VD").at[ids_BL].get(out_sharding=rules.used("BLD"))

    def weight(self, weight: jax.Array, letters: str) -> jax.Array:
        return jax.reshard(weight, rules.used(letters))

    def spread(self, weight: jax.Array, letters: str, x: jax.Array) -> jax.Array:
        return jnp.expand_dims(self.weight(weight, letters), range(x.ndim - weight.ndim))

    def activation(self, x: jax.Array, letters: str) -> jax.Array:
        return jax.reshard(x, rules.used(letters))

    def everywhere(self, x: jax.Array) -> jax.Array:
        """An array whole on every device."""
        return jax.reshard(x, jax.P(*[None] * x.ndim))

    def attend(self, q_BLKGH, k_BSKH, v_BSKH, *, scoring, window, segments_BL, offset_B):
        if self.attention == "splash" and offset_B is None:  # no cache
            return splash(q_BLKGH, k_BSKH, v_BSKH, scoring=scoring, window=window, segments_BL=segments_BL)
        return attend(
            q_BLKGH,
            k_BSKH,
            v_BSKH,
            scoring=scoring,
            window=window,
            segments_BL=segments_BL,
            offset_B=offset_B,
        )

    def run_layers(self, layer_fn: LayerFn, carry: Any, stacked: Any, *, loop: str) -> tuple[Any, Any]:
        if self.remat.policy != "none":
            layer_fn = jax.checkpoint(layer_fn, policy=REMAT_POLICIES[self.remat.policy])
        return loop_layers(layer_fn, carry, stacked, loop="scan" if loop == "auto" else loop)
