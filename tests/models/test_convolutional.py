"""The contract of every convolutional model, and each against its slow form in numpy."""

import convolutional as slow
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolutional import MODELS, inputs_of, keys_of, make, train_once
from flax import nnx

from models.cnn import CnnConfig


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("name", ["plain", "batch", "spectrogram", "wave"])
def test_the_cnn_equals_its_slow_form(name, is_training):
    model, inputs = make(name), inputs_of(name)
    logits = jax.jit(lambda model, keys: model(jnp.asarray(inputs), dropout_keys_B=keys))(
        model, keys_of() if is_training else None
    )
    np.testing.assert_allclose(logits, cnn(name, model, inputs, is_training=is_training), rtol=2e-5, atol=2e-5)


def cnn(name, model, inputs, *, is_training):
    config, w = model.config, slow.arrays(model)
    x = inputs.astype(np.float64).reshape(*(*inputs.shape, 1, 1)[:4]) if inputs.ndim < 4 else inputs
    for _, stage in sorted(w["stages"].items()):
        for _, layer in sorted(stage.items()):
            x = slow.conv(layer["conv"], x)
            if config.norm == "batch":
                x = slow.batch_norm(layer["norm"], x, is_training=is_training)
            if config.norm == "group":
                x = slow.group_norm(layer["norm"], x, num_groups=4)
            x = np.maximum(x, 0)
        x = slow.pooled(x, (4, 1) if name == "wave" else (2, 2), kind=config.pooling)
    x = x.mean((1, 2)) if config.head == "mean" else x.reshape(len(x), -1)
    layers = [layer for _, layer in sorted(w["head"].items())]
    for layer in layers[:-1]:
        x = np.maximum(x @ layer["kernel"] + layer["bias"], 0)
    return x @ layers[-1]["kernel"] + layers[-1]["bias"]


@pytest.mark.parametrize("name", MODELS)
def test_jit_changes_nothing(name):
    inputs = inputs_of(name)
    jitted = jax.jit(train_once)(make(name), inputs, keys_of())
    eager = train_once(make(name), inputs, keys_of())
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5), jitted, eager)


def test_running_statistics_are_means_over_steps():
    """A momentum of 0.9 and an unbiased variance, as in PyTorch's documentation of BatchNorm2d."""
    model = make("batch")
    before = slow.arrays(model)["stages"][0][0]
    inputs = inputs_of("batch")
    model(jnp.asarray(inputs), dropout_keys_B=keys_of())
    after = slow.arrays(model)["stages"][0][0]["norm"]
    rows = slow.conv(before["conv"], inputs.astype(np.float64)).reshape(-1, 8)
    np.testing.assert_allclose(after["mean"], 0.9 * before["norm"]["mean"] + 0.1 * rows.mean(0), atol=1e-5)
    expected = 0.9 * before["norm"]["variance"] + 0.1 * rows.var(0, ddof=1)
    np.testing.assert_allclose(after["variance"], expected, atol=1e-5)
    model(jnp.asarray(inputs))
    np.testing.assert_array_equal(slow.arrays(model)["stages"][0][0]["norm"]["mean"], after["mean"])


@pytest.mark.parametrize("field", ["dropout", "stage_dropout"])
def test_dropout_is_a_function_of_rows_keys(field):
    model, inputs = make("plain", **{field: 0.5}), jnp.asarray(inputs_of("plain"))
    run = jax.jit(lambda keys, inputs: model(inputs, dropout_keys_B=keys))
    logits = run(keys_of(), inputs)
    np.testing.assert_array_equal(logits, run(keys_of(), inputs))
    assert np.abs(logits - run(keys_of(seed=3), inputs)).min() > 0
    order = np.array([3, 1, 0, 2, 7, 5, 4, 6])
    np.testing.assert_allclose(run(keys_of()[order], inputs[order]), logits[order], atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_is_near(name):
    exact = jax.jit(train_once)(make(name), inputs_of(name), keys_of())
    rough = jax.jit(train_once)(make(name, compute_dtype="bfloat16"), inputs_of(name), keys_of())
    assert rough["logits"].dtype == jnp.float32
    np.testing.assert_allclose(rough["logits"], exact["logits"], atol=0.1 * np.abs(exact["logits"]).max())
    assert {leaf.dtype for leaf in jax.tree.leaves((rough["grads"], rough["stats"]))} == {np.dtype(np.float32)}


@pytest.mark.fast
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(channels=(8, 0)), r"model.channels: expected numbers of at least 1, got \(8, 0\)"),
        (dict(channels=()), "model.channels: expected the channels of one stage or more"),
        (dict(channels=(8,) * 5), r"model.channels: expected fewer stages: 5 .* leave nothing of \(28, 28, 1\)"),
        (dict(norm="layer"), "model.norm: expected one of none, batch, group, got 'layer'"),
        (dict(norm="group", channels=(8, 12)), "model.norm_groups: expected a divisor .* got 8; write 4 or a divisor"),
        (dict(dropout=1.0), r"model.dropout: expected a share in \[0, 1\), got 1.0"),
        (dict(norm_momentum=1.0), r"model.norm_momentum: expected a share in \[0, 1\)"),
        (dict(norm_epsilon=0.0), "model.norm_epsilon: expected a number above 0"),
        (dict(input_shape=(2, 3, 4, 5)), "data.shape: expected .height, width, channels.* got"),
    ],
)
def test_what_a_cnn_cannot_be(changes, says):
    with pytest.raises(ValueError, match=says):
        CnnConfig(**{**dict(input_shape=(28, 28, 1), num_outputs=10), **changes})


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_has_its_axes(name):
    variables = jax.tree.leaves(
        nnx.state(make(name), (nnx.Param, nnx.BatchStat)), is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)
    )
    assert len(variables) > 4
    for variable in variables:
        assert len(variable.get_metadata()["out_sharding"]) == variable.get_value().ndim
