"""Parameters and FLOPs: of a Transformer from its config's sizes alone, of any model from its traced forward pass."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend.core

from models.layers.mlp import GATED
from models.transformer_config import TransformerConfig


def num_params(config: TransformerConfig) -> int:
    """Parameters, embeddings included; equal to the sum of the leaves' sizes."""
    return config.num_layers * block_params(config) + embedding_params(config) + norm_params(config, config.model_size)


def embedding_params(config: TransformerConfig) -> int:
    """The token table, the head unless it is tied, and learned positions."""
    tables = 1 if config.tie_embeddings else 2
    positions = config.max_length if config.positions == "learned" else 0
    return (tables * config.vocab_size + positions) * config.model_size


def block_params(config: TransformerConfig) -> int:
    """One layer: four projections of attention, two or three of the MLP, their biases, and two to six norms."""
    query_size, kv_size = config.num_heads * config.head_size, config.num_kv_heads * config.head_size
    hidden = config.mlp_size * num_gates(config)
    kernels = config.model_size * (2 * query_size + 2 * kv_size + hidden + config.mlp_size)
    biases = query_size + 2 * kv_size + config.model_size + hidden + config.model_size
    norms = (4 if config.post_norms else 2) * norm_params(config, config.model_size)
    head_norms = 2 * norm_params(config, config.head_size) if config.qk_norm else 0
    return kernels + (biases if config.use_bias else 0) + norms + head_norms


def num_gates(config: TransformerConfig) -> int:
    """Projections into the MLP's hidden layer."""
    return 2 if config.activation in GATED else 1


def norm_params(config: TransformerConfig, size: int) -> int:
    """A scale, and a bias for layer norms with biases."""
    return size * (2 if config.norm == "layer" and config.use_bias else 1)


def forward_flops(config: TransformerConfig, *, seq_len: int) -> int:
    """FLOPs of one token's forward pass: two a multiply-add in every matmul, the whole square of attention's scores.

    Counted as in PaLM, appendix B (https://arxiv.org/abs/2204.02311): norms, softmax and rotations are left out. A
    layer with a window counts as many keys as the window has, as if every query had them all.
    """
    query_size, kv_size = config.num_heads * config.head_size, config.num_kv_heads * config.head_size
    matmuls = config.model_size * (2 * query_size + 2 * kv_size + (num_gates(config) + 1) * config.mlp_size)
    num_keys = sum(min(window or seq_len, seq_len) for window in config.layer_windows)
    attention = 2 * query_size * num_keys
    return 2 * (config.num_layers * matmuls + attention + config.model_size * config.vocab_size)


def train_flops(config: TransformerConfig, *, seq_len: int) -> int:
    """FLOPs of one token's forward and backward pass, nothing computed twice: three forward passes."""
    return 3 * forward_flops(config, seq_len=seq_len)


def traced_train_flops(forward: Callable[..., Any], *abstract: Any) -> int:
    """FLOPs of a forward and backward pass: three times those of `forward`'s products and convolutions.

    `abstract` are the shapes of its arguments. A loop counts as often as it runs; two FLOPs are a multiply-add.
    """
    return 3 * sum(_flops(jax.make_jaxpr(forward)(*abstract).jaxpr))


def _flops(jaxpr: Any) -> Iterator[int]:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (summed, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            yield 2 * equation.outvars[0].aval.size * math.prod(shape[axis] for axis in summed)
        elif equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval
            outputs = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
            yield 2 * equation.outvars[0].aval.size * (kernel.size // outputs)
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield times * sum(_flops(inner))
