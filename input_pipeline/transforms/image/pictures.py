"""What all operations on pictures share: a stack goes through at once, pictures of several shapes one by one.

A row's result is the same either way, to the last bit. So sums over pixels are sums of whole numbers, and nothing is
left to a library that adds up in another order for another number of rows.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt64

from input_pipeline.batch import Batch


class Pictures:
    """An operation that its subclass describes for a stack of pictures of one shape (`change`)."""

    takes: ClassVar[tuple[type, ...]] = (np.uint8, np.float32)

    def __call__(self, rows: Batch, keys_B: UInt64[np.ndarray, "B"]) -> Batch:
        inputs: Any = rows["inputs"]
        if isinstance(inputs, np.ndarray):
            return {**rows, "inputs": self.change(self._checked(inputs), keys_B)}
        changed = [
            self.change(self._checked(np.asarray(image)[None]), key_1)[0]
            for image, key_1 in zip(inputs, keys_B[:, None], strict=True)
        ]
        return {**rows, "inputs": stacked(changed)}

    def change(self, images_BHWC: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray:
        """New pictures, all of one shape. What comes in is not written to; it may be given back."""
        raise NotImplementedError

    def _checked(self, images_BHWC: np.ndarray) -> np.ndarray:
        if images_BHWC.ndim != 4:
            raise ValueError(
                f"data.transforms: {self!r} expected pictures [height, width, channels], got {images_BHWC.dtype} "
                f"{list(images_BHWC.shape[1:])}; write decode before it where pictures are files"
            )
        if images_BHWC.dtype.type not in self.takes:
            expected = " or ".join(each.__name__ for each in self.takes)
            raise ValueError(
                f"data.transforms: {self!r} expected pictures of {expected}, got {images_BHWC.dtype}; "
                "write it before normalize"
            )
        return images_BHWC


def stacked(images: Sequence[np.ndarray]) -> Any:
    """One array [B, ...] if all agree in shape, else the list as it is."""
    return np.stack(images) if len({image.shape for image in images}) == 1 else list(images)


def require(good: bool, field: str, expected: str, got: object) -> None:
    """Raises ValueError, in the words of all checks of arguments, unless `good`."""
    if not good:
        raise ValueError(f"{field}: expected {expected}, got {got!r}")


def per_row(values_B: np.ndarray) -> np.ndarray:
    """[B] -> [B, 1, 1, 1]: a number for each picture, beside its pixels."""
    return values_B[:, None, None, None]
