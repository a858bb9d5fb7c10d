"""Pooling over windows that do not overlap, by reshaping, and over all positions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

POOLINGS = {"max": jnp.max, "mean": jnp.mean}


def pool(x_BHWC: Float[Array, "B H W C"], window: tuple[int, int], *, kind: str) -> Float[Array, "B h w C"]:
    """The greatest value or the mean of each window; rows and columns that fill no window are left out."""
    rows = _pool(x_BHWC, window[0], dim=1, kind=kind)
    return _pool(rows, window[1], dim=2, kind=kind)


def _pool(x: Float[Array, "*dims"], step: int, *, dim: int, kind: str) -> Float[Array, "*pooled"]:
    """One axis after the other: an Explicit mesh lets a reshape cut one axis at a time."""
    size = x.shape[dim] // step
    x = jax.lax.slice_in_dim(x, 0, size * step, axis=dim)
    return POOLINGS[kind](x.reshape(*x.shape[:dim], size, step, *x.shape[dim + 1 :]), axis=dim + 1)


def mean_positions(x_BHWC: Float[Array, "B H W C"]) -> Float[Array, "B C"]:
    """Global average pooling."""
    return jnp.mean(x_BHWC, axis=(1, 2))
