"""Images cut into patches, and where in two dimensions the patches stand."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from models.layers.rope import RopeScaling, frequencies


def cut(
    images: Float[Array, "B rows columns channels"], *, shape: Sequence[int], stride: Sequence[int]
) -> Float[Array, "B L X"]:
    """The patches of an image from left to right and from top to bottom, each as its values in the same order, the
    channels of a pixel together. What is left of an image at the right and at the bottom is not seen.

    A reshape splits one axis, or merges into one: all that it may on an Explicit mesh that cuts the batch.
    """
    num_rows, channels = images.shape[0], images.shape[-1]
    x = _windows(images, axis=1, size=shape[0], stride=stride[0])
    x = _windows(x, axis=3, size=shape[1], stride=stride[1])
    x = jnp.swapaxes(x, 2, 3)  # [B, down, across, rows, columns, channels]
    x = x.reshape(num_rows, x.shape[1] * x.shape[2], *shape, channels)
    return x.reshape(num_rows, x.shape[1], shape[0] * shape[1] * channels)


def _windows(x: Array, *, axis: int, size: int, stride: int) -> Array:
    """[..., length, ...] -> [..., windows, size, ...]."""
    count = num_windows(x.shape[axis], size=size, stride=stride)
    if stride == size and count * size == x.shape[axis]:
        return x.reshape(*x.shape[:axis], count, size, *x.shape[axis + 1 :])
    starts = stride * np.arange(count)
    return jnp.take(x, starts[:, None] + np.arange(size)[None], axis=axis)


def num_windows(length: int, *, size: int, stride: int) -> int:
    """How many windows of `size` fit, each `stride` after the one before."""
    return (length - size) // stride + 1


def grid_positions(grid: tuple[int, int]) -> Int[np.ndarray, "L 2"]:
    """The row and the column of each patch, from left to right and from top to bottom."""
    return np.moveaxis(np.indices(grid), 0, -1).reshape(-1, 2).astype(np.int32)


def sin_cos(grid: tuple[int, int], size: int) -> Float[np.ndarray, "L D"]:
    """Fixed positions: a quarter of the width for each of sine and cosine of row and column (Chen et al., 2021,
    https://arxiv.org/abs/2104.02057, section 5.1, after Vaswani et al., 2017)."""
    freqs = frequencies(size // 2, theta=10_000.0, scaling=RopeScaling())
    angles = grid_positions(grid)[:, :, None] * freqs[None, None]
    quarters = [np.sin(angles[:, 0]), np.cos(angles[:, 0]), np.sin(angles[:, 1]), np.cos(angles[:, 1])]
    return np.concatenate(quarters, axis=-1).astype(np.float32)


def axial_frequencies(head_size: int, *, theta: float) -> Float[np.ndarray, "2 R"]:
    """What rows and columns turn the pairs of a head by: half of the pairs each, in radians (Heo et al., 2024,
    https://arxiv.org/abs/2403.13298, section 3.2, "axial")."""
    freqs = frequencies(head_size // 2, theta=theta, scaling=RopeScaling())
    none = np.zeros_like(freqs)
    return np.stack([np.concatenate([freqs, none]), np.concatenate([none, freqs])]).astype(np.float32)
