"""Grouped-query attention (Ainslie et al., 2023, https://arxiv.org/abs/2305.13245), in documents or with a cache."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from models.layers.linear import MakeLinear
from models.layers.rope import Rope


class Attend(Protocol):
    """Softmax attention in which a query sees the keys that `visible` allows.

    `segments_BL`: queries see keys of their own segment alone. `offset_B`: the index of the first query among the keys.
    """

    def __call__(
        self,
        q_BLKGH: Float[Array, "B L K G H"],
        k_BSKH: Float[Array, "B S K H"],
        v_BSKH: Float[Array, "B S K H"],
        *,
        segments_BL: Int[Array, "B L"] | None,
        offset_B: Int[Array, "B"] | None,
        dtype: Any,
    ) -> Float[Array, "B L K G H"]: ...


def visible(segments_BL: Array | None, offset_B: Array | None, shape: tuple[int, int, int]) -> Bool[Array, "B L S"]:
    """Which keys each query sees: none that comes later, none of another segment. `shape` is [B, L, S]."""
    _, num_queries, num_keys = shape
    query_1L1 = jnp.arange(num_queries)[None, :, None]
    key_11S = jnp.arange(num_keys)[None, None, :]
    if offset_B is not None:
        query_1L1 = query_1L1 + offset_B[:, None, None]
    mask_BLS = key_11S <= query_1L1
    if segments_BL is not None:
        mask_BLS = mask_BLS & (segments_BL[:, :, None] == segments_BL[:, None, :])
    return mask_BLS


def attend(q_BLKGH, k_BSKH, v_BSKH, *, segments_BL, offset_B, dtype):
    """Attention that materialises its weights; the softmax runs in `dtype`. See `Attend`."""
    shape = (q_BLKGH.shape[0], q_BLKGH.shape[1], k_BSKH.shape[1])
    mask_BLS = visible(segments_BL, offset_B, shape)
    scale = q_BLKGH.shape[-1] ** -0.5
    logits_BKGLS = jnp.einsum("BLKGH,BSKH->BKGLS", q_BLKGH * scale, k_BSKH, preferred_element_type=dtype)
    logits_BKGLS = jnp.where(mask_BLS[:, None, None], logits_BKGLS, jnp.finfo(dtype).min)
    weights_BKGLS = jax.nn.softmax(logits_BKGLS, axis=-1).astype(v_BSKH.dtype)
    return jnp.einsum("BKGLS,BSKH->BLKGH", weights_BKGLS, v_BSKH)


class KeyValues(NamedTuple):
    """One layer's keys and values of the positions that were seen."""

    k_BSKH: Float[Array, "B S K H"]
    v_BSKH: Float[Array, "B S K H"]

    def write(self, k_BLKH: Array, v_BLKH: Array, offset_B: Int[Array, "B"]) -> "KeyValues":
        """Puts new positions at `offset_B` of each row."""
        put = jax.vmap(lambda old, new, at: jax.lax.dynamic_update_slice_in_dim(old, new, at, axis=0))
        return KeyValues(put(self.k_BSKH, k_BLKH, offset_B), put(self.v_BSKH, v_BLKH, offset_B))


class Attention(nnx.Module):
    """Projections, rotary positions and attention; its output joins the residual stream."""

    def __init__(self, make: MakeLinear, *, rope: Rope | None, softmax_dtype: Any):
        """`make` knows the sizes of D, K, G and H; without `rope` positions are not looked at."""
        self.query = make("DKGH")
        self.key = make("DKH")
        self.value = make("DKH")
        self.out = make("KGHD")
        self.rope = rope
        self.softmax_dtype = jnp.dtype(softmax_dtype)

    def __call__(self, x_BLD, *, positions_BL, segments_BL, past: KeyValues | None, offset_B, placement):
        """-> (x_BLD, the keys and values that now exist or None). Without `past` a row attends within itself."""
        q_BLKGH = self.query("BLD,DKGH->BLKGH", x_BLD, placement=placement)
        k_BLKH = self.key("BLD,DKH->BLKH", x_BLD, placement=placement)
        v_BLKH = self.value("BLD,DKH->BLKH", x_BLD, placement=placement)
        if self.rope is not None:
            q_BLKGH, k_BLKH = self.rope(q_BLKGH, positions_BL), self.rope(k_BLKH, positions_BL)
        present = KeyValues(k_BLKH, v_BLKH) if past is None else past.write(k_BLKH, v_BLKH, offset_B)
        mixed_BLKGH = placement.attend(
            q_BLKGH, *present, segments_BL=segments_BL, offset_B=offset_B, dtype=self.softmax_dtype
        )
        out_BLD = self.out("BLKGH,KGHD->BLD", mixed_BLKGH, placement=placement)
        return out_BLD, None if past is None else present
