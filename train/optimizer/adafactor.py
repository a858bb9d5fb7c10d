"""Adafactor's parts (Shazeer and Stern, 2018, https://arxiv.org/abs/1804.04235), one layer and one matrix at a time.

optax's `scale_by_factored_rms` factors over a parameter's two largest dims, and takes the root mean square over all
layers at once: with kernels that are stacked over layers and have several axes a side that is another optimizer, and it
would change with the way layers are stored. These read rows and columns off the logical axes, and give each layer what
optax gives it alone.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from train import trees
from train.optimizer.matrices import Matrix

SMALLEST_SCALE = 1e-3  # of a parameter's root mean square, so that one that is zero can move (section 8)


class Moments(NamedTuple):
    """Mean squares of a parameter's gradients: of rows and columns, or of the whole; what is not kept is None.

    Dims that were averaged over stay with size one.
    """

    rows: Array | None = None
    columns: Array | None = None
    whole: Array | None = None


class FactoredState(NamedTuple):
    num_updates: Int[Array, ""]
    moments: Any  # a tree like the parameters', with Moments for leaves


def scale_by_factored_rms(
    matrices: Mapping[str, Matrix | None], *, decay_power: Any, epsilon: Any, min_size_to_factor: int
) -> optax.GradientTransformation:
    """Gradients over the root of their mean squares, which decay by 1 - step**-decay_power (section 7.2).

    Factored are matrices whose sides both have `min_size_to_factor` or more.
    """

    def init(params):
        def zeros(name, param):
            dims = factored_dims(matrices[name], param.shape, min_size_to_factor)
            return averaged(jnp.zeros_like(param), dims)

        return FactoredState(jnp.zeros((), jnp.int32), trees.map_with_name(zeros, params))

    def update(grads, state, params=None):
        decay = 1 - (state.num_updates + 1).astype(jnp.float32) ** -decay_power

        def moved(name, grad, old):
            dims = factored_dims(matrices[name], grad.shape, min_size_to_factor)
            new = averaged(jnp.square(grad) + epsilon, dims)
            return jax.tree.map(lambda a, b: (decay * a + (1 - decay) * b).astype(a.dtype), old, new)

        def scaled(name, grad, moments):
            return grad * inverse_root(moments, matrices[name])

        moments = trees.map_with_name(moved, grads, state.moments)
        updates = trees.map_with_name(scaled, grads, moments)
        return updates, FactoredState(optax.safe_increment(state.num_updates), moments)

    return optax.GradientTransformation(init, update)


def factored_dims(dims: Matrix | None, shape: tuple[int, ...], min_size: int) -> Matrix | None:
    """`dims` where both sides are large enough to be factored, else None."""
    if dims is None or min(math.prod(shape[dim] for dim in side) for side in (dims.rows, dims.columns)) < min_size:
        return None
    return dims


def averaged(squares: Float[Array, "..."], dims: Matrix | None) -> Moments:
    """Means over columns and over rows, or the squares themselves."""
    if dims is None:
        return Moments(whole=squares)
    rows = jnp.mean(squares, axis=dims.columns, keepdims=True)
    return Moments(rows=rows, columns=jnp.mean(squares, axis=dims.rows, keepdims=True))


def inverse_root(moments: Moments, dims: Matrix | None) -> Float[Array, "..."]:
    """1 / sqrt of the mean squares, which factored are rows * columns / mean(rows)."""
    if moments.whole is not None:
        return moments.whole**-0.5
    assert dims is not None
    assert moments.rows is not None
    assert moments.columns is not None
    share = moments.rows / jnp.mean(moments.rows, axis=dims.rows, keepdims=True)
    return share**-0.5 * moments.columns**-0.5


def clip_by_rms(blocks: Mapping[str, tuple[int, ...]], threshold: Any) -> optax.GradientTransformation:
    """Divides updates whose root mean square is above the threshold (section 6), for each layer apart.

    `blocks`: the dims of one layer's parameter.
    """
    clip = lambda name, update: update / jnp.maximum(1, rms(update, blocks[name]) / threshold)
    return optax.stateless(lambda updates, params: trees.map_with_name(clip, updates))


def scale_by_param_rms(blocks: Mapping[str, tuple[int, ...]]) -> optax.GradientTransformation:
    """Multiplies updates by the root mean square of their parameters (section 8), for each layer apart."""
    scale = lambda name, update, param: update * jnp.maximum(rms(param, blocks[name]), SMALLEST_SCALE)
    return optax.stateless(lambda updates, params: trees.map_with_name(scale, updates, params))


def rms(x: Float[Array, "..."], dims: tuple[int, ...]) -> Float[Array, "..."]:
    """The root mean square over these dims, which stay with size one."""
    return jnp.sqrt(jnp.mean(jnp.square(x), axis=dims, keepdims=True))
