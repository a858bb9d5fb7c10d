"""Vision Transformers whose every leaf is random, and inputs for them."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.vit import ViT, ViTConfig


def make(config: ViTConfig, seed: int = 0) -> ViT:
    """A model whose every leaf is random."""
    graph, state = nnx.split(nnx.eval_shape(lambda: ViT(config, rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(seed)
    return nnx.merge(
        graph, jax.tree.map(lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), leaf.dtype), state)
    )


def draw(config: ViTConfig, num_rows: int = 2):
    return np.random.default_rng(1).normal(size=(num_rows, *config.input_shape)).astype(np.float32)


def run(model: ViT, inputs):
    return jax.jit(lambda model, inputs: model(inputs))(model, inputs)
