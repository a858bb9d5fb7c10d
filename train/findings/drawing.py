"""Inputs of a model as pixels for people, [H, W, 3] of uint8: images, spectrograms, sound, tables, tokens."""

import io
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Real, UInt8

INK, PAPER, LINE = (51, 51, 51), (255, 255, 255), (0, 114, 178)
COLOURS = "magma"  # of spectrograms: brightness rises with the value, so that it reads without colour too
TWO_SIDED = "RdBu_r"  # of tables: white is 0
LEAST_SIDE = 112  # pixels: a smaller picture is enlarged by a whole number


def draw(inputs: Real[np.ndarray, "..."]) -> UInt8[np.ndarray, "H W 3"]:
    """One example after its transforms: an image [H, W, C], a spectrogram or a sequence [T, F], sound or a table [F].

    Raises:
      ValueError: an array that is none of these.
    """
    if inputs.ndim == 3:
        return image(inputs)
    if inputs.ndim == 2:
        return spectrogram(inputs)
    if inputs.ndim == 1:
        return waveform(inputs)
    raise ValueError(f"inputs: expected [H, W, C], [T, F] or [T], got {inputs.shape}")


def image(x_HWC: Real[np.ndarray, "H W C"]) -> UInt8[np.ndarray, "h w 3"]:
    """Bytes as they are, numbers from the least to the greatest. Of other than 3 channels the first is grey."""
    x_HWC = x_HWC if x_HWC.shape[-1] == 3 else np.repeat(x_HWC[..., :1], 3, axis=-1)
    return enlarged(x_HWC if x_HWC.dtype == np.uint8 else (255 * scaled(x_HWC)).round().astype(np.uint8))


def spectrogram(x_TF: Real[np.ndarray, "T F"]) -> UInt8[np.ndarray, "h w 3"]:
    """Time from left to right, low frequencies below."""
    return enlarged(coloured(scaled(x_TF).T[::-1], COLOURS))


def waveform(x_T: Real[np.ndarray, "T"], *, width: int = 320, height: int = 120) -> UInt8[np.ndarray, "height width 3"]:
    """Sound: each column from the least to the greatest of its samples, about a line at 0."""
    pixels = np.full((height, width, 3), PAPER, np.uint8)
    greatest = float(np.nanmax(np.abs(x_T), initial=0.0)) or 1.0
    edges = np.linspace(0, len(x_T), width + 1).astype(int)
    pixels[height // 2] = (221, 221, 221)
    for column, (start, end) in enumerate(pairwise(edges)):
        part = np.nan_to_num(x_T[start : max(end, start + 1)])
        top, bottom = ((1 - value / greatest) / 2 * (height - 1) for value in (part.max(), part.min()))
        pixels[math.floor(top) : math.ceil(bottom) + 1, column] = LINE
    return pixels


def scaled(x: Real[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Into [0, 1], from the least to the greatest finite value; what is not finite is 0."""
    x = x.astype(np.float64)
    finite = x[np.isfinite(x)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    return np.clip(np.nan_to_num((x - low) / ((high - low) or 1.0), nan=0.0, posinf=0.0, neginf=0.0), 0, 1)


def coloured(x_HW: Float[np.ndarray, "H W"], name: str) -> UInt8[np.ndarray, "H W 3"]:
    """Values in [0, 1] by a colour map of matplotlib's."""
    import matplotlib

    return (255 * matplotlib.colormaps[name](x_HW)[..., :3]).round().astype(np.uint8)


def enlarged(pixels: UInt8[np.ndarray, "H W 3"], *, least: int = LEAST_SIDE) -> UInt8[np.ndarray, "h w 3"]:
    """Every pixel a square, so many times that the longer side has `least` or more."""
    factor = -(-least // max(pixels.shape[:2]))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else pixels


def png(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    return file.getvalue()


def values(x_F: Real[np.ndarray, "F"], names: Sequence[str] = ()) -> str:
    """A table's row as text, a line for each feature."""
    names = names or [f"feature {index}" for index in range(len(x_F))]
    return "\n".join(f"{name}: {value:.4g}" for name, value in zip(names, x_F, strict=True))
