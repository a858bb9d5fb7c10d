"""Dropout (Srivastava et al., 2014) and stochastic depth (Huang et al., 2016, https://arxiv.org/abs/1603.09382), whose
choices are a pure function of a row's own key, so that no mesh, host count or accumulation changes them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def fold(keys_B: Key[Array, "B"] | None, number) -> Key[Array, "B"] | None:
    """New row keys for another place: a layer's index, or a site within it. `None`: no dropout."""
    return None if keys_B is None else jax.vmap(lambda key: jax.random.fold_in(key, number))(keys_B)


def dropout(x: Float[Array, "B *dims"], keys_B: Key[Array, "B"] | None, *, rate: float) -> Float[Array, "B *dims"]:
    """Zeroes a share `rate` of the values and scales the others by 1 / (1 - rate)."""
    if keys_B is None or rate == 0:
        return x
    draw = lambda key: jax.random.bernoulli(key, 1 - rate, x.shape[1:])
    return jnp.where(jax.vmap(draw)(keys_B), x / (1 - rate), jnp.zeros_like(x))


def drop_rows(x: Float[Array, "B *dims"], keys_B: Key[Array, "B"] | None, *, rate) -> Float[Array, "B *dims"]:
    """Zeroes a share `rate` of the rows and scales the others by 1 / (1 - rate); `rate` may be an array. None: none."""
    if keys_B is None or rate is None:
        return x
    keeps_B = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate))(keys_B)
    factors_B = (keeps_B / (1 - rate)).astype(x.dtype)
    return x * jnp.expand_dims(factors_B, range(1, x.ndim))
