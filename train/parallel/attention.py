"""Attention without the square of its scores: jax's splash attention kernel for TPUs, laid over a mesh.

Every device attends within its own rows and heads; positions are whole on each.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from models.layers.attention import Scoring, Window
from train.parallel import rules

LANES = 128  # of a TPU's vector unit: blocks of positions are multiples of it
LARGEST_BLOCK = 512
HEAD_SIZES = (64, 128, 256)
CHOICES = ("auto", "plain", "splash")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernels:
    """Which form computes what has several (config section `kernels`).

    `attention`: "plain" holds the scores of all queries and keys, "splash" does not, and needs TPUs; "auto" takes
    splash where it can. A session says at its start what was taken, and why. Decoding with a cache is plain.
    """

    attention: str = "auto"

    def __post_init__(self):
        if self.attention not in CHOICES:
            raise ValueError(f"kernels.attention: expected one of {', '.join(CHOICES)}, got {self.attention!r}")


class Choice(NamedTuple):
    """The form of attention that a run takes, and why."""

    name: str
    reason: str


def choose(asked: str, *, platform: str, shape: tuple[int, int] | None, softmax_dtype: str) -> Choice:
    """What `kernels.attention` comes to on devices of this platform.

    `shape`: (positions of a row, head size); None: the model has no attention.

    Raises:
      ValueError: "splash" is asked for where it cannot be.
    """
    obstacle = _obstacle(platform=platform, shape=shape, softmax_dtype=softmax_dtype)
    if asked == "splash" and obstacle:
        raise ValueError(f"kernels.attention: 'splash' cannot be, {obstacle}; write 'auto' or 'plain'")
    if asked == "auto":
        return Choice("plain", obstacle) if obstacle else Choice("splash", "on TPUs, and the shapes allow it")
    return Choice(asked, "asked for")


def _obstacle(*, platform: str, shape: tuple[int, int] | None, softmax_dtype: str) -> str:
    """What stands in the way of splash attention; empty: nothing."""
    if shape is None:
        return "the model has none"
    seq_len, head_size = shape
    if platform != "tpu":
        return f"the devices are of kind {platform}, not tpu"
    if seq_len % LANES:
        return f"its {seq_len} positions are no multiple of {LANES}"
    if head_size not in HEAD_SIZES:
        return f"model.head_size={head_size} is none of {', '.join(map(str, HEAD_SIZES))}"
    if softmax_dtype != "float32":
        return f"its softmax runs in float32, and precision.softmax={softmax_dtype}"
    return ""


def splash(
    q_BLKGH: Float[Array, "B L K G H"],
    k_BSKH: Float[Array, "B S K H"],
    v_BSKH: Float[Array, "B S K H"],
    *,
    scoring: Scoring,
    window: Window,
    segments_BL: Int[Array, "B L"] | None,
    interpret: bool = False,
) -> Float[Array, "B L K G H"]:
    """`models.layers.attention.attend` of a whole row to itself, under `jax.set_mesh`. `interpret`: without a TPU.

    A window that only the running program knows is looked up among `scoring.windows`: each is a kernel of its own.
    """
    forms = [partial(_attend, scoring=scoring, window=size, interpret=interpret) for size in scoring.windows]

    def local(q_BLKGH, k_BSKH, v_BSKH, segments_BL, window):
        number = jnp.argmax(jnp.asarray(scoring.windows) == window)
        return jax.lax.switch(number, forms, q_BLKGH, k_BSKH, v_BSKH, segments_BL)

    lies: list[Any] = [rules.used(letters) for letters in ("BLKGH", "BSKH", "BSKH", "BL", "")]
    if segments_BL is None:
        lies[3] = None
    on_each_device = jax.shard_map(local, in_specs=tuple(lies), out_specs=lies[0], check_vma=False)
    return on_each_device(q_BLKGH, k_BSKH, v_BSKH, segments_BL, jnp.asarray(window))


def _attend(q_BLKGH, k_BSKH, v_BSKH, segments_BL, *, scoring: Scoring, window: int, interpret: bool):
    """One device's rows and heads, with a window known while tracing."""
    from jax.experimental.pallas.ops.tpu import splash_attention as kernels

    num_rows, length, num_kv_heads, group_size, head_size = q_BLKGH.shape
    backwards = (window - 1 if window else None, 0)
    shape = (length, length)
    mask = kernels.LocalMask(shape, backwards, offset=0) if scoring.causal else kernels.FullMask(shape)
    kernel = kernels.make_splash_mha_single_device(
        kernels.MultiHeadMask([mask] * (num_kv_heads * group_size)),
        block_sizes=kernels.BlockSizes(**block_sizes(length)),
        attn_logits_soft_cap=scoring.soft_cap or None,
        interpret=interpret,
    )
    q_BLQH = q_BLKGH.reshape(num_rows, length, num_kv_heads * group_size, head_size) * scoring.scale
    heads_first = [jnp.swapaxes(x, 1, 2) for x in (q_BLQH, k_BSKH, v_BSKH)]
    segments = None if segments_BL is None else kernels.SegmentIds(segments_BL, segments_BL)
    mixed_BQLH = jax.vmap(kernel)(*heads_first, segments)
    return jnp.swapaxes(mixed_BQLH, 1, 2).reshape(q_BLKGH.shape)


def block_sizes(length: int) -> dict[str, Any]:
    """The largest blocks of positions that divide a row, for the forward pass and both halves of the backward pass."""
    size = next(size for size in range(LARGEST_BLOCK, 0, -LANES) if length % size == 0)
    names = ("block_q", "block_kv", "block_q_dkv", "block_kv_dkv", "block_q_dq", "block_kv_dq")
    return dict.fromkeys(names, size)
