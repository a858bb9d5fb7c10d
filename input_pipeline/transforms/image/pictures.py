"""What all operations on pictures share: a stack goes through at once, pictures of several shapes one by one.

A row's result is the same either way, to the last bit. So sums over pixels are sums of whole numbers, and nothing is
left to a library that adds up in another order for another number of rows.
"""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from jaxtyping import UInt64

from input_pipeline.transforms.inputs import OfInputs


class Pictures(OfInputs):
    """An operation that its subclass describes for a stack of pictures of one shape (`change`)."""

    takes: ClassVar[tuple[type, ...]] = (np.uint8, np.float32)

    def inputs(self, x_B: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        return self.change(self._checked(x_B), keys_B)

    @abstractmethod
    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        """New pictures, all of one shape. What comes in is not written to; it may be given back."""

    def _checked(self, images_BHWC: np.ndarray) -> np.ndarray:
        if images_BHWC.ndim != 4:
            raise ValueError(
                f"{self!r}: expected pictures [height, width, channels], got {images_BHWC.dtype} "
                f"{list(images_BHWC.shape[1:])}; write decode before it where pictures are files"
            )
        if images_BHWC.dtype.type not in self.takes:
            expected = " or ".join(each.__name__ for each in self.takes)
            raise ValueError(
                f"{self!r}: expected pictures of {expected}, got {images_BHWC.dtype}; write it before normalize"
            )
        return images_BHWC


def require(good: bool, field: str, expected: str, got: object) -> None:
    """Raises ValueError, in the words of all checks of arguments, unless `good`."""
    if not good:
        raise ValueError(f"{field}: expected {expected}, got {got!r}")


def per_row(values_B: np.ndarray) -> np.ndarray:
    """[B] -> [B, 1, 1, 1]: a number for each picture, beside its pixels."""
    return values_B[:, None, None, None]
