"""The size of pictures: resizing, filling, and parts that are cut out."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt64

from input_pipeline import hashing
from input_pipeline.transforms.image.pictures import Pictures, require

_ATTEMPTS = 10  # as many as in the reference of the inception crop; then the greatest central part


@dataclass(frozen=True)
class Resize(Pictures):
    """The shorter side becomes `size`, the longer follows: Pillow's bilinear filter, which shrinks by averages."""

    size: int
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(self.size >= 1, "size", "1 or more pixels", self.size)

    def change(self, images_BHWC: np.ndarray, keys_B: np.ndarray) -> np.ndarray:
        height, width = images_BHWC.shape[1:3]
        shorter = min(height, width)
        return _resized(images_BHWC, round(height * self.size / shorter), round(width * self.size / shorter))


@dataclass(frozen=True)
class ResizeExact(Pictures):
    """Pictures become `height` by `width`, whatever shape they had; filtered as in `resize`."""

    height: int
    width: int
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(self.height >= 1, "height", "1 or more pixels", self.height)
        require(self.width >= 1, "width", "1 or more pixels", self.width)

    def change(self, images_BHWC: np.ndarray, keys_B: np.ndarray) -> np.ndarray:
        return _resized(images_BHWC, self.height, self.width)


@dataclass(frozen=True)
class Pad(Pictures):
    """Fills with `value` on all sides alike until no side is shorter than `size`; an odd pixel goes below and right."""

    size: int
    value: float = 0.0

    def __post_init__(self) -> None:
        require(self.size >= 1, "size", "1 or more pixels", self.size)
        require(0 <= self.value <= 255, "value", "a level from 0 to 255", self.value)

    def change(self, images_BHWC: np.ndarray, keys_B: np.ndarray) -> np.ndarray:
        missing = [max(0, self.size - side) for side in images_BHWC.shape[1:3]]
        if not any(missing):
            return images_BHWC
        return _filled(images_BHWC, [(each // 2, each - each // 2) for each in missing], value=self.value)


@dataclass(frozen=True)
class RandomCrop(Pictures):
    """A square of `size` pixels, every place as likely, after `padding` black pixels were put on each side.

    With padding: K. He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2 (32 of 40 pixels).
    """

    size: int
    padding: int = 0

    def __post_init__(self) -> None:
        require(self.size >= 1, "size", "1 or more pixels", self.size)
        require(self.padding >= 0, "padding", "0 or more pixels", self.padding)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        if self.padding:
            images_BHWC = _filled(images_BHWC, [(self.padding, self.padding)] * 2, value=0)
        room_2 = _room(self, images_BHWC, self.size)
        return _cut(images_BHWC, (hashing.uniform(keys_B, 2) * (room_2 + 1)).astype(np.int64), self.size)


@dataclass(frozen=True)
class CentralCrop(Pictures):
    """The square of `size` pixels in the middle; an odd pixel is left below and right."""

    size: int

    def __post_init__(self) -> None:
        require(self.size >= 1, "size", "1 or more pixels", self.size)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        top, left = (_room(self, images_BHWC, self.size) // 2).tolist()
        return images_BHWC[:, top : top + self.size, left : left + self.size]


@dataclass(frozen=True)
class InceptionCrop(Pictures):
    """A random part, `min_area` to `max_area` of the picture and up to `max_ratio` longer than wide or wider than long,
    resized to a square of `size` pixels.

    C. Szegedy et al., "Going Deeper with Convolutions", 2015, section 6: areas of 8 to 100 %, ratios of 3/4 to 4/3. The
    area is uniform, the ratio log-uniform, and then every place as likely. The first of ten draws that fits is taken;
    where none does, the greatest central part of an allowed ratio.
    """

    size: int
    min_area: float = 0.08
    max_area: float = 1.0
    max_ratio: float = 4 / 3
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(self.size >= 1, "size", "1 or more pixels", self.size)
        require(0 < self.min_area <= 1, "min_area", "a share above 0 and up to 1", self.min_area)
        require(self.min_area <= self.max_area <= 1, "max_area", "a share from min_area to 1", self.max_area)
        require(self.max_ratio >= 1, "max_ratio", "1 or more", self.max_ratio)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        boxes_B4 = self.boxes(images_BHWC.shape[1], images_BHWC.shape[2], keys_B)
        return _resized(images_BHWC, self.size, self.size, boxes=boxes_B4.tolist())

    def boxes(self, height: int, width: int, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        """int64 [B, 4]: left, top, right and bottom of each part."""
        drawn = hashing.uniform(keys_B, 2 * _ATTEMPTS + 2)
        area_BA = (self.min_area + (self.max_area - self.min_area) * drawn[:, :_ATTEMPTS]) * height * width
        ratio_BA = np.exp((2 * drawn[:, _ATTEMPTS:-2] - 1) * math.log(self.max_ratio))
        widths_BA, heights_BA = np.rint(np.sqrt(area_BA * ratio_BA)), np.rint(np.sqrt(area_BA / ratio_BA))
        fits_BA = (widths_BA >= 1) & (widths_BA <= width) & (heights_BA >= 1) & (heights_BA <= height)
        first_B1 = fits_BA.argmax(axis=1)[:, None]
        sides_B2 = np.concatenate([np.take_along_axis(each, first_B1, 1) for each in (widths_BA, heights_BA)], axis=1)
        any_B1 = fits_BA.any(axis=1, keepdims=True)
        greatest = (min(width, height * self.max_ratio), min(height, width * self.max_ratio))
        sides_B2 = np.where(any_B1, sides_B2, np.rint(greatest)[None])
        room_B2 = np.array([[width, height]]) - sides_B2
        begin_B2 = np.floor(np.where(any_B1, drawn[:, -2:] * (room_B2 + 1), room_B2 / 2))
        return np.concatenate([begin_B2, begin_B2 + sides_B2], axis=1).astype(np.int64)


def _resized(images_BHWC: np.ndarray, height: int, width: int, *, boxes: Any = None) -> np.ndarray:
    """uint8 [B, height, width, C]: of each picture, or of its box."""
    from PIL import Image

    num_channels = images_BHWC.shape[-1]
    if images_BHWC.shape[1:3] == (height, width) and boxes is None:
        return images_BHWC
    if not len(images_BHWC):
        return np.empty((0, height, width, num_channels), np.uint8)
    plain = images_BHWC[..., 0] if num_channels == 1 else images_BHWC
    found = []
    for i in range(len(images_BHWC)):
        left, top, right, bottom = boxes[i] if boxes else (0, 0, *plain.shape[2:0:-1])
        part = Image.fromarray(plain[i, top:bottom, left:right])
        resized = part.resize((width, height), Image.Resampling.BILINEAR)
        found.append(np.asarray(resized).reshape(height, width, num_channels))
    return found[0][None] if len(found) == 1 else np.stack(found)


def _filled(images_BHWC: np.ndarray, sides: list[tuple[int, int]], *, value: float) -> np.ndarray:
    """With so many pixels before and after, above and beside."""
    batch, height, width, num_channels = images_BHWC.shape
    (top, bottom), (left, right) = sides
    found = np.full((batch, height + top + bottom, width + left + right, num_channels), value, images_BHWC.dtype)
    found[:, top : top + height, left : left + width] = images_BHWC
    return found


def _room(op: Pictures, images_BHWC: np.ndarray, size: int) -> np.ndarray:
    """int64 [2]: how many pixels are left beside a square of `size`, down and across."""
    room_2 = np.array(images_BHWC.shape[1:3]) - size
    if (room_2 < 0).any():
        height, width = images_BHWC.shape[1:3]
        raise ValueError(
            f"{op!r}: expected pictures of {size} or more pixels a side, got {height} x {width}; "
            f"write resize({size}) or pad({size}) before it"
        )
    return room_2


def _cut(images_BHWC: np.ndarray, begin_B2: np.ndarray, size: int) -> np.ndarray:
    """A square of each picture; a loop, since numpy copies a rectangle faster than it gathers pixels."""
    found = np.empty((len(images_BHWC), size, size, images_BHWC.shape[-1]), images_BHWC.dtype)
    for i, (top, left) in enumerate(begin_B2.tolist()):
        found[i] = images_BHWC[i, top : top + size, left : left + size]
    return found
