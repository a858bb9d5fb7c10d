"""The contract of every model whose rows are examples: images, spectrograms, sequences, tables.

A case is an entry of MODELS with a small config; each runs through the same tests. Sizes suit every mesh of eight.
"""

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models import MODELS, axes
from models.placement import ONE_DEVICE
from train.parallel import cpu, rules
from train.parallel import mesh as meshes
from train.parallel.mesh import MeshShape
from train.parallel.placement import MeshPlacement

VIT = dict(num_layers=2, model_size=32, num_heads=8, mlp_size=64, num_outputs=5)
RNN = dict(num_layers=2, hidden_size=8, num_outputs=5, dropout=0.3)
CNN = dict(channels=(8, 16), norm_groups=4, num_outputs=5)
IMAGE, SPECTROGRAM, TABLE = (8, 12, 3), (12, 8), (6,)
CASES = {
    "vit": (
        "vit",
        dict(VIT, input_shape=IMAGE, patch_shape=(4, 4), num_registers=2, dropout=0.2, stochastic_depth=0.4),
    ),
    "vit_rope": (
        "vit",
        dict(
            dict(VIT, num_kv_heads=8, num_heads=16, head_size=8, input_shape=IMAGE, patch_shape=(1, 12)),
            **dict(positions="rope", pool="mean", norm="rms", activation="swiglu", use_bias=False, qk_norm=True),
        ),
    ),
    "spectrogram": (
        "vit",
        dict(VIT, input_shape=SPECTROGRAM, patch_shape=(4, 4), patch_stride=(3, 2), positions="sin_cos", dropout=0.1),
    ),
    "mlp": (
        "mlp",
        dict(input_shape=TABLE, num_outputs=5, hidden=(16, 16, 8), norm="layer", residual=True, dropout=0.3),
    ),
    "lstm": ("rnn", dict(RNN, input_shape=SPECTROGRAM, dropout_form="variational")),
    "gru_both_ways": (
        "rnn",
        dict(RNN, kind="gru", bidirectional=True, pooling="max", norm="layer", num_layers=3, input_shape=IMAGE),
    ),
    "cnn": (
        "cnn",
        dict(CNN, input_shape=IMAGE, norm="none", hidden=(24,), head="flatten", dropout=0.3, stage_dropout=0.2),
    ),
    "cnn_batch": ("cnn", dict(CNN, input_shape=(8, 8, 1), norm="batch", convs_per_stage=2, pooling="mean")),
    "cnn_of_spectrograms": ("cnn", dict(CNN, input_shape=SPECTROGRAM, norm="group", head="mean")),
    "cnn_of_waves": ("cnn", dict(CNN, input_shape=(64,), norm="batch", kernel_size=5, pool_size=4)),
    "resnet": (
        "resnet",
        dict(
            **dict(
                depth=18, width=1 / 8, stem="imagenet", norm="group", norm_groups=4, num_outputs=5, input_shape=IMAGE
            ),
            **dict(zero_init=False, stochastic_depth=0.3, dropout=0.2),
        ),
    ),
}
MESHES = [(8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2)]
NUM_ROWS = 8
CHANCE = ("dropout", "stochastic_depth")  # fields that make training differ from evaluation


def config_of(case: str, **changes):
    name, fields = CASES[case]
    return MODELS[name].Config(**{**fields, **changes})


@cache
def model_of(case: str, **changes) -> nnx.Module:
    """A model whose every leaf is random, so that none is without effect."""
    abstract = nnx.eval_shape(lambda: MODELS[CASES[case][0]](config_of(case, **changes), rngs=nnx.Rngs(0)))
    graph, state = nnx.split(abstract)
    rng = np.random.default_rng(0)

    def fill(path, variable):
        leaf = variable.get_value()
        noise = 0.2 * rng.normal(size=leaf.shape)
        about_one = path[-1] in ("scale", "variance")
        return variable.replace(jnp.asarray(1 + noise if about_one else noise, leaf.dtype))

    return nnx.merge(graph, nnx.map_state(fill, state))


def inputs_of(case: str):
    config = config_of(case)
    return np.random.default_rng(0).normal(size=(NUM_ROWS, *config.input_shape)).astype(np.float32)


def row_keys(seed: int):
    return jax.random.split(jax.random.key(seed), NUM_ROWS)


def is_random(case: str) -> bool:
    return any(getattr(config_of(case), field, 0) for field in CHANCE)


def sees_other_rows(model: nnx.Module) -> bool:
    """In training: what batch norm does."""
    return bool(jax.tree.leaves(nnx.state(model, nnx.BatchStat)))


@partial(jax.jit, static_argnums=0)
def forward(graph, state, inputs, keys_B):
    return nnx.merge(graph, state)(inputs, dropout_keys_B=keys_B)


def evaluate(model, inputs):
    return forward(*nnx.split(model), jnp.asarray(inputs), None)


def train(model, inputs, keys_B):
    return forward(*nnx.split(model), jnp.asarray(inputs), keys_B)


@pytest.mark.parametrize("case", CASES)
def test_jit_changes_nothing(case):
    model, inputs = model_of(case), inputs_of(case)
    logits = evaluate(model, inputs)
    assert logits.shape == (NUM_ROWS, config_of(case).num_outputs)
    assert float(jnp.std(logits, axis=0).min()) > 1e-3, "rows differ"
    np.testing.assert_allclose(model(jnp.asarray(inputs)), logits, atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_row_is_told_apart_from_its_neighbours_by_itself_alone(case):
    """In evaluation."""
    model, inputs = model_of(case), inputs_of(case)
    whole, other = evaluate(model, inputs), evaluate(model, np.concatenate([inputs[:2], 1 - inputs[2:]]))
    np.testing.assert_allclose(other[:2], whole[:2], atol=2e-5)
    assert (np.abs(other - whole)[2:].max(axis=1) > 1e-3).all()


@pytest.mark.parametrize("case", CASES)
def test_dtypes_are_apart(case):
    model = model_of(case, compute_dtype="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))} == {jnp.dtype("float32")}
    logits, exact = evaluate(model, inputs_of(case)), evaluate(model_of(case), inputs_of(case))
    assert logits.dtype == jnp.float32
    assert 1e-4 < float(jnp.abs(logits - exact).max()) < 0.15 * float(jnp.abs(exact).max())
    halves = model_of(case, param_dtype="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(halves, nnx.Param))} == {jnp.dtype("bfloat16")}


@pytest.mark.parametrize("case", [case for case in CASES if is_random(case)])
def test_chance_is_the_rows_own(case):
    """The same keys give the same numbers, others others, fewer rows the same rows, and none the plain model."""
    model, inputs = model_of(case), inputs_of(case)
    first = train(model, inputs, row_keys(3))
    np.testing.assert_array_equal(train(model, inputs, row_keys(3)), first)
    assert (np.abs(train(model, inputs, row_keys(4)) - first).max(axis=1) > 1e-3).all(), "every row draws"
    if not sees_other_rows(model):
        np.testing.assert_allclose(train(model, inputs[4:], row_keys(3)[4:]), first[4:], atol=2e-5)
    plain = model_of(case, **{field: 0.0 for field in CHANCE if hasattr(config_of(case), field)})
    np.testing.assert_array_equal(evaluate(model, inputs), evaluate(plain, inputs))


def lay(model: nnx.Module, mesh) -> tuple:
    """(what the model is, its parameters and its statistics, where the rules put them)."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def place(path, variable):
        value, names = variable.get_value(), variable.get_metadata()["out_sharding"]
        return variable.replace(
            jax.device_put(value, rules.stored_sharding("/".join(map(str, path)), names, value.shape, mesh))
        )

    return graph, nnx.map_state(place, params), nnx.map_state(place, rest)


def value_and_grads(case: str, model, *, placement, mesh=None):
    """Logits of a training pass, and the gradient of a sum that weighs each of them otherwise."""
    inputs, keys = jnp.asarray(inputs_of(case)), row_keys(3)
    weights = np.random.default_rng(1).normal(size=(NUM_ROWS, config_of(case).num_outputs)).astype(np.float32)
    if mesh is not None:
        inputs, keys, weights = (
            jax.device_put(rows, meshes.batch_sharding(mesh)) for rows in (inputs, keys, jnp.asarray(weights))
        )
    graph, params, rest = lay(model, mesh) if mesh is not None else nnx.split(model, nnx.Param, ...)

    def weighed(params, rest, inputs, keys, weights):
        bound = nnx.merge(graph, params, jax.tree.map(lambda leaf: leaf, rest))  # written to at this level of tracing
        logits = bound(inputs, dropout_keys_B=keys, placement=placement)
        return jnp.sum(logits * weights), (logits, nnx.state(bound, nnx.BatchStat))

    grads, (logits, stats) = jax.jit(jax.grad(weighed, has_aux=True))(params, rest, inputs, keys, weights)
    return jax.device_get({name: nnx.to_pure_dict(tree) for name, tree in (("grads", grads), ("stats", stats))}), logits


@cache
def on_one_device(case: str):
    return value_and_grads(case, model_of(case), placement=ONE_DEVICE)


@pytest.mark.parametrize("shape", MESHES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_the_same_on_every_mesh(case, shape):
    """Forward and back, with all chance on; statistics too."""
    mesh = meshes.make(jax.devices(), MeshShape(data=shape[0], fsdp=shape[1], tensor=shape[2]))
    placement = cpu.CpuPlacement() if cpu.suits(mesh) else MeshPlacement()
    with jax.set_mesh(mesh):
        found, logits = value_and_grads(case, model_of(case), placement=placement, mesh=mesh)
    expected, expected_logits = on_one_device(case)
    np.testing.assert_allclose(logits, expected_logits, atol=2e-5, rtol=1e-5)
    same = lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5 * max(1, np.abs(y).max()), rtol=1e-4)
    jax.tree.map(same, found, expected)


@pytest.mark.parametrize("case", CASES)
def test_every_parameter_matters(case):
    grads = on_one_device(case)[0]["grads"]
    for path, grad in jax.tree.leaves_with_path(grads):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        is_void = name.endswith("attention/key/bias")  # adds the same to all scores of a query
        assert (np.abs(grad).max() > 1e-5) != is_void, name


@pytest.mark.fast
@pytest.mark.parametrize("case", CASES)
def test_every_parameter_lies_by_the_rules(case):
    abstract = nnx.eval_shape(lambda: MODELS[CASES[case][0]](config_of(case), rngs=nnx.Rngs(0)))
    found = set()
    for path, variable in nnx.to_flat_state(nnx.state(abstract)):
        names, shape = variable.get_metadata()["out_sharding"], variable.get_value().shape
        assert len(names) == len(shape), path
        assert set(names) <= set(axes.LEGEND.values()), path
        found |= {axis for axis in rules.spec(names, rules.STORED) if axis}
    is_convolutional = CASES[case][0] in ("cnn", "resnet")
    assert found == ({"fsdp"} if is_convolutional else {"fsdp", "tensor"}), "large ones are cut"


@pytest.mark.fast
@pytest.mark.parametrize("case", CASES)
def test_a_config_says_what_attention_sees(case):
    config = config_of(case)
    fields = {field.name for field in dataclasses.fields(config)}
    assert (config.attention_shape is None) == ("softmax_dtype" not in fields)


@pytest.mark.parametrize("case", CASES)
def test_rows_differ_from_the_start(case):
    """Embeddings that were all 0 would have no gradient: no triplet could pull them apart."""
    model = MODELS[CASES[case][0]](config_of(case), rngs=nnx.Rngs(0))
    found = np.asarray(jax.jit(lambda model, inputs: model(inputs))(model, jnp.asarray(inputs_of(case))))
    assert (found.std(axis=0) > 1e-5).all()
