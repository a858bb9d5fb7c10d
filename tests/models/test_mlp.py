"""Multilayer perceptrons of tables beside numpy, and what their configs refuse."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import layer_norm
from flax import nnx
from scipy import special

from models.mlp import MultilayerPerceptron, MultilayerPerceptronConfig

CONFIG = MultilayerPerceptronConfig(
    hidden=(6, 6, 4), norm="layer", activation="silu", residual=True, input_shape=(2, 3), num_outputs=2
)


def outputs(config, seed: int = 0):
    """(what the model gives, its parameters, its inputs), every leaf random."""
    graph, state = nnx.split(nnx.eval_shape(lambda: MultilayerPerceptron(config, rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(seed)
    state = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), state)
    inputs = rng.normal(size=(5, *config.input_shape)).astype(np.float32)
    return nnx.merge(graph, state)(jnp.asarray(inputs)), jax.device_get(nnx.to_pure_dict(state)), inputs


def test_equals_the_reference():
    found, params, inputs = outputs(CONFIG)
    x = inputs.reshape(5, 6).astype(np.float64)
    for index, is_added in enumerate((True, True, False)):
        layer = params["layers"][index]
        h = layer_norm(layer["norm"], x @ layer["linear"]["kernel"] + layer["linear"]["bias"])
        x = h * special.expit(h) + (x if is_added else 0)
    np.testing.assert_allclose(found, x @ params["head"]["kernel"] + params["head"]["bias"], atol=1e-4)


@pytest.mark.fast
def test_without_hidden_layers_it_is_linear():
    found, params, inputs = outputs(dataclasses.replace(CONFIG, hidden=()))
    np.testing.assert_allclose(
        found, inputs.reshape(5, 6) @ params["head"]["kernel"] + params["head"]["bias"], atol=1e-5
    )


@pytest.mark.fast
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(hidden=(8, 0)), r"model.hidden: expected widths of at least 1, got \(8, 0\)"),
        (dict(activation="swiglu"), "model.activation: expected one of relu, gelu, gelu_exact, silu, got 'swiglu'"),
        (dict(norm="batch"), "model.norm: expected one of none, layer, got 'batch'"),
        (dict(dropout=1.0), r"model.dropout: expected a share in \[0, 1\), got 1.0"),
        (dict(norm_epsilon=0.0), "model.norm_epsilon: expected a number above 0"),
    ],
)
def test_wrong_configs(change, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(CONFIG, **change)
