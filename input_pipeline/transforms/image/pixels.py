"""What pixels are: from bytes to levels, from levels to numbers, grey or colour."""

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32, UInt64

from input_pipeline import images
from input_pipeline.batch import Batch
from input_pipeline.transforms.image.pictures import Pictures, require
from input_pipeline.transforms.inputs import stacked

# ITU-R 601-2 as Pillow has it: parts of 2**16 of red, green and blue, and a half that rounds.
_LUMA, _HALF = np.array([19595, 38470, 7471], np.uint32), np.uint32(1 << 15)


@dataclass(frozen=True)
class Decode:
    """The pictures in files (`images.decode`): uint8 [H, W, channels]."""

    channels: int = 3
    max_pixels: int = images.MAX_PIXELS

    def __post_init__(self) -> None:
        require(self.channels in (1, 3), "channels", "1 (grey) or 3 (colour)", self.channels)
        limit = images.GREATEST_MAX_PIXELS
        require(1 <= self.max_pixels <= limit, "max_pixels", f"1 to {limit}", self.max_pixels)

    def __call__(self, rows: Batch, keys_B: UInt64[np.ndarray, "B"]) -> Batch:
        raws: Any = rows["inputs"]
        if not all(isinstance(raw, bytes) for raw in raws):
            raise ValueError(f"{self!r}: expected the bytes of files, got pictures; leave it out")
        decoded = [images.decode(raw, channels=self.channels, max_pixels=self.max_pixels) for raw in raws]
        return {**rows, "inputs": stacked(decoded)}


@dataclass(frozen=True)
class Channels(Pictures):
    """Pictures as "grey" (C = 1, luma of ITU-R 601-2) or "rgb" (C = 3), whatever they were."""

    kind: str
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(self.kind in ("grey", "rgb"), "kind", "'grey' or 'rgb'", self.kind)

    def change(self, images_BHWC: np.ndarray, keys_B: np.ndarray) -> np.ndarray:
        return luma(images_BHWC) if self.kind == "grey" else rgb(images_BHWC)


@dataclass(frozen=True)
class Normalize(Pictures):
    """float32 (level / 255 - mean) / std; a number, or a tuple with one for each channel.

    The defaults map levels to [-1, 1]. ImageNet's: `normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))`;
    Fashion-MNIST's: `normalize(0.2860, 0.3530)`.
    """

    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.5
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        for field, value in (("mean", self.mean), ("std", self.std)):
            require(np.ndim(value) == 0 or len(np.atleast_1d(value)) in (1, 3), field, "1 number, or 3", value)
        require(bool((np.asarray(self.std) > 0).all()), "std", "more than 0", self.std)

    def change(self, images_BHWC: np.ndarray, keys_B: np.ndarray) -> Float32[np.ndarray, "B H W C"]:
        width, num_channels = images_BHWC.shape[2:]
        if max(np.size(self.mean), np.size(self.std)) not in (1, num_channels):
            raise ValueError(f"{self!r}: expected pictures of 3 channels, got {num_channels}")
        scale, shift = _scale_and_shift(self.mean, self.std, width, num_channels)
        flat = images_BHWC.reshape(-1, width * num_channels)
        found = np.multiply(flat, scale, dtype=np.float32)
        found += shift
        return found.reshape(images_BHWC.shape)


@functools.lru_cache(maxsize=16)
def _scale_and_shift(mean: Any, std: Any, width: int, num_channels: int) -> tuple[np.ndarray, np.ndarray]:
    """level * scale + shift, for each number of a row of pixels, since numpy is slow along three channels."""
    mean, std = np.broadcast_to(mean, num_channels), np.broadcast_to(std, num_channels)
    scale, shift = 1 / (255 * std), -mean / std
    return np.tile(scale, width).astype(np.float32), np.tile(shift, width).astype(np.float32)


def luma(images_BHWC: np.ndarray) -> np.ndarray:
    """uint8 [B, H, W, 1], as Pillow's convert("L")."""
    if images_BHWC.shape[-1] == 1:
        return images_BHWC
    red, green, blue = (images_BHWC[..., i : i + 1] * _LUMA[i] for i in range(3))
    return ((red + green + blue + _HALF) >> np.uint32(16)).astype(np.uint8)


def rgb(images_BHWC: np.ndarray) -> np.ndarray:
    """uint8 [B, H, W, 3]."""
    return images_BHWC if images_BHWC.shape[-1] == 3 else np.repeat(images_BHWC, 3, axis=-1)
