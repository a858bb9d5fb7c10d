"""Grouped-query attention (Ainslie et al., 2023, https://arxiv.org/abs/2305.13245), in documents or with a cache."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from models.layers.linear import MakeLinear
from models.layers.norm import Norm
from models.layers.rope import rotate

Window = int | np.integer | Int[Array, ""]  # a number where it is known while tracing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scoring:
    """How queries score keys, in every layer of a model.

    `scale` multiplies the products of queries and keys; `soft_cap` c then bends them to c * tanh(x / c) (Gemma 2,
    https://arxiv.org/abs/2408.00118, section 2; 0: not). `windows` are the windows that occur among the layers (see
    `Attend`), for kernels that want to know them while compiling. Without `causal` a query sees later keys too, and
    there are no windows. The softmax runs in `dtype`.
    """

    scale: float
    soft_cap: float = 0.0
    windows: tuple[int, ...] = (0,)
    causal: bool = True
    dtype: Any = jnp.float32

    def __post_init__(self):
        assert self.causal or self.windows == (0,), "a window looks back"


class Attend(Protocol):
    """Softmax attention of queries over the keys that they see: of their own segment, within the window, and not later
    if `scoring.causal`.

    `scoring`: what is the same in every layer. `window`: this layer's, how many positions a query sees, itself
    included; 0: all. A number where it is known while tracing, else an array of one of `scoring.windows`.
    `segments_BL`: the segment of each position; None: one. `offset_B`: the index of the first query among the keys;
    None: 0.
    """

    def __call__(
        self,
        q_BLKGH: Float[Array, "B L K G H"],
        k_BSKH: Float[Array, "B S K H"],
        v_BSKH: Float[Array, "B S K H"],
        *,
        scoring: Scoring,
        window: Window,
        segments_BL: Int[Array, "B L"] | None,
        offset_B: Int[Array, "B"] | None,
    ) -> Float[Array, "B L K G H"]: ...


def visible(
    shape: tuple[int, int, int],
    *,
    causal: bool,
    window: Window,
    segments_BL: Int[Array, "B L"] | None,
    offset_B: Int[Array, "B"] | None,
) -> Bool[Array, "B L S"] | None:
    """Which keys each query sees; None: all. `shape` is [B, L, S], of which B may come out as 1; the rest as in
    `Attend`."""
    same_BLS = None if segments_BL is None else segments_BL[:, :, None] == segments_BL[:, None, :]
    if not causal:
        return same_BLS
    _, num_queries, num_keys = shape
    query_1L1 = jnp.arange(num_queries)[None, :, None]
    key_11S = jnp.arange(num_keys)[None, None, :]
    if offset_B is not None:
        query_1L1 = query_1L1 + offset_B[:, None, None]
    mask_BLS = key_11S <= query_1L1
    if isinstance(window, jax.Array):
        mask_BLS = mask_BLS & ((key_11S > query_1L1 - window) | (window == 0))
    elif window:
        mask_BLS = mask_BLS & (key_11S > query_1L1 - window)
    return mask_BLS if same_BLS is None else mask_BLS & same_BLS


def soft_cap(x: Float[Array, "*shape"], cap: float) -> Float[Array, "*shape"]:
    """Bends values smoothly into (-cap, cap); 0 leaves them as they are."""
    return cap * jnp.tanh(x / cap) if cap else x


def attend(q_BLKGH, k_BSKH, v_BSKH, *, scoring, window, segments_BL, offset_B):
    """Attention that materialises its weights. See `Attend`.

    Heads stand before positions, so that a CPU multiplies whole matrices; the sum of a row's weights divides what they
    have mixed, which is smaller than they are.
    """
    shape = (q_BLKGH.shape[0], q_BLKGH.shape[1], k_BSKH.shape[1])
    mask_BLS = visible(shape, causal=scoring.causal, window=window, segments_BL=segments_BL, offset_B=offset_B)
    q_BKGLH = jnp.transpose(q_BLKGH * scoring.scale, (0, 2, 3, 1, 4))
    k_BKSH, v_BKSH = (jnp.swapaxes(x, 1, 2) for x in (k_BSKH, v_BSKH))
    logits_BKGLS = jnp.einsum("BKGLH,BKSH->BKGLS", q_BKGLH, k_BKSH, preferred_element_type=scoring.dtype)
    logits_BKGLS = soft_cap(logits_BKGLS, scoring.soft_cap)
    if mask_BLS is not None:
        logits_BKGLS = jnp.where(mask_BLS[:, None, None], logits_BKGLS, jnp.finfo(scoring.dtype).min)
    greatest_BKGL1 = jax.lax.stop_gradient(jnp.max(logits_BKGLS, axis=-1, keepdims=True))
    weights_BKGLS = jnp.exp(logits_BKGLS - greatest_BKGL1)
    total_BKGL1 = jnp.sum(weights_BKGLS, axis=-1, keepdims=True)
    mixed_BKGLH = jnp.einsum("BKGLS,BKSH->BKGLH", weights_BKGLS.astype(v_BSKH.dtype), v_BKSH)
    return jnp.transpose(mixed_BKGLH / total_BKGL1.astype(v_BSKH.dtype), (0, 3, 1, 2, 4))


class KeyValues(NamedTuple):
    """One layer's keys and values of the positions that were seen."""

    k_BSKH: Float[Array, "B S K H"]
    v_BSKH: Float[Array, "B S K H"]

    def write(self, k_BLKH: Array, v_BLKH: Array, offset_B: Int[Array, "B"]) -> "KeyValues":
        """Puts new positions at `offset_B` of each row."""
        put = jax.vmap(lambda old, new, at: jax.lax.dynamic_update_slice_in_dim(old, new, at, axis=0))
        return KeyValues(put(self.k_BSKH, k_BLKH, offset_B), put(self.v_BSKH, v_BLKH, offset_B))


class LayerKind(NamedTuple):
    """In what the attention of one layer differs from another's; a model holds it stacked, beside its layers.

    `window`: as in `Attend`. `freqs`: see `rope.rotate`; None: no rotary positions.
    """

    window: Window | Int[np.ndarray, "Y"]
    freqs: Float[Array | np.ndarray, "*A R"] | None


class Attention(nnx.Module):
    """Projections, rotary positions and attention; its output joins the residual stream."""

    def __init__(self, make: MakeLinear, *, make_head_norm: Callable[[], Norm] | None, scoring: Scoring):
        """`make` knows the sizes of D, K, G and H. `make_head_norm`: for norms of queries and keys, head by head."""
        self.query = make("DKGH")
        self.key = make("DKH")
        self.value = make("DKH")
        self.out = make("KGHD")
        self.query_norm = make_head_norm() if make_head_norm else None
        self.key_norm = make_head_norm() if make_head_norm else None
        self.scoring = scoring

    def __call__(self, x_BLD, *, kind: LayerKind, positions, segments_BL, past: KeyValues | None, offset_B, placement):
        """-> (x_BLD, the keys and values that now exist or None). Without `past` a row attends within itself.

        `positions`: see `rope.rotate`; where nothing is turned they may be None.
        """
        q_BLKGH = self.query("BLD,DKGH->BLKGH", x_BLD, placement=placement)
        k_BLKH = self.key("BLD,DKH->BLKH", x_BLD, placement=placement)
        v_BLKH = self.value("BLD,DKH->BLKH", x_BLD, placement=placement)
        if self.query_norm is not None and self.key_norm is not None:
            q_BLKGH = self.query_norm(q_BLKGH, placement=placement)
            k_BLKH = self.key_norm(k_BLKH, placement=placement)
        if kind.freqs is not None:
            q_BLKGH, k_BLKH = (rotate(x, positions, kind.freqs) for x in (q_BLKGH, k_BLKH))
        present = KeyValues(k_BLKH, v_BLKH) if past is None else past.write(k_BLKH, v_BLKH, offset_B)
        windows = self.scoring.windows
        mixed_BLKGH = placement.attend(
            q_BLKGH,
            *present,
            scoring=self.scoring,
            window=kind.window if len(windows) > 1 else windows[0],
            segments_BL=segments_BL,
            offset_B=offset_B,
        )
        out_BLD = self.out("BLKGH,KGHD->BLD", mixed_BLKGH, placement=placement)
        return out_BLD, None if past is None else present
