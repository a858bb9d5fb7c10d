"""Triplet losses: each row is an anchor whose positives and negatives are mined among the rows of the whole batch."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Triplets(NamedTuple):
    """Sums over the triplets of each anchor; `loss / number`, both added up over rows, is what is minimised.

    `active`: those that miss the margin, which alone move anything where the margin is hard.
    """

    loss: Float[Array, "B"]
    active: Float[Array, "B"]
    number: Float[Array, "B"]


class Pairs(NamedTuple):
    """Every anchor (B) with every row of the batch (S): distances, and what the row is to the anchor."""

    distance_BS: Float[Array, "B S"]
    is_positive_BS: Bool[Array, "B S"]
    is_negative_BS: Bool[Array, "B S"]


Gaps = tuple[Float[Array, "B T"], Bool[Array, "B T"]]  # distance to the positive less that to the negative; which count


def triplet(
    embeddings_BE: Float[Array, "B E"],
    labels_B: Int[Array, "B"],
    is_row_B: Bool[Array, "B"],
    *,
    mining: str,
    margin: float,
    soft_margin: bool = False,
    squared: bool = False,
) -> Triplets:
    """Triplets among all rows, wherever they lie: on a mesh each device compares its own anchors with the rows of all.

    A triplet costs [d(anchor, positive) - d(anchor, negative) + margin]_+, or softplus of the same with a soft margin
    (which Hermans et al. use with a margin of 0). d is the Euclidean distance, or its square. Rows that are none
    (`is_row_B` is False) are neither anchors nor positives nor negatives. `mining` is a name of `MININGS`.
    """
    pairs = _pairs(embeddings_BE.astype(jnp.float32), labels_B, is_row_B, squared=squared)
    gap_BT, counts_BT = MININGS[mining](pairs)
    missing_BT = jnp.where(counts_BT, gap_BT + margin, 0.0)
    loss_BT = jax.nn.softplus(missing_BT) if soft_margin else jax.nn.relu(missing_BT)
    total = lambda values_BT: jnp.sum(jnp.where(counts_BT, values_BT, 0), axis=-1, dtype=jnp.float32)
    return Triplets(total(loss_BT), total(missing_BT > 0), total(counts_BT))


def unit_rows(embeddings_BE: Float[Array, "B E"]) -> Float[Array, "B E"]:
    """Rows of length one in float32; a row of zeros stays one, and has no gradient."""
    embeddings_BE = embeddings_BE.astype(jnp.float32)
    square_B1 = jnp.sum(jnp.square(embeddings_BE), axis=-1, keepdims=True)
    is_long_B1 = square_B1 > 0
    return embeddings_BE * jnp.where(is_long_B1, jax.lax.rsqrt(jnp.where(is_long_B1, square_B1, 1.0)), 0.0)


def batch_hard(pairs: Pairs) -> Gaps:
    """One triplet an anchor: its farthest positive and its nearest negative (Hermans et al., 2017,
    https://arxiv.org/abs/1703.07737, equation 5)."""
    counts_B = jnp.any(pairs.is_positive_BS, axis=-1) & jnp.any(pairs.is_negative_BS, axis=-1)
    farthest_B = jnp.max(jnp.where(pairs.is_positive_BS, pairs.distance_BS, -jnp.inf), axis=-1)
    nearest_B = jnp.min(jnp.where(pairs.is_negative_BS, pairs.distance_BS, jnp.inf), axis=-1)
    gap_B = jnp.where(counts_B, farthest_B, 0.0) - jnp.where(counts_B, nearest_B, 0.0)
    return gap_B[:, None], counts_B[:, None]


def semi_hard(pairs: Pairs) -> Gaps:
    """A triplet for each pair of anchor and positive: with the nearest negative that is farther than the positive
    (Schroff et al., 2015, https://arxiv.org/abs/1503.03832, section 3.2, with squared distances and a margin of 0.2).

    Where no negative is farther, the farthest one stands in: the least hard of the hard ones.
    """
    places_BS = _iota(pairs.distance_BS, 1)
    _, _, order_BS, is_negative_BS, is_positive_BS = jax.lax.sort(  # of equally far ones the negatives come first
        (
            jax.lax.stop_gradient(pairs.distance_BS),
            ~pairs.is_negative_BS,
            places_BS,
            pairs.is_negative_BS,
            pairs.is_positive_BS,
        ),
        num_keys=2,
    )
    num_rows = places_BS.shape[1]
    next_BS = jax.lax.cummin(jnp.where(is_negative_BS, places_BS, num_rows), axis=1, reverse=True)
    last_B1 = jnp.max(jnp.where(is_negative_BS, places_BS, 0), axis=1, keepdims=True)
    distance_BS = jnp.take_along_axis(pairs.distance_BS, order_BS, axis=1)
    negative_BS = jnp.take_along_axis(distance_BS, jnp.where(next_BS < num_rows, next_BS, last_B1), axis=1)
    return distance_BS - negative_BS, is_positive_BS & jnp.any(is_negative_BS, axis=1, keepdims=True)


MININGS: dict[str, Callable[[Pairs], Gaps]] = {"batch_hard": batch_hard, "semi_hard": semi_hard}


def _pairs(
    embeddings_BE: Float[Array, "B E"], labels_B: Int[Array, "B"], is_row_B: Bool[Array, "B"], *, squared: bool
) -> Pairs:
    others_SE, labels_S, is_row_S = map(_whole, (embeddings_BE, labels_B, is_row_B))
    distance_BS = _distances(embeddings_BE, others_SE, squared=squared)
    is_pair_BS = is_row_B[:, None] & is_row_S[None, :]
    is_same_BS = labels_B[:, None] == labels_S[None, :]
    return Pairs(
        distance_BS,
        is_pair_BS & is_same_BS & (_iota(distance_BS, 0) != _iota(distance_BS, 1)),
        is_pair_BS & ~is_same_BS,
    )


def _iota(like_BS: Float[Array, "B S"], dim: int) -> Int[Array, "B S"]:
    return jax.lax.broadcasted_iota(jnp.int32, like_BS.shape, dim, out_sharding=jax.typeof(like_BS).sharding)


def _whole(rows: Array) -> Array:
    """The rows of all devices on each of them; its gradient is added up where they came from."""
    sharding = jax.typeof(rows).sharding
    return rows if sharding.mesh.empty else jax.reshard(rows, jax.P(*[None] * rows.ndim))


def _distances(
    embeddings_BE: Float[Array, "B E"], others_SE: Float[Array, "S E"], *, squared: bool
) -> Float[Array, "B S"]:
    """By |a|^2 + |b|^2 - 2ab, so that memory is that of the pairs. Where two rows are one point, the root's gradient
    would be infinite: it is 0."""
    square = lambda rows: jnp.sum(jnp.square(rows), axis=-1)
    products_BS = jnp.einsum("BE,SE->BS", embeddings_BE, others_SE, precision="highest")
    squares_BS = square(embeddings_BE)[:, None] + square(others_SE)[None, :] - 2 * products_BS
    is_apart_BS = squares_BS > 0
    if squared:
        return jnp.where(is_apart_BS, squares_BS, 0.0)
    return jnp.where(is_apart_BS, jnp.sqrt(jnp.where(is_apart_BS, squares_BS, 1.0)), 0.0)
