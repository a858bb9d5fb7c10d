"""Stochastic depth (Huang et al., 2016, https://arxiv.org/abs/1603.09382): rows that leave out a residual branch."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def stochastic_depth(
    branch: Float[Array, "B *dims"], keys_B: Key[Array, "B"] | None, *, rate: float
) -> Float[Array, "B *dims"]:
    """Zeroes the branch of a share `rate` of the rows and scales the others' by 1 / (1 - rate), where the paper scales
    when it evaluates: the same in expectation. `None` keys: everybody keeps it."""
    if keys_B is None or rate == 0:
        return branch
    is_kept_B = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate))(keys_B)
    is_kept = jnp.expand_dims(is_kept_B, range(1, branch.ndim))
    return jnp.where(is_kept, branch / (1 - rate), jnp.zeros_like(branch))


def rate_of(layer: int, *, num_layers: int, last: float) -> float:
    """The linear rule (section 3.2): layer 0 begins near none, the last one has `last`."""
    return last * (layer + 1) / num_layers
