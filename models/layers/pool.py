"""Pooling over windows side by side, or overlapping, and over all positions."""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from models.layers.conv import Window, padding


def pool(x_BHWC: Float[Array, "B H W C"], window: Window, *, kind: str) -> Float[Array, "B h w C"]:
    """The greatest value or the mean of each window; rows and columns that fill no window are left out."""
    height, width = (size // step * step for size, step in zip(x_BHWC.shape[1:3], window, strict=True))
    return POOLINGS[kind](x_BHWC[:, :height, :width], window)


def mean_pool(x_BHWC: Float[Array, "B H W C"], window: Window) -> Float[Array, "B h w C"]:
    """The mean of each window; they cover everything."""
    rows = jnp.mean(_cut(x_BHWC, window[0], dim=1), axis=2)
    return jnp.mean(_cut(rows, window[1], dim=2), axis=3)


def mean_positions(x_BHWC: Float[Array, "B H W C"]) -> Float[Array, "B C"]:
    """Global average pooling."""
    return jnp.mean(x_BHWC, axis=(1, 2))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_pool(x_BHWC: Float[Array, "B H W C"], window: Window) -> Float[Array, "B h w C"]:
    """The greatest value of each window; they cover everything. Of equal ones the first has the gradient.

    `jax.lax.reduce_window` would look for the greatest value again in its backward pass: on CPUs that takes twenty
    times as long as remembering which it was.
    """
    return _greatest(x_BHWC, window)[0]


def _greatest(x_BHWC, window: Window) -> tuple[Float[Array, "B h w C"], UInt8[Array, "B h w C"]]:
    """The greatest value of each window, and its number within the window."""
    offsets = [(i, j) for i in range(window[0]) for j in range(window[1])]
    first, *others = (x_BHWC[:, i :: window[0], j :: window[1]] for i, j in offsets)
    greatest, place = first, jnp.zeros_like(first, jnp.uint8)
    for number, values in enumerate(others, 1):
        place = jnp.where(values > greatest, jnp.uint8(number), place)
        greatest = jnp.maximum(greatest, values)
    return greatest, place


def _spread(window: Window, place, grad):
    """The gradient, put where the greatest values were."""
    numbers = jnp.arange(window[0] * window[1], dtype=jnp.uint8).reshape(1, 1, window[0], 1, window[1], 1)
    cells = jnp.where(place[:, :, None, :, None] == numbers, grad[:, :, None, :, None], jnp.zeros((), grad.dtype))
    batch, height, rows, width, columns, size = cells.shape
    return (cells.reshape(batch, height * rows, width, columns, size).reshape(batch, height * rows, -1, size),)


max_pool.defvjp(_greatest, _spread)

POOLINGS: Mapping[str, Callable[..., Array]] = {"max": max_pool, "mean": mean_pool}


def overlapping_max_pool(x_BHWC: Float[Array, "B H W C"], window: Window, *, stride: Window) -> Float[Array, "B h w C"]:
    """The greatest value of windows that lie `stride` apart, as a convolution's do; what lies outside is below all."""
    zeros = ((0, 0), *padding(window), (0, 0))
    # An array of -inf would hide from JAX that this is a maximum, whose gradient it knows.
    return jax.lax.reduce_window(x_BHWC, -jnp.inf, jax.lax.max, (1, *window, 1), (1, *stride, 1), zeros)


def _cut(x: Array, step: int, *, dim: int) -> Array:
    """One axis cut in two. One at a time: an Explicit mesh wants to be told how the pieces of several lie."""
    return x.reshape(*x.shape[:dim], x.shape[dim] // step, step, *x.shape[dim + 1 :])
