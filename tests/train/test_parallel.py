"""Sharding: the same numbers on every mesh, every leaf born where it lies, and errors that name leaf, axis and fix."""

import jax
import numpy as np
import pytest
import tiny_runs as runs
from jax.sharding import PartitionSpec

from train import config_flags, experiment, spec
from train.parallel import mesh as meshes
from train.parallel import rules
from train.parallel.mesh import MeshShape

MESHES = [(8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2)]
# A GPT-2 with dropout and a Llama 3, so that biases, learned positions and separate heads are laid out as well.
GPT2 = dict(
    model__norm="layer",
    model__positions="learned",
    model__activation="gelu",
    model__use_bias=True,
    model__dropout=0.1,
    model__layer_loop="scan",
)
LLAMA = dict(model__tie_embeddings=False, remat__policy="full")


def on(shape, **changes):
    sizes = dict(zip(("mesh__data", "mesh__fsdp", "mesh__tensor"), shape, strict=True))
    return runs.engine(num_devices=int(np.prod(shape)), **sizes, **changes)


def losses(reports):
    return [report.sums.totals["loss"] / report.sums.counts["loss"] for report in reports]


@pytest.mark.parametrize("family", [GPT2, LLAMA], ids=["gpt2", "llama"])
def test_ten_steps_are_the_same_on_every_mesh(family):
    _, expected = runs.train(on((1, 1, 1), **family), num_steps=10)
    for shape in MESHES:
        _, reports = runs.train(on(shape, **family), num_steps=10)
        np.testing.assert_allclose(losses(reports), losses(expected), rtol=0, atol=1e-5, err_msg=str(shape))


@pytest.mark.parametrize("name", ["gemma2_2b", "gemma3_1b"])
def test_families_train_alike_on_a_mesh(name):
    """The tiny forms that have all between them that tells families apart: windows, caps, norms. In float32."""
    reports = []
    for shape in [(1, 1, 1), (2, 2, 2)]:
        config = spec.complete(config_flags.load(f"{runs.CONFIGS}/lm_families.py:{name},tiny"))
        config["mesh"] = dict(zip(("data", "fsdp", "tensor"), shape, strict=True))
        config["precision"]["compute"] = "float32"
        engine = experiment.engine(spec.read(config), jax.devices()[: int(np.prod(shape))])
        reports.append(losses(runs.train(engine, num_steps=3)[1]))
    np.testing.assert_allclose(reports[0], reports[1], rtol=0, atol=1e-5)
    assert np.ptp(reports[0]) > 1e-3, "three batches, three losses"


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_models_train_alike_on_every_mesh(kind):
    """The hidden axis is cut over `tensor` and gathered at each step; documents begin anew within rows."""
    reports = []
    for shape in [(1, 1, 1), *MESHES]:
        config = spec.complete(config_flags.load(f"{runs.CONFIGS}/rnn_lm.py:tiny"))
        config["mesh"] = dict(zip(("data", "fsdp", "tensor"), shape, strict=True))
        config["model"].update(kind=kind, hidden_size=16, dropout=0.1)
        config["data"]["seq_len"] = 16
        engine = experiment.engine(spec.read(config), jax.devices()[: int(np.prod(shape))])
        reports.append(losses(runs.train(engine, num_steps=3)[1]))
        np.testing.assert_allclose(reports[-1], reports[0], rtol=0, atol=1e-5, err_msg=str(shape))
    assert np.ptp(reports[0]) > 1e-4, "three batches, three losses"


def test_initial_weights_are_the_same_on_every_mesh():
    states = []
    for shape in [(1, 1, 1), *MESHES]:
        engine = on(shape)
        with jax.set_mesh(engine.mesh):
            states.append(jax.device_get(engine.fresh_state()))
    for state in states[1:]:
        jax.tree.map(np.testing.assert_array_equal, states[0], state)


def test_every_leaf_is_born_and_stays_sharded():
    engine = on((2, 2, 2))
    with jax.set_mesh(engine.mesh):
        state = engine.fresh_state()
    stepped, _ = runs.train(engine, num_steps=1, state=jax.tree.map(lambda leaf: leaf + 0, state))
    for found in (state, stepped):
        jax.tree.map(lambda leaf, wanted: assert_lies(leaf, wanted.sharding), found, engine.abstract_state)
    kernel = state["params"]["layers"]["mlp"]["up"]["kernel"]
    assert kernel.sharding.spec == PartitionSpec(None, "fsdp", None, "tensor")
    assert kernel.addressable_shards[0].data.size * 4 == kernel.size
    moments = state["opt_state"].inner_state[1][0].mu
    assert moments["layers"]["mlp"]["up"]["kernel"].sharding == kernel.sharding


def assert_lies(leaf, sharding):
    assert leaf.sharding.is_equivalent_to(sharding, leaf.ndim), (leaf.sharding, sharding)


def test_the_table_says_what_each_device_holds():
    engine = on((2, 2, 2))
    table = rules.table(engine.abstract_state)
    lines = {line.split()[0]: line for line in table.splitlines()}
    assert len(lines) == len(jax.tree.leaves(engine.abstract_state)) + 2
    up = lines["params/layers/mlp/up/kernel"]
    assert "(2, 64, 2, 128)" in up
    assert "-, fsdp, -, tensor" in up
    assert up.split()[-1] == f"{2 * 64 * 2 * 128 * 4 // 4:,}"
    with jax.set_mesh(engine.mesh):
        state = engine.fresh_state()
    held = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(state))
    assert lines["total"].split()[-1] == f"{held:,}"


@pytest.mark.parametrize(
    ("shape", "changes", "says"),
    [
        ((1, 1, 8), dict(model__num_kv_heads=4), r"mesh.tensor: expected a divisor of 4, .* 'kv_heads' of layers/att"),
        ((1, 8, 1), dict(model__model_size=60, model__head_size=8), r"mesh.fsdp: expected a divisor of 60"),
        ((8, 1, 1), dict(train__batch_size=12), r"train.batch_size: expected a multiple of 8 .* write 16"),
        ((4, 1, 1), dict(train__accumulation=8), r"train.batch_size: expected a multiple of 32"),
        ((8, 1, 1), dict(eval={"val": {"batch_size": 4}}), r"eval.val.batch_size: expected a multiple of 8"),
    ],
)
def test_what_does_not_divide(shape, changes, says):
    with pytest.raises(ValueError, match=says):
        on(shape, **changes)


def test_mesh_shapes():
    assert MeshShape(data=-1, fsdp=2).resolve(8) == MeshShape(data=4, fsdp=2)
    with pytest.raises(ValueError, match="mesh: expected sizes that multiply to the 8 devices here, got data=3"):
        MeshShape(data=3, fsdp=2).resolve(8)
    with pytest.raises(ValueError, match="mesh: expected at most one axis of -1"):
        MeshShape(data=-1, fsdp=-1)
    with pytest.raises(ValueError, match=r"mesh.tensor: expected a positive number or -1, got 0"):
        MeshShape(tensor=0)


@pytest.mark.parametrize("shape", [(1, 1, 1), *MESHES])
def test_batches_lie_as_their_rows_say(shape):
    mesh = meshes.make(jax.devices()[: int(np.prod(shape))], MeshShape(data=shape[0], fsdp=shape[1], tensor=shape[2]))
    rows = np.arange(16 * 3).reshape(16, 3)
    placed = meshes.place_batch(mesh, {"tokens": rows}, 16)["tokens"]
    np.testing.assert_array_equal(placed, rows)
    assert placed.addressable_shards[0].data.shape[0] == 16 // (shape[0] * shape[1])
    assert meshes.local_rows(mesh, 16) == (0, 16)


def test_an_unknown_logical_axis():
    with pytest.raises(ValueError, match=r"expected a logical axis of models/axes.py, got 'hiden'"):
        rules.spec(("hiden",), rules.STORED)
