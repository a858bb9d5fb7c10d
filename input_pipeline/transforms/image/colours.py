"""What colours are: most changes are a table from old to new levels, one for each picture or each channel of it.

The functions here take stacks uint8 [B, H, W, C], grey or RGB, and a number for each picture. Factors blend a picture
with a plain form of it: 0 gives the plain form, 1 the picture, more exaggerates (P. Haeberli and D. Voorhies, "Image
Processing by Interpolation and Extrapolation", 1994, as in Pillow's ImageEnhance).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import UInt64

from input_pipeline import hashing
from input_pipeline.transforms.image.affine import between, check_probability
from input_pipeline.transforms.image.pictures import Pictures, per_row, require
from input_pipeline.transforms.image.pixels import luma

_LEVELS = np.arange(256, dtype=np.float64)


@dataclass(frozen=True)
class ColourJitter(Pictures):
    """Brightness, contrast and saturation by factors uniform in [1 - x, 1 + x], hues by up to `hue` of the circle.

    In this order, each change drawn by itself: A. Howard, "Some Improvements on Deep Convolutional Neural Network Based
    Image Classification", 2013, section 2 (brightness, contrast and colour); hue: T. Chen et al., "A Simple Framework
    for Contrastive Learning of Visual Representations", 2020, appendix A. Grey pictures have neither saturation nor
    hue.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        for field in ("brightness", "contrast", "saturation"):
            require(0 <= getattr(self, field) <= 1, field, "a number from 0 to 1", getattr(self, field))
        require(0 <= self.hue <= 0.5, "hue", "a share of the circle from 0 to 0.5", self.hue)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        drawn_4B = (2 * hashing.uniform(keys_B, 4) - 1).T
        for width, drawn_B, adjust in (
            (self.brightness, drawn_4B[0], brightness),
            (self.contrast, drawn_4B[1], contrast),
            (self.saturation, drawn_4B[2], saturation),
        ):
            images_BHWC = adjust(images_BHWC, 1 + width * drawn_B) if width else images_BHWC
        return hue(images_BHWC, self.hue * drawn_4B[3]) if self.hue else images_BHWC


@dataclass(frozen=True)
class Grayscale(Pictures):
    """Takes the colours away with this probability; the channels stay, all alike."""

    probability: float = 1.0
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        check_probability(self.probability)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        return np.where(per_row(between(keys_B, 0, 1) < self.probability), luma(images_BHWC), images_BHWC)


def brightness(images_BHWC: np.ndarray, factor_B: np.ndarray) -> np.ndarray:
    """Blended with black."""
    return look_up(images_BHWC, _blend(np.zeros((1, 1)), _LEVELS[None], factor_B[:, None]))


def contrast(images_BHWC: np.ndarray, factor_B: np.ndarray) -> np.ndarray:
    """Blended with the mean grey level, rounded."""
    total_B = luma(images_BHWC).sum(axis=(1, 2, 3), dtype=np.int64)
    mean_B1 = np.floor(total_B / math.prod(images_BHWC.shape[1:3]) + 0.5)[:, None]
    return look_up(images_BHWC, _blend(mean_B1, _LEVELS[None], factor_B[:, None]))


def saturation(images_BHWC: np.ndarray, factor_B: np.ndarray) -> np.ndarray:
    """Blended with the grey picture."""
    return images_BHWC if images_BHWC.shape[-1] == 1 else _blend(luma(images_BHWC), images_BHWC, per_row(factor_B))


def sharpness(images_BHWC: np.ndarray, factor_B: np.ndarray) -> np.ndarray:
    """Blended with a smoothed picture: means of 3 by 3 pixels in which the middle counts 5 times; the border stays."""
    if min(images_BHWC.shape[1:3]) < 3:
        return images_BHWC
    across = images_BHWC[:, :, :-2].astype(np.uint16) + images_BHWC[:, :, 1:-1] + images_BHWC[:, :, 2:]
    total = across[:, :-2] + across[:, 1:-1] + across[:, 2:] + 4 * images_BHWC[:, 1:-1, 1:-1].astype(np.uint16)
    smooth = images_BHWC.copy()
    smooth[:, 1:-1, 1:-1] = (2 * total + 13) // 26  # a 13th, rounded
    return _blend(smooth, images_BHWC, per_row(factor_B))


def hue(images_BHWC: np.ndarray, turn_B: np.ndarray) -> np.ndarray:
    """Hues turned by this share of the circle, in Pillow's HSV of 256 hues."""
    from PIL import Image

    if images_BHWC.shape[-1] == 1:
        return images_BHWC
    found = np.empty_like(images_BHWC)
    for i, shift in enumerate(np.rint(turn_B * 256).astype(np.int64).tolist()):
        hsv = np.array(Image.fromarray(images_BHWC[i]).convert("HSV"))
        hsv[..., 0] += np.uint8(shift % 256)
        found[i] = np.asarray(Image.frombytes("HSV", (hsv.shape[1], hsv.shape[0]), hsv.tobytes()).convert("RGB"))
    return found


def posterize(images_BHWC: np.ndarray, bits_B: np.ndarray) -> np.ndarray:
    """The highest bits of each level, 1 to 8 of them, rounded to whole bits."""
    lost_B = 8 - np.rint(bits_B).astype(np.uint8)
    return images_BHWC >> per_row(lost_B) << per_row(lost_B)


def solarize(images_BHWC: np.ndarray, threshold_B: np.ndarray) -> np.ndarray:
    """Levels from the threshold on, turned into their negative."""
    return np.where(images_BHWC >= per_row(threshold_B), 255 - images_BHWC, images_BHWC)


def autocontrast(images_BHWC: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Each channel stretched linearly from its least and greatest level to 0 and 255."""
    low_BC1 = images_BHWC.min(axis=(1, 2))[:, :, None].astype(np.float64)
    high_BC1 = images_BHWC.max(axis=(1, 2))[:, :, None].astype(np.float64)
    flat = high_BC1 == low_BC1
    scale = 255 / np.where(flat, 255, high_BC1 - low_BC1)
    return look_up(images_BHWC, np.where(flat, _LEVELS, _levels(_LEVELS * scale - low_BC1 * scale)).astype(np.uint8))


def equalize(images_BHWC: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Each channel's levels made equally frequent, as Pillow's ImageOps.equalize does."""
    luts = [[_equal(image_HWC[..., c]) for c in range(image_HWC.shape[-1])] for image_HWC in images_BHWC]
    return look_up(images_BHWC, np.array(luts, np.uint8))


def look_up(images_BHWC: np.ndarray, luts: np.ndarray) -> np.ndarray:
    """New levels from tables: uint8 [B, 256], or [B, C, 256] with one for each channel."""
    found = np.empty_like(images_BHWC)
    for image, lut, out in zip(images_BHWC, luts, found, strict=True):
        if lut.ndim == 1:
            lut.take(image, out=out)
        else:
            for c in range(image.shape[-1]):
                out[..., c] = lut[c].take(image[..., c])
    return found


def _equal(levels: np.ndarray) -> np.ndarray:
    counts = np.bincount(levels.reshape(-1), minlength=256)
    step = (counts.sum() - counts[np.flatnonzero(counts)[-1]]) // 255
    if not step:
        return np.arange(256, dtype=np.uint8)
    return np.minimum((step // 2 + np.cumsum(counts) - counts) // step, 255).astype(np.uint8)


def _blend(plain: np.ndarray, levels: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """plain + factor * (levels - plain), in float32 as Pillow does it."""
    plain = plain.astype(np.float32)
    return _levels(plain + factor.astype(np.float32) * (levels.astype(np.float32) - plain))


def _levels(values: np.ndarray) -> np.ndarray:
    """Cut off, not rounded, as Pillow blends."""
    return np.clip(values, 0, 255).astype(np.uint8)
