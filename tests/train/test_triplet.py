"""Triplets mined from a batch, against loops over anchors, positives and negatives in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import distance

from train import triplet
from train.parallel import mesh as meshes
from train.parallel.mesh import MeshShape
from train.triplet import MININGS

RNG = np.random.default_rng(0)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 0, 0, 1, 1, 2, 0], np.int32)  # 3 has no positive
IS_ROW = np.array([True] * 13 + [False, True, True])
CLOSE = RNG.normal(size=(16, 3)).astype(np.float32)  # classes overlap: negatives nearer, farther and beyond all
APART = (CLOSE * 0.1 + 5 * np.eye(4)[LABELS][:, :3]).astype(np.float32)
FIELDS = [
    dict(margin=0.3),
    dict(margin=1.5, squared=True),
    dict(margin=0.0, soft_margin=True),
]


def slow(embeddings, labels, is_row, *, mining, margin, soft_margin=False, squared=False):
    """-> (loss, active triplets, triplets) of each anchor."""
    d = distance.cdist(embeddings, embeddings, "sqeuclidean" if squared else "euclidean")
    rows = np.flatnonzero(is_row)
    found = np.zeros((3, len(labels)))
    for anchor in rows:
        positives = [row for row in rows if labels[row] == labels[anchor] and row != anchor]
        negatives = [row for row in rows if labels[row] != labels[anchor]]
        for positive, negative in MINES[mining](d[anchor], positives, negatives):
            gap = d[anchor, positive] - d[anchor, negative] + margin
            found[:, anchor] += np.logaddexp(gap, 0) if soft_margin else max(gap, 0), gap > 0, 1
    return found


def slow_batch_hard(d, positives, negatives):
    if positives and negatives:
        yield max(positives, key=lambda row: d[row]), min(negatives, key=lambda row: d[row])


def slow_semi_hard(d, positives, negatives):
    for positive in positives if negatives else ():
        farther = [row for row in negatives if d[row] > d[positive]]
        if farther:
            yield positive, min(farther, key=lambda row: d[row])
        else:
            yield positive, max(negatives, key=lambda row: d[row])


MINES = {"batch_hard": slow_batch_hard, "semi_hard": slow_semi_hard}


def mine(embeddings, labels=LABELS, is_row=IS_ROW, **fields):
    return triplet.triplet(jnp.asarray(embeddings), jnp.asarray(labels), jnp.asarray(is_row), **fields)


def gradient(embeddings, **fields):
    return jax.jit(jax.grad(lambda rows: jnp.sum(mine(rows, **fields).loss)))(jnp.asarray(embeddings))


def slow_gradient(embeddings, step=1e-6, **fields):
    slopes = np.zeros(embeddings.shape)
    for index in np.ndindex(embeddings.shape):
        ends = [np.array(embeddings, np.float64), np.array(embeddings, np.float64)]
        ends[0][index] -= step
        ends[1][index] += step
        below, above = (slow(end, LABELS, IS_ROW, **fields)[0].sum() for end in ends)
        slopes[index] = (above - below) / (2 * step)
    return slopes


@pytest.mark.parametrize("embeddings", [CLOSE, APART], ids=["close", "apart"])
@pytest.mark.parametrize("fields", FIELDS, ids=str)
@pytest.mark.parametrize("mining", MININGS)
def test_triplets_equal_loops(mining, fields, embeddings):
    fields = dict(fields, mining=mining)
    expected = slow(embeddings.astype(np.float64), LABELS, IS_ROW, **fields)
    np.testing.assert_allclose(np.stack(jax.jit(lambda: mine(embeddings, **fields))()), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient(embeddings, **fields), slow_gradient(embeddings, **fields), atol=2e-3)


def test_each_mining_is_compared():
    assert set(MINES) == set(MININGS)


@pytest.mark.parametrize("mining", MININGS)
def test_rows_that_are_none_change_nothing(mining):
    fields = dict(mining=mining, margin=0.3)
    moved = np.where(IS_ROW[:, None], CLOSE, 1e4).astype(np.float32)
    np.testing.assert_array_equal(np.stack(mine(CLOSE, **fields)), np.stack(mine(moved, **fields)))
    alone = slow(CLOSE[IS_ROW], LABELS[IS_ROW], IS_ROW[IS_ROW], **fields)
    np.testing.assert_allclose(np.stack(mine(CLOSE, **fields))[:, IS_ROW], alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(gradient(CLOSE, **fields)[~IS_ROW], 0)


@pytest.mark.parametrize("mining", MININGS)
def test_batches_without_triplets(mining):
    for labels, is_row in [
        (np.zeros(16, np.int32), IS_ROW),
        (np.arange(16, dtype=np.int32), IS_ROW),
        (LABELS, np.zeros(16, bool)),
    ]:
        found = mine(CLOSE, labels, is_row, mining=mining, margin=0.3)
        np.testing.assert_array_equal(np.stack(found), 0)
        slopes = jax.grad(lambda rows, **batch: jnp.sum(mine(rows, **batch, mining=mining, margin=0.3).loss))(
            jnp.asarray(CLOSE), labels=labels, is_row=is_row
        )
        np.testing.assert_array_equal(slopes, 0)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("mining", MININGS)
def test_equal_and_huge_embeddings_have_finite_gradients(mining, squared):
    """All rows at one point, as a collapsed model has them, pairs of equal rows, and rows a million apart."""
    pairs = np.repeat(CLOSE[:8], 2, axis=0)
    for embeddings in (np.ones_like(CLOSE), np.zeros_like(CLOSE), pairs, CLOSE * np.float32(1e6)):
        assert np.isfinite(gradient(embeddings, mining=mining, margin=0.3, squared=squared)).all()
    collapsed = mine(np.ones_like(CLOSE), mining=mining, margin=0.3, squared=squared)
    assert float(collapsed.loss.sum() / collapsed.number.sum()) == pytest.approx(0.3)


def test_rows_of_length_one():
    rows = np.concatenate([CLOSE, np.zeros((1, 3), np.float32)])
    unit = triplet.unit_rows(jnp.asarray(rows))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=-1), [1] * 16 + [0], rtol=1e-6)
    slopes = jax.grad(lambda rows: jnp.sum(triplet.unit_rows(rows) ** 3))(jnp.asarray(rows))
    assert np.isfinite(slopes).all()
    np.testing.assert_array_equal(slopes[-1], 0)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("shape", [(8, 1, 1), (2, 2, 2)])
def test_on_a_mesh_the_batch_is_that_of_all_devices(shape, mining):
    fields = dict(mining=mining, margin=0.3)
    mesh = meshes.make(jax.devices(), MeshShape(data=shape[0], fsdp=shape[1], tensor=shape[2]))

    def loss(rows, labels, is_row):
        found = triplet.triplet(rows, labels, is_row, **fields)
        return jnp.sum(found.loss), found

    with jax.set_mesh(mesh):
        placed = meshes.place_batch(mesh, {"rows": CLOSE, "labels": LABELS, "is_row": IS_ROW}, 16)
        slopes, found = jax.jit(jax.grad(loss, has_aux=True))(placed["rows"], placed["labels"], placed["is_row"])
        assert slopes.addressable_shards[0].data.shape[0] == 16 // (shape[0] * shape[1])
    np.testing.assert_allclose(np.stack(found), np.stack(mine(CLOSE, **fields)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slopes, gradient(CLOSE, **fields), atol=1e-5)
