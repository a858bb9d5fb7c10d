"""Where pixels stand: flips, and rotation, scale, translation and shear by one resampling routine.

A map of the plane turns places of the new picture into places of the old one, about the middle of both: x to the right,
y down, in pixels. What comes from outside is black.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, UInt64

from input_pipeline import hashing
from input_pipeline.transforms.image.pictures import Pictures, require

_AT_A_TIME = 2**15  # numbers in a step of `warp`, which then stay in the cache of a processor
_DIGITS = 12  # of a map's numbers: cos(90 degrees) is 6e-17, and would lose a row of pixels


@dataclass(frozen=True)
class FlipLr(Pictures):
    """Left becomes right with this probability."""

    probability: float = 0.5

    def __post_init__(self) -> None:
        check_probability(self.probability)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        return _some(images_BHWC, images_BHWC[:, :, ::-1], keys_B, self.probability)


@dataclass(frozen=True)
class FlipUd(Pictures):
    """Top becomes bottom with this probability."""

    probability: float = 0.5

    def __post_init__(self) -> None:
        check_probability(self.probability)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        return _some(images_BHWC, images_BHWC[:, ::-1], keys_B, self.probability)


@dataclass(frozen=True)
class Rotate(Pictures):
    """Turns about the middle, by an angle uniform in [-degrees, degrees]."""

    degrees: float
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(0 < self.degrees <= 180, "degrees", "more than 0, up to 180", self.degrees)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        return rotate(images_BHWC, between(keys_B, -self.degrees, self.degrees))


@dataclass(frozen=True)
class Scale(Pictures):
    """Enlarges about the middle by a factor log-uniform in [low, high]; below 1 it shrinks. The size stays."""

    low: float
    high: float
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(self.low > 0, "low", "a factor above 0", self.low)
        require(self.high >= self.low, "high", "a factor from low", self.high)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        factor_B = np.exp(between(keys_B, np.log(self.low), np.log(self.high)))
        zero_B = np.zeros_like(factor_B)
        return warp(images_BHWC, [1 / factor_B, zero_B, zero_B, zero_B, 1 / factor_B, zero_B])


@dataclass(frozen=True)
class Translate(Pictures):
    """Moves across and down, each by a share of that side uniform in [-share, share]."""

    share: float
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(0 < self.share <= 1, "share", "a share of the side above 0 and up to 1", self.share)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        across_B, down_B = (2 * hashing.uniform(keys_B, 2) - 1).T * self.share
        return translate(images_BHWC, across_B, down_B)


@dataclass(frozen=True)
class Shear(Pictures):
    """Slants across or down, as a coin says, by an angle uniform in [-degrees, degrees]."""

    degrees: float
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(0 < self.degrees < 90, "degrees", "more than 0, less than 90", self.degrees)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        coin_B, drawn_B = hashing.uniform(keys_B, 2).T
        slant_B = np.tan(np.radians((2 * drawn_B - 1) * self.degrees))
        return shear(images_BHWC, np.where(coin_B < 0.5, slant_B, 0), np.where(coin_B < 0.5, 0, slant_B))


def rotate(images_BHWC: np.ndarray, degrees_B: np.ndarray) -> np.ndarray:
    """Turned against the clock."""
    cos_B, sin_B = np.cos(np.radians(degrees_B)), np.sin(np.radians(degrees_B))
    zero_B = np.zeros_like(cos_B)
    return warp(images_BHWC, [cos_B, -sin_B, zero_B, sin_B, cos_B, zero_B])


def translate(images_BHWC: np.ndarray, across_B: np.ndarray, down_B: np.ndarray) -> np.ndarray:
    """Moved right and down by shares of the width and of the height."""
    height, width = images_BHWC.shape[1:3]
    one_B, zero_B = np.ones_like(across_B), np.zeros_like(across_B)
    return warp(images_BHWC, [one_B, zero_B, -across_B * width, zero_B, one_B, -down_B * height])


def shear(images_BHWC: np.ndarray, across_B: np.ndarray, down_B: np.ndarray) -> np.ndarray:
    """Each row moved left by `across` pixels for each pixel below the middle, each column up by `down` likewise."""
    one_B, zero_B = np.ones_like(across_B), np.zeros_like(across_B)
    return warp(images_BHWC, [one_B, across_B, zero_B, down_B, one_B, zero_B])


def warp(images_BHWC: np.ndarray, map_6B: Sequence[Float64[np.ndarray, "B"]]) -> np.ndarray:
    """Pictures resampled: pixel (x, y) is the old one at (a x + b y + c, d x + e y + f), bilinear between pixels.

    Pixels are squares: a place within half a pixel of the border takes the border's level, one outside is black. Equal
    to Pillow's Image.transform(AFFINE, BILINEAR), but rounded where Pillow cuts off.

    Args:
      images_BHWC: uint8.
      map_6B: a to f of each picture, about the middle of the picture.
    """
    maps_B6 = np.round(np.stack(map_6B, axis=1), _DIGITS)
    step = max(1, _AT_A_TIME // max(1, images_BHWC[:1].size))
    pieces = [
        _warped(images_BHWC[start : start + step], maps_B6[start : start + step])
        for start in range(0, len(images_BHWC), step)
    ]
    return np.concatenate(pieces) if pieces else images_BHWC


def _warped(images_BHWC: np.ndarray, maps_B6: np.ndarray) -> np.ndarray:
    batch, height, width, num_channels = images_BHWC.shape
    a, b, c, d, e, f = (each[:, None, None] for each in maps_B6.T)
    x_1W = (np.arange(width) + 0.5 - width / 2)[None, None]
    y_H1 = (np.arange(height) + 0.5 - height / 2)[None, :, None]
    across_BHW = (a * x_1W + (b * y_H1 + (c + width / 2))).astype(np.float32)
    down_BHW = (d * x_1W + (e * y_H1 + (f + height / 2))).astype(np.float32)
    inside_BHW = (across_BHW >= 0) & (across_BHW < width) & (down_BHW >= 0) & (down_BHW < height)
    left, right, toward_right = _neighbours(across_BHW, width)
    upper, lower, toward_lower = _neighbours(down_BHW, height)
    pixels = images_BHWC.reshape(-1, num_channels)
    first = np.arange(batch, dtype=np.int32)[:, None, None] * (height * width)
    above, below = first + upper * np.int32(width), first + lower * np.int32(width)
    top = _between(pixels, above + left, above + right, toward_right)
    bottom = _between(pixels, below + left, below + right, toward_right)
    bottom -= top
    bottom *= toward_lower[..., None]
    top += bottom
    top += np.float32(0.5)
    top *= inside_BHW[..., None]
    return top.astype(np.uint8)


def _neighbours(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of places along a side: the pixels before and after, int32 within the side, and how far towards the second."""
    places = np.clip(places - np.float32(0.5), 0, size - 1)
    before = places.astype(np.int32)
    return before, np.minimum(before + 1, size - 1), places - before.astype(np.float32)


def _between(pixels: np.ndarray, one: np.ndarray, other: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """float32: levels at `one`, and `toward` of the way to those at `other`."""
    found = pixels.take(one, axis=0).astype(np.float32)
    found += (pixels.take(other, axis=0) - found) * toward[..., None]
    return found


def between(keys_B: UInt64[np.ndarray, "B"], low: float, high: float) -> Float64[np.ndarray, "B"]:
    """A number for each key, uniform in [low, high)."""
    return low + (high - low) * hashing.uniform(keys_B, 1)[:, 0]


def check_probability(probability: float) -> None:
    require(0 <= probability <= 1, "probability", "a number from 0 to 1", probability)


def _some(images_BHWC: np.ndarray, others: np.ndarray, keys_B: np.ndarray, probability: float) -> np.ndarray:
    """`others` where a coin of this probability says so; channel by channel, as numpy turns a plane fastest."""
    found = images_BHWC.copy()
    for i in np.flatnonzero(between(keys_B, 0, 1) < probability).tolist():
        for channel in range(found.shape[-1]):
            found[i, :, :, channel] = others[i, :, :, channel]
    return found
