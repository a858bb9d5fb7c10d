"""Mixup and cutmix: against numpy, on every mesh the same, and nothing mixed with what counts nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from input_pipeline.transforms.mixing import Cutmix, Mixup
from train import keys, mixing
from train.parallel import mesh as meshes
from train.parallel.mesh import MeshShape

SHAPE = (8, 6, 5, 2)


def batch(num_empty=0):
    rng = np.random.default_rng(0)
    weights = np.ones(8, np.float32)
    weights[8 - num_empty :] = 0
    labels = rng.integers(0, 4, 8).astype(np.int32)
    return {"inputs": rng.normal(size=SHAPE).astype(np.float32), "labels": labels, "weights": weights}


def row_keys(seed=0):
    return jax.vmap(lambda row: jax.random.fold_in(keys.mixing(seed, jnp.int32(3)), row))(jnp.arange(8))


def mixed(*operations, num_empty=0, seed=0):
    whole = jax.tree.map(jnp.asarray, batch(num_empty))
    found = mixing.apply(operations, whole, row_keys(seed), num_classes=4)
    return {name: np.asarray(array) for name, array in found.items()}


def test_mixup_is_a_line_between_two_rows():
    whole, found = batch(), mixed(Mixup(1.0))
    one_hot = np.eye(4)[whole["labels"]]
    for row in range(8):
        other = (row + 1) % 8
        apart = whole["inputs"][row] - whole["inputs"][other]
        share = ((found["inputs"][row] - whole["inputs"][other]) * apart).sum() / (apart**2).sum()
        assert 0 <= share <= 1
        line = share * whole["inputs"][row] + (1 - share) * whole["inputs"][other]
        np.testing.assert_allclose(found["inputs"][row], line, atol=1e-5)
        np.testing.assert_allclose(found["labels"][row], share * one_hot[row] + (1 - share) * one_hot[other], atol=1e-5)


def test_cutmix_takes_a_rectangle_and_its_share():
    whole, found = batch(), mixed(Cutmix(1.0))
    one_hot, num_cut = np.eye(4)[whole["labels"]], 0
    for row in range(8):
        other = (row + 1) % 8
        from_other = (found["inputs"][row] == whole["inputs"][other]).all(-1)
        own = (found["inputs"][row] == whole["inputs"][row]).all(-1)
        assert (own ^ from_other).all()
        ys, xs = np.nonzero(from_other)
        if len(ys):
            num_cut += 1
            assert len(ys) == (np.ptp(ys) + 1) * (np.ptp(xs) + 1), "a rectangle"
        share = own.mean()
        np.testing.assert_allclose(found["labels"][row], share * one_hot[row] + (1 - share) * one_hot[other], atol=1e-6)
    assert num_cut > 3


@pytest.mark.parametrize("operation", [Mixup(1.0), Cutmix(1.0)])
def test_what_counts_nothing_is_no_partner(operation):
    whole, found = batch(num_empty=2), mixed(operation, num_empty=2)
    np.testing.assert_array_equal(found["inputs"][5], whole["inputs"][5])
    np.testing.assert_array_equal(found["labels"][5], np.eye(4)[whole["labels"][5]])
    assert (found["inputs"][4] != whole["inputs"][4]).any() or isinstance(operation, Cutmix)


def test_chance_comes_from_the_keys():
    one, again, other = mixed(Mixup(0.2)), mixed(Mixup(0.2)), mixed(Mixup(0.2), seed=1)
    np.testing.assert_array_equal(one["inputs"], again["inputs"])
    assert (one["inputs"] != other["inputs"]).any()
    both = mixed(Mixup(0.5), Cutmix(1.0))
    np.testing.assert_allclose(both["labels"].sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 1, 1), (2, 2, 2)])
def test_every_mesh_mixes_alike(shape):
    operations = (Mixup(0.5), Cutmix(1.0))
    sizes = dict(zip(("data", "fsdp", "tensor"), shape, strict=True))
    mesh = meshes.make(jax.devices(), MeshShape(**sizes))
    with jax.set_mesh(mesh):
        placed = meshes.place_batch(mesh, batch(), 8)
        keys_B = jax.device_put(row_keys(), meshes.batch_sharding(mesh))
        found = jax.jit(lambda batch, keys: mixing.apply(operations, batch, keys, num_classes=4))(placed, keys_B)
        assert found["inputs"].sharding.is_equivalent_to(placed["inputs"].sharding, 4)
    expected = mixed(*operations)
    for name in ("inputs", "labels"):
        np.testing.assert_allclose(jax.device_get(found[name]), expected[name], atol=1e-6)


@pytest.mark.parametrize("make", [Mixup, Cutmix])
@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf")])
def test_an_alpha_that_is_none(make, alpha):
    with pytest.raises(ValueError, match=f"alpha: expected a number above 0, got {alpha}"):
        make(alpha)
