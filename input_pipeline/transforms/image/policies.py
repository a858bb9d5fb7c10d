"""Augmentation without a search: for each picture some operations of one table, drawn at random.

Where a paper counts in pixels, shares of its pictures' side stand here, so that a strength means the same at any size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from jaxtyping import UInt64

from input_pipeline import hashing
from input_pipeline.transforms.image import affine, colours
from input_pipeline.transforms.image.pictures import Pictures, require

GREATEST = 10  # magnitude
Change: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Adjustment:
    """A change of a stack by one number for each picture, which goes from `least` to `greatest` with the magnitude.

    A signed one strays from `least` to either side, as a coin says.
    """

    change: Change
    least: float = 0.0
    greatest: float = 0.0
    signed: bool = False

    def __call__(self, images_BHWC: np.ndarray, share_B: np.ndarray, sign_B: np.ndarray) -> np.ndarray:
        strayed_B = share_B * (self.greatest - self.least)
        return self.change(images_BHWC, self.least + (strayed_B * sign_B if self.signed else strayed_B))


def _unchanged(images_BHWC: np.ndarray, _: np.ndarray) -> np.ndarray:
    return images_BHWC


def adjustments(
    *, shear: float, translate: float, rotate: float, enhance: float, bits: float
) -> Mapping[str, Adjustment]:
    """The fourteen of RandAugment, up to these strengths."""

    def blend(change: Change) -> Adjustment:
        return Adjustment(change, least=1.0, greatest=1.0 + enhance, signed=True)

    return {
        "identity": Adjustment(_unchanged),
        "autocontrast": Adjustment(colours.autocontrast),
        "equalize": Adjustment(colours.equalize),
        "rotate": Adjustment(affine.rotate, greatest=rotate, signed=True),
        "solarize": Adjustment(colours.solarize, least=256, greatest=0),
        "posterize": Adjustment(colours.posterize, least=8, greatest=bits),
        "saturation": blend(colours.saturation),
        "contrast": blend(colours.contrast),
        "brightness": blend(colours.brightness),
        "sharpness": blend(colours.sharpness),
        "shear_x": Adjustment(lambda images, by: affine.shear(images, by, 0 * by), greatest=shear, signed=True),
        "shear_y": Adjustment(lambda images, by: affine.shear(images, 0 * by, by), greatest=shear, signed=True),
        "translate_x": Adjustment(
            lambda images, by: affine.translate(images, by, 0 * by), greatest=translate, signed=True
        ),
        "translate_y": Adjustment(
            lambda images, by: affine.translate(images, 0 * by, by), greatest=translate, signed=True
        ),
    }


RAND = adjustments(shear=0.3, translate=150 / 331, rotate=30, enhance=0.9, bits=4)
WIDE = adjustments(shear=0.99, translate=32 / 224, rotate=135, enhance=0.99, bits=2)


@dataclass(frozen=True)
class RandAugment(Pictures):
    """`num_ops` of fourteen operations for each picture, one after another, all of one magnitude, 0 to 10.

    E. Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2019, section 3;
    the strengths at 10 are those of E. Cubuk et al., "AutoAugment", 2019, table 6. Factors stray from 1 to either side
    (the reference's magnitude 5 leaves a picture as it is). Libraries that count to 30 call this 9 their 27.
    """

    num_ops: int = 2
    magnitude: float = 9.0
    takes: ClassVar = (np.uint8,)

    def __post_init__(self) -> None:
        require(self.num_ops >= 1, "num_ops", "1 or more", self.num_ops)
        require(0 <= self.magnitude <= GREATEST, "magnitude", f"0 to {GREATEST}", self.magnitude)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        for i in range(self.num_ops):
            drawn_2B = hashing.uniform(hashing.fold(keys_B, i), 2).T
            share_B = np.full(len(keys_B), self.magnitude / GREATEST)
            images_BHWC = _each_its_own(RAND, images_BHWC, drawn_2B[0], share_B, drawn_2B[1])
        return images_BHWC


@dataclass(frozen=True)
class TrivialAugment(Pictures):
    """One of fourteen operations for each picture, of a magnitude drawn uniformly.

    S. Müller and F. Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", 2021, algorithm 1,
    with the wide strengths of table 1 (magnitudes are continuous here; 32 pixels are a seventh of 224).
    """

    takes: ClassVar = (np.uint8,)

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        choice_B, share_B, coin_B = hashing.uniform(keys_B, 3).T
        return _each_its_own(WIDE, images_BHWC, choice_B, share_B, coin_B)


def _each_its_own(
    table: Mapping[str, Adjustment],
    images_BHWC: np.ndarray,
    choice_B: np.ndarray,
    share_B: np.ndarray,
    coin_B: np.ndarray,
) -> np.ndarray:
    """The pictures of each operation together, then back in their places; all of choice, share and coin in [0, 1)."""
    which_B = (choice_B * len(table)).astype(np.int64)
    sign_B = np.where(coin_B < 0.5, -1.0, 1.0)
    found = np.empty_like(images_BHWC)
    for i, adjust in enumerate(table.values()):
        rows = np.flatnonzero(which_B == i)
        if len(rows):
            found[rows] = adjust(images_BHWC[rows], share_B[rows], sign_B[rows])
    return found
