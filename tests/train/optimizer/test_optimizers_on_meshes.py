"""Every optimizer on meshes: the same updates as on one device, its state sharded; whole steps, skipped, saved."""

import functools

import jax
import numpy as np
import optax
import pytest
import tiny_runs as runs

from train import config_flags, experiment, optimizer, spec, state, trees
from train.checkpoint import Checkpoint, Checkpoints
from train.ema import Ema
from train.optimizer import OPTIMIZERS
from train.optimizer.schedules import Schedule
from train.parallel import mesh as meshes
from train.parallel.mesh import MeshShape

SMALL = dict(data__seq_len=16, model__layer_loop="scan", model__mlp_size=64, optimizer__clip_norm=0.5)
CUBE = dict(num_devices=8, mesh__data=2, mesh__fsdp=2, mesh__tensor=2)


def make(name):
    """The rate of every number and group that could go wrong is one."""
    fields = dict(min_size_to_factor=32) if name == "adafactor" else {}
    return OPTIMIZERS[name](learning_rate=1.0, schedule=Schedule(name="constant"), **fields)


@functools.cache
def definition(kind="transformer"):
    """Of a model of this kind."""
    if kind == "cnn":
        config = spec.complete(config_flags.load(f"{runs.CONFIGS / 'cnn_fashion.py'}:tiny"))
        return experiment.engine(spec.read(config), jax.devices()[:1]).definition
    return runs.engine(model__mlp_size=64).definition


def draw(seed: int, kind: str):
    """Numbers for every parameter, the same on every mesh."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), definition(kind).shapes)


def train(name, shape, num_updates=2, kind="transformer"):
    """-> (parameters, optimizer state, the abstract state) after a few updates on a mesh of this shape."""
    devices = jax.devices()[: int(np.prod(shape))]
    mesh = meshes.make(devices, MeshShape(data=shape[0], fsdp=shape[1], tensor=shape[2]))
    transformation = optimizer.make(make(name), num_steps=10, axes=definition(kind).axes)
    abstract = state.abstract(definition(kind), transformation, Ema(), mesh)

    def move(grads, opt_state, params):
        changes, opt_state = transformation.update(grads, opt_state, params)
        return opt_state, optax.apply_updates(params, changes)

    placed = functools.partial(jax.device_put, device=definition(kind).shardings(mesh))
    with jax.set_mesh(mesh):
        params = placed(draw(0, kind))
        shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract["opt_state"])
        opt_state = jax.jit(transformation.init, out_shardings=shardings)(params)
        step = jax.jit(move)
        for seed in range(num_updates):
            opt_state, params = step(placed(draw(seed + 1, kind)), opt_state, params)
        assert step._cache_size() == 1
    return params, opt_state, abstract


@functools.cache
def on_one_device(name, kind="transformer"):
    return jax.device_get(train(name, (1, 1, 1), kind=kind)[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_and_their_state_on_a_mesh(name):
    """Equal to 1e-5 at rate one; a state lies as its parameters do, and stays where it was made."""
    params, opt_state, abstract = train(name, (2, 2, 2))
    close(params, on_one_device(name), rtol=0, atol=1e-5)
    assert_lies(opt_state, abstract["opt_state"])
    held = {trees.name(path): leaf for path, leaf in jax.tree.leaves_with_path(opt_state)}
    up = [leaf for path, leaf in held.items() if path.endswith("mlp/up/kernel")]
    assert all(leaf.sharding.spec == jax.P(None, "fsdp", None, "tensor") for leaf in up)
    assert len(up) == {"adamw": 2, "adam": 2, "adafactor": 0}.get(name, 1)


def test_adafactors_rows_and_columns_lie_as_the_dims_that_are_left():
    _, opt_state, _ = train("adafactor", (2, 2, 2), num_updates=1)
    moments = opt_state.inner_state[1][0].moments["layers"]["mlp"]["up"]["kernel"]
    assert (moments.rows.shape, moments.columns.shape, moments.whole) == ((2, 64, 2, 1), (2, 1, 2, 64), None)
    assert moments.rows.sharding.spec == jax.P(None, "fsdp", None, None)
    assert moments.columns.sharding.spec == jax.P(None, None, None, "tensor")


@pytest.mark.parametrize("shape", [(1, 8, 1), (8, 1, 1)])
def test_muon_where_the_mesh_does_not_divide_the_layers(shape):
    """Two layers over eight devices: gathered one layer at a time, or nowhere cut."""
    close(train("muon", shape)[0], on_one_device("muon"), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["adafactor", "muon"])
def test_kernels_of_convolutions_that_are_cut(name):
    """Filters over eight devices: matrices of all that a window holds, gathered, and put back where they lay."""
    params, opt_state, abstract = train(name, (1, 8, 1), kind="cnn")
    close(params, on_one_device(name, "cnn"), rtol=0, atol=1e-5)
    assert_lies(opt_state, abstract["opt_state"])
    [kernels] = make("muon").parts(definition("cnn").axes).values()
    assert [name.rpartition("/")[0] for name in kernels] == [f"stages/{i}/{j}/conv" for i in range(3) for j in range(2)]


@pytest.mark.parametrize("name", ["adafactor", "muon"])
def test_whole_steps_in_pieces_skipped_and_saved(name, tmp_path):
    """Those whose states are not the parameters' shapes alone, with an average and a frozen group beside them."""
    changes = dict(
        optimizer__name=name,
        optimizer__groups={"frozen": {"params": "^embed$", "rate": 0.0}},
        ema={"decay": 0.5},
        **SMALL,
    )
    plain = runs.engine(**changes)
    cut = runs.engine(train__accumulation=2, **changes, **CUBE)
    begun, _ = runs.train(cut, num_steps=0)
    embed = jax.device_get(begun["params"]["embed"])
    expected, _ = runs.train(plain, num_steps=2)
    stepped, _ = runs.train(cut, num_steps=2, state=begun)
    close(stepped["params"], expected["params"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(stepped["params"]["embed"], embed)
    assert not [leaf for leaf in jax.tree.leaves(stepped["opt_state"]) if leaf.shape == embed.shape]
    assert_lies(stepped, cut.abstract_state)
    assert_saved_for_any_mesh(stepped, plain, tmp_path)
    assert_a_skipped_step_leaves_all(cut, stepped)


def close(one, other, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), jax.device_get(one), jax.device_get(other))


def assert_lies(tree, abstract):
    for (path, leaf), wanted in zip(jax.tree.leaves_with_path(tree), jax.tree.leaves(abstract), strict=True):
        assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim), (path, leaf.sharding, wanted.sharding)


def assert_saved_for_any_mesh(stepped, plain, folder):
    with Checkpoints(folder, Checkpoint()) as checkpoints:
        checkpoints.save(1, stepped, cursor={}, config={}, metrics={})
        checkpoints.wait()
        restored = checkpoints.restore_newest_good(plain.abstract_state)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(restored.state), jax.device_get(stepped))


def assert_a_skipped_step_leaves_all(engine, stepped):
    """And the numbers of another config go in without compiling again."""
    before = jax.device_get(stepped)
    poisoned = runs.host_batch(engine, 2)
    poisoned["weights"][3, 3] = np.inf
    with jax.set_mesh(engine.mesh):
        after, report = engine.train_step(stepped, runs.place(engine, poisoned), {})
    assert not report.is_finite
    for part in ("params", "opt_state", "ema"):
        jax.tree.map(np.testing.assert_array_equal, before[part], jax.device_get(after[part]))
    spec = engine.run.optimizer
    still = type(spec)(learning_rate=0.0, clip_norm=0.1, groups=spec.groups)
    after["opt_state"] = optimizer.with_hyperparameters(after["opt_state"], still)
    with jax.set_mesh(engine.mesh):
        after, _ = engine.train_step(after, runs.random_batch(engine, 3), {})
    jax.tree.map(np.testing.assert_array_equal, before["params"], jax.device_get(after["params"]))
    assert engine.train_step._cache_size() == 1
