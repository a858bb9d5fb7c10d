"""Convolution over an image's positions, and over what is laid out like one: spectrograms, and waves of one column."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.layers.linear import param

Window = tuple[int, int]  # rows and columns


def as_image(inputs: Float[Array, "B *shape"]) -> Float[Array, "B H W C"]:
    """Images as they are; spectrograms [B, frames, mels] with one channel; waves [B, samples] with one column too."""
    return jnp.expand_dims(inputs, range(inputs.ndim, 4))


class Conv(nnx.Module):
    """`conv(x, kernel) + bias`, padded with zeros so that a stride of 1 keeps height and width.

    Kernels start normal with variance 2 / fan in (He et al., 2015, equation 10, https://arxiv.org/abs/1502.01852).
    """

    def __init__(
        self,
        sizes: tuple[int, int],
        *,
        window: Window,
        stride: Window = (1, 1),
        use_bias: bool,
        param_dtype: Any,
        compute_dtype: Any,
        rngs: nnx.Rngs,
    ):
        """`sizes`: channels in and out."""
        std = (2 / (window[0] * window[1] * sizes[0])) ** 0.5
        self.kernel = param(jax.random.normal(rngs.params(), (*window, *sizes), param_dtype) * std, "IJCO")
        self.bias = param(jnp.zeros(sizes[1], param_dtype), "N") if use_bias else None
        self.stride = stride
        self.dtype = jnp.dtype(compute_dtype)

    def __call__(self, x_BHWC: Float[Array, "B H W C"], *, placement) -> Float[Array, "B h w O"]:
        y = placement.conv(x_BHWC, self.kernel[...].astype(self.dtype), stride=self.stride)
        if self.bias is None:
            return y
        return y + jnp.expand_dims(self.bias[...].astype(self.dtype), (0, 1, 2))


def convolve(
    x_BHWC: Float[Array, "B H W C"], kernel_IJCO: Float[Array, "I J C O"], *, stride: Window
) -> Float[Array, "B h w O"]:
    """The plain form: cross-correlation with (size - 1) // 2 zeros before the first position and size // 2 after."""
    layout = ("NHWC", "HWIO", "NHWC")
    zeros = padding(kernel_IJCO.shape[:2])
    return jax.lax.conv_general_dilated(x_BHWC, kernel_IJCO, stride, zeros, dimension_numbers=layout)


def padding(window: tuple[int, ...]) -> list[tuple[int, int]]:
    """Zeros before the first and after the last row, and the same of columns."""
    return [((size - 1) // 2, size // 2) for size in window]
