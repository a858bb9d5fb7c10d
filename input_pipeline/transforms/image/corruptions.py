"""Pictures made worse on purpose, at five strengths, to see what a model makes of them: a line of `eval_transforms`.

After D. Hendrycks and T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
2019, section 4 and its code. Noise and contrast have the strengths of ImageNet-C. Lengths are shares of the shorter
side: a blur of 0.5 to 3 pixels of 32, since the 0.4 to 1 of CIFAR-10-C leave small pictures as they are. Rotation and
occlusion, which the paper has not, go in even steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import UInt64

from input_pipeline import hashing
from input_pipeline.transforms.image import affine, colours, noise
from input_pipeline.transforms.image.pictures import Pictures, require

_GREY = 127
_BLUR = (0.5 / 32, 1.0 / 32, 1.5 / 32, 2.0 / 32, 3.0 / 32)  # standard deviation, of the shorter side
_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation, of 255 levels
_ROTATION = (15.0, 30.0, 45.0, 60.0, 75.0)  # degrees, either way
_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # of the distance from the mean
_OCCLUSION = (0.2, 0.3, 0.4, 0.5, 0.6)  # of the shorter side, a grey square that lies within the picture


@dataclass(frozen=True)
class Corrupt(Pictures):
    """Pictures with one fault: "blur", "noise", "rotation", "contrast" or "occlusion", of strength 1 to 5.

    The strength is the same for all rows; which way, where and which noise comes from a row's key.
    """

    kind: str
    strength: int
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(self.kind in CORRUPTIONS, "kind", f"one of {', '.join(CORRUPTIONS)}", self.kind)
        require(1 <= self.strength <= 5, "strength", "1 to 5", self.strength)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        return CORRUPTIONS[self.kind](images_BHWC, keys_B, self.strength - 1)


def _blur(images_BHWC: np.ndarray, keys_B: np.ndarray, strength: int) -> np.ndarray:
    sigma = _BLUR[strength] * min(images_BHWC.shape[1:3])
    return noise.gaussian_blur(images_BHWC, np.full(len(keys_B), sigma))


def _noise(images_BHWC: np.ndarray, keys_B: np.ndarray, strength: int) -> np.ndarray:
    return noise.gaussian_noise(images_BHWC, keys_B, std=_NOISE[strength])


def _rotation(images_BHWC: np.ndarray, keys_B: np.ndarray, strength: int) -> np.ndarray:
    sign_B = np.where(hashing.uniform(keys_B, 1)[:, 0] < 0.5, -1.0, 1.0)
    return affine.rotate(images_BHWC, _ROTATION[strength] * sign_B)


def _contrast(images_BHWC: np.ndarray, keys_B: np.ndarray, strength: int) -> np.ndarray:
    return colours.contrast(images_BHWC, np.full(len(keys_B), _CONTRAST[strength]))


def _occlusion(images_BHWC: np.ndarray, keys_B: np.ndarray, strength: int) -> np.ndarray:
    sides_2 = np.array([images_BHWC.shape[1:3]])
    size = round(_OCCLUSION[strength] * int(sides_2.min()))
    middle_B2 = size // 2 + np.floor(hashing.uniform(keys_B, 2) * (sides_2 - size + 1))
    return noise.occlude(images_BHWC, middle_B2, size=size, value=_GREY)


CORRUPTIONS: Mapping[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "blur": _blur,
    "noise": _noise,
    "rotation": _rotation,
    "contrast": _contrast,
    "occlusion": _occlusion,
}
