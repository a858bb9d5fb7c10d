"""What is lost of pictures: sharpness, levels, and whole parts."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import UInt64

from input_pipeline import hashing
from input_pipeline.transforms.image.affine import check_probability
from input_pipeline.transforms.image.pictures import Pictures, require

_REACH = 4.0  # standard deviations that the Gaussian's window spans, as in scipy.ndimage
_ATTEMPTS = 10


@dataclass(frozen=True)
class Blur(Pictures):
    """A Gaussian of `min_sigma` to `max_sigma` pixels, uniformly drawn, with this probability.

    T. Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020, appendix A: 0.1 to 2
    pixels of 224, for half of the pictures.
    """

    min_sigma: float = 0.1
    max_sigma: float = 2.0
    probability: float = 0.5
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(self.min_sigma >= 0, "min_sigma", "0 or more pixels", self.min_sigma)
        require(self.max_sigma >= self.min_sigma, "max_sigma", "min_sigma or more pixels", self.max_sigma)
        check_probability(self.probability)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        drawn_2B = hashing.uniform(keys_B, 2).T
        sigma_B = self.min_sigma + (self.max_sigma - self.min_sigma) * drawn_2B[0]
        return gaussian_blur(images_BHWC, np.where(drawn_2B[1] < self.probability, sigma_B, 0))


@dataclass(frozen=True)
class Noise(Pictures):
    """Adds to each number of a picture one of a normal distribution, of standard deviation `std` (1 is 255 levels)."""

    std: float
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(self.std > 0, "std", "more than 0", self.std)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        return gaussian_noise(images_BHWC, keys_B, std=self.std)


@dataclass(frozen=True)
class RandomErasing(Pictures):
    """With this probability, a rectangle of random levels in place of `min_area` to `max_area` of the picture.

    Z. Zhong et al., "Random Erasing Data Augmentation", 2017, algorithm 1 and section 5 (0.5, areas of 2 to 40 %,
    ratios of 0.3 to 1 / 0.3). The area and the ratio are uniform; the first of ten draws that fits is taken, or none.
    """

    probability: float = 0.5
    min_area: float = 0.02
    max_area: float = 0.4
    min_ratio: float = 0.3
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        check_probability(self.probability)
        require(0 < self.min_area <= 1, "min_area", "a share above 0 and up to 1", self.min_area)
        require(self.min_area <= self.max_area <= 1, "max_area", "a share from min_area to 1", self.max_area)
        require(0 < self.min_ratio <= 1, "min_ratio", "a ratio above 0 and up to 1", self.min_ratio)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        boxes_B4 = self._boxes(images_BHWC.shape[1], images_BHWC.shape[2], keys_B)
        found = images_BHWC.copy()
        for i, (top, left, bottom, right) in enumerate(boxes_B4.tolist()):
            part = found[i, top:bottom, left:right]
            if part.size:
                key_1 = hashing.fold(keys_B[i : i + 1], 1)
                part[...] = (hashing.uniform(key_1, part.size) * 256).astype(np.uint8).reshape(part.shape)
        return found

    def _boxes(self, height: int, width: int, keys_B: np.ndarray) -> np.ndarray:
        """int64 [B, 4]: top, left, bottom, right, all 0 where nothing is erased."""
        drawn = hashing.uniform(hashing.fold(keys_B, 0), 2 * _ATTEMPTS + 3)
        area_BA = (self.min_area + (self.max_area - self.min_area) * drawn[:, :_ATTEMPTS]) * height * width
        ratio_BA = self.min_ratio + (1 / self.min_ratio - self.min_ratio) * drawn[:, _ATTEMPTS : 2 * _ATTEMPTS]
        heights_BA, widths_BA = np.rint(np.sqrt(area_BA * ratio_BA)), np.rint(np.sqrt(area_BA / ratio_BA))
        fits_BA = (heights_BA < height) & (widths_BA < width)
        first_B1 = fits_BA.argmax(axis=1)[:, None]
        sides_B2 = np.concatenate([np.take_along_axis(each, first_B1, 1) for each in (heights_BA, widths_BA)], axis=1)
        begin_B2 = np.floor(drawn[:, -3:-1] * (np.array([[height, width]]) - sides_B2 + 1))
        boxes_B4 = np.concatenate([begin_B2, begin_B2 + sides_B2], axis=1).astype(np.int64)
        return boxes_B4 * (fits_BA.any(axis=1) & (drawn[:, -1] < self.probability))[:, None]


@dataclass(frozen=True)
class Cutout(Pictures):
    """A square of `size` pixels becomes `value`. Its middle is anywhere in the picture, so part of it may lie outside.

    T. DeVries and G. Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017, section 3.2.
    After `normalize`, 0 is the mean.
    """

    size: int
    value: float = 0.0

    def __post_init__(self) -> None:
        require(self.size >= 1, "size", "1 or more pixels", self.size)
        require(0 <= self.value <= 255, "value", "a level from 0 to 255", self.value)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        middle_B2 = np.floor(hashing.uniform(keys_B, 2) * np.array([images_BHWC.shape[1:3]]))
        return occlude(images_BHWC, middle_B2, size=self.size, value=self.value)


def occlude(images_BHWC: np.ndarray, middle_B2: np.ndarray, *, size: int, value: float) -> np.ndarray:
    """A square of `size` pixels about `middle` (down, across) of each picture, as far as it lies within, is `value`."""
    found = images_BHWC.copy()
    for i, (top, left) in enumerate((middle_B2.astype(np.int64) - size // 2).tolist()):
        found[i, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = value
    return found


def gaussian_noise(images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"], *, std: float) -> np.ndarray:
    """uint8, rounded and cut off; `std` of 1 is 255 levels."""
    normal = hashing.normal(keys_B, math.prod(images_BHWC.shape[1:])).reshape(images_BHWC.shape)
    return np.clip(np.rint(images_BHWC + normal * np.float32(255 * std)), 0, 255).astype(np.uint8)


def gaussian_blur(images_BHWC: np.ndarray, sigma_B: np.ndarray) -> np.ndarray:
    """uint8, rounded; sigma in pixels, 0 for none. Behind the border a picture goes on mirrored.

    Windows reach to 4 standard deviations, as in scipy.ndimage.gaussian_filter; each row's weights are its own, and
    zeros make up the difference to the widest window.
    """
    reach_B = np.floor(_REACH * sigma_B + 0.5).astype(np.int64)
    found = images_BHWC.copy()
    for reach in np.unique(reach_B[reach_B > 0]).tolist():  # pictures of one window together
        rows = np.flatnonzero(reach_B == reach)
        weights_BT = np.exp(-0.5 * (np.arange(-reach, reach + 1)[None] / sigma_B[rows, None]) ** 2)
        weights_BT = (weights_BT / weights_BT.sum(axis=1, keepdims=True)).astype(np.float32)
        blurred = _convolved(_convolved(images_BHWC[rows].astype(np.float32), weights_BT, dim=1), weights_BT, dim=2)
        found[rows] = np.rint(blurred).astype(np.uint8)
    return found


def _convolved(images_BHWC: np.ndarray, weights_BT: np.ndarray, *, dim: int) -> np.ndarray:
    """Along one side, with a symmetric window for each picture."""
    reach, size = weights_BT.shape[1] // 2, images_BHWC.shape[dim]
    sides = [(0, 0)] * 4
    sides[dim] = (reach, reach)
    padded = np.moveaxis(np.pad(images_BHWC, sides, mode="symmetric"), dim, 0)
    found = padded[reach : reach + size] * weights_BT[:, reach, None, None]
    for i in range(reach):
        pair = padded[i : i + size] + padded[2 * reach - i : 2 * reach - i + size]
        found += pair * weights_BT[:, i, None, None]
    return np.moveaxis(found, 0, dim)
