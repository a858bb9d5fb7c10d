"""Random keys: pure functions of the seed and what they are for."""

import jax
from jaxtyping import Array, Int, Key

INIT, DROPOUT, SAMPLE, MIXING = range(4)


def init(seed: int) -> Key[Array, ""]:
    """For initial parameters."""
    return jax.random.fold_in(jax.random.key(seed), INIT)


def dropout(seed: int, step: Int[Array, ""]) -> Key[Array, ""]:
    """For one step's dropout; rows fold in their number."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), DROPOUT), step)


def mixing(seed: int, step: Int[Array, ""]) -> Key[Array, ""]:
    """For what mixes the rows of one step's batch; rows fold in their number."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), MIXING), step)


def sample(seed: int, rows_B: Int[Array, "B"]) -> Key[Array, "B"]:
    """For generated text: a key of each row by its number; each token folds in its own."""
    key = jax.random.fold_in(jax.random.key(seed), SAMPLE)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, rows_B)
