"""L1 regularisation by soft thresholds after each update, which give true zeros."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from train import trees


def soft_threshold(
    scale: optax.GradientTransformation, strengths: Mapping[str, Float[Array, ""]]
) -> optax.GradientTransformation:
    """`scale`, the last link of an optimizer, and after it the proximal step of an L1 norm.

    A weight w that its update u moves to v = w + u becomes sign(v) [|v| - rate * strength]_+ (Parikh and Boyd, 2014,
    https://doi.org/10.1561/2400000003, section 6.5.2). `strengths` are those of the parameters that have one, by name.
    The rate is what `scale` multiplies an update by, so schedule, group and learning rate stand in one place.
    """
    none = jnp.zeros(())

    def update(updates: Any, state: Any, params: Any) -> tuple[Any, Any]:
        thresholds = trees.map_with_name(lambda name, _: strengths.get(name, none), updates)
        thresholds, _ = scale.update(thresholds, state, params)
        updates, state = scale.update(updates, state, params)
        shrink = lambda name, *leaves: _shrink(*leaves) if name in strengths else leaves[0]
        return trees.map_with_name(shrink, updates, params, thresholds), state

    return optax.GradientTransformation(scale.init, update)


def zero_fraction(params: Any, names: tuple[str, ...]) -> Float[Array, ""]:
    """The share of weights of these parameters that are exactly zero."""
    leaves = [leaf for path, leaf in jax.tree.leaves_with_path(params) if trees.name(path) in names]
    zeros = sum(jnp.sum(leaf == 0, dtype=jnp.float32) for leaf in leaves)
    return zeros / sum(leaf.size for leaf in leaves)


def _shrink(
    update: Float[Array, "*shape"], param: Float[Array, "*shape"], threshold: Float[Array, ""]
) -> Float[Array, "*shape"]:
    """The update that lands on the shrunken weight; on zero exactly, since w + (-w) is 0 in any dtype.

    `threshold` has the sign of an update that goes down a slope of one: it is negative.
    """
    moved = param.astype(jnp.float32) + update.astype(jnp.float32)
    shrunk = update + (jnp.sign(moved) * threshold).astype(update.dtype)
    return jnp.where(jnp.abs(moved) > -threshold, shrunk, -param.astype(update.dtype))
