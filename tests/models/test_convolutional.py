"""Convolutional models and their layers beside slow forms in numpy (their contract: test_row_models.py)."""

import dataclasses
from functools import partial

import convolutional as slow
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolutional import MODELS, inputs_of, keys_of, make
from flax import nnx

from models.cnn import CnnConfig
from models.layers.batch_norm import normalise
from models.layers.pool import pool
from models.placement import ONE_DEVICE
from models.resnet import ResNet, ResNetConfig
from train.parallel.cpu import CpuPlacement


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
    for _, layer in sorted(w.get("hidden", {}).items()):
        x = np.maximum(x @ layer["kernel"] + layer["bias"], 0)
    return x @ w["head"]["kernel"] + w["head"]["bias"]


@pytest.mark.parametrize(("name", "is_training"), [("resnet18", False), ("resnet18", True), ("resnet50", False)])
def test_the_resnet_equals_its_slow_form(name, is_training):
    model, inputs = make(name), inputs_of(name)
    logits = jax.jit(lambda model, keys: model(jnp.asarray(inputs), dropout_keys_B=keys))(
        model, keys_of() if is_training else None
    )
    expected = resnet(name, slow.arrays(model), inputs.astype(np.float64), is_training=is_training)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def resnet(name, w, x, *, is_training):
    """He et al. (2015), table 1 and figure 5, with the stride of a bottleneck in its 3 x 3 convolution."""
    is_small = name == "resnet18"
    norm = partial(slow.batch_norm, is_training=is_training) if is_small else partial(slow.group_norm, num_groups=4)
    relu = partial(np.maximum, 0)
    if is_small:
        x = relu(norm(w["stem_norm"], slow.conv(w["stem"], x)))
    else:
        x = relu(norm(w["stem_norm"], slow.conv(w["stem"], x[..., None], stride=2)))
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
        parts = [padded[:, i : i + x.shape[1] : 2, j : j + x.shape[2] : 2] for i in range(3) for j in range(3)]
        x = np.max(parts, axis=0)
    firsts = (2, 4, 6) if is_small else (3, 7, 13)  # blocks that halve their input
    for number, block in sorted(w["blocks"].items()):
        stride = 2 if number in firsts else 1
        y = x
        for index, layer in sorted(block["convs"].items()):
            here = stride if index == (0 if is_small else 1) else 1
            y = norm(block["norms"][index], slow.conv(layer, relu(y) if index else y, stride=here))
        if number in firsts or (number == 0 and not is_small):
            x = norm(block["projection_norm"], slow.conv(block["projection"], x, stride=stride))
        x = relu(x + y)
    return x.mean((1, 2)) @ w["head"]["kernel"] + w["head"]["bias"]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("depth", "num_params"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_resnets_have_the_published_parameters(depth, num_params):
    """As torchvision's models of these names have."""
    config = ResNetConfig(depth=depth, input_shape=(224, 224, 3), num_outputs=1000)
    model = nnx.eval_shape(lambda: ResNet(config, rngs=nnx.Rngs(0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))) == num_params


def test_zero_init_makes_blocks_the_identity():
    """So a net of depth 18 begins as its stem and its projections alone."""
    config = dataclasses.replace(MODELS["resnet18"][1], zero_init=True)
    model = ResNet(config, rngs=nnx.Rngs(0))
    x = jnp.abs(jax.random.normal(jax.random.key(0), (2, 8, 8, 8)))
    np.testing.assert_array_equal(model.blocks[1](x, keys_B=None, placement=ONE_DEVICE), x)


@pytest.mark.fast
@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("window", [(2, 2), (3, 2), (4, 1)])
def test_pooling(kind, window):
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(pool(jnp.asarray(x), window, kind=kind), slow.pooled(x, window, kind=kind), atol=1e-6)


@pytest.mark.fast
def test_the_first_of_equal_values_has_the_gradient():
    x = jnp.asarray([[1.0, 3.0, 5.0, 5.0], [3.0, 2.0, 5.0, 5.0]])[None, ..., None]
    grad = jax.grad(lambda x: jnp.sum(pool(x, (2, 2), kind="max") * jnp.array([[[[2.0], [7.0]]]])))(x)
    np.testing.assert_array_equal(grad[0, ..., 0], [[0, 2, 7, 0], [0, 0, 0, 0]])
    assert np.isnan(pool(x.at[0, 0, 1].set(jnp.nan), (2, 2), kind="max")[0, 0, 0, 0]), "what is no number stays seen"


@pytest.mark.fast
@pytest.mark.parametrize("sums", [ONE_DEVICE.channel_sums, CpuPlacement().channel_sums], ids=["plain", "cpu"])
def test_batch_norms_gradient_equals_that_of_its_formula(sums):
    x = jax.random.normal(jax.random.key(0), (4, 3, 3, 5)) * 2 + 1
    scale, bias, weights = (jax.random.normal(jax.random.key(seed), (5,)) for seed in (1, 2, 3))

    def formula(x, scale, bias):
        mean, variance = (moment(x, axis=(0, 1, 2), keepdims=True) for moment in (jnp.mean, jnp.var))
        return (x - mean) / jnp.sqrt(variance + 1e-5) * scale[None, None, None] + bias[None, None, None]

    loss = lambda norm: lambda *args: jnp.sum(jnp.sin(norm(*args)) * weights[None, None, None])
    expected = jax.grad(loss(formula), argnums=(0, 1, 2))(x, scale, bias)
    found = jax.grad(loss(lambda *args: normalise(*args, 1e-5, sums)[0]), argnums=(0, 1, 2))(x, scale, bias)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


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


@pytest.mark.fast
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(depth=20), "model.depth: expected one of 18, 34, 50, 101, 152, got 20"),
        (dict(stem="big"), "model.stem: expected one of imagenet, small, got 'big'"),
        (dict(norm="none"), "model.norm: expected one of batch, group"),
        (dict(stochastic_depth=1.0), r"model.stochastic_depth: expected a share in \[0, 1\), got 1.0"),
        (dict(width=0.001), "model.width: expected at least 1/64"),
        (dict(norm="group", width=0.25), "model.norm_groups: expected a divisor .* got 32; write 16"),
        (dict(input_shape=(16000,)), "data.shape: expected .height, width, channels"),
    ],
)
def test_what_a_resnet_cannot_be(changes, says):
    with pytest.raises(ValueError, match=says):
        ResNetConfig(**{**dict(input_shape=(28, 28, 1), num_outputs=10), **changes})
