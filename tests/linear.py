"""The least model of labelled examples: their numbers times a matrix. For tests of objectives and optimizers."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from models.layers.linear import param
from models.placement import ONE_DEVICE


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearConfig:
    input_shape: tuple[int, ...]
    num_outputs: int

    attention_shape = None


class Linear(nnx.Module):
    """float32 [B, D] -> [B, N]; the matrix is cut over `fsdp`."""

    Config = LinearConfig

    def __init__(self, config, *, rngs):
        shape = (config.input_shape[0], config.num_outputs)
        self.kernel = param(jax.random.normal(rngs.params(), shape), "DN")
        self.bias = param(jnp.zeros(config.num_outputs), "N")

    def __call__(self, inputs, *, dropout_keys_B=None, placement=ONE_DEVICE):
        outputs_BN = placement.einsum("BD,DN->BN", inputs, self.kernel[...])
        return outputs_BN + placement.spread(self.bias[...], "N", outputs_BN)
