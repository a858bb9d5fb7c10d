"""Operations on a batch's inputs, written once for a whole array and used for lists of arrays too."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt64

from input_pipeline.batch import Batch


class OfInputs(ABC):
    """An operation that changes `rows["inputs"]` alone, each row by itself."""

    @abstractmethod
    def inputs(self, x_B: np.ndarray, keys_B: UInt64[np.ndarray, "B"]) -> np.ndarray | list[np.ndarray]:
        """New inputs [B, ...] of inputs of one shape [B, ...], or a list where their shapes come to differ."""

    def __call__(self, rows: Batch, keys_B: UInt64[np.ndarray, "B"]) -> Batch:
        """Works on the whole array at once; on a list, row by row. What agrees in shape afterwards is stacked."""
        inputs = rows["inputs"]
        if isinstance(inputs, np.ndarray):
            made = self.inputs(inputs, keys_B)
        else:
            made = [self.inputs(np.asarray(x)[None], keys_B[i : i + 1])[0] for i, x in enumerate(inputs)]
        return {**rows, "inputs": stacked(made)}


def flat(x_B: np.ndarray) -> np.ndarray:
    """Each row in one dimension; there may be no row."""
    return x_B.reshape(len(x_B), math.prod(x_B.shape[1:]))


def stacked(inputs: np.ndarray | Sequence[np.ndarray]) -> Any:
    """One array, if there are rows and all agree in shape and dtype; else a list of arrays."""
    if isinstance(inputs, np.ndarray):
        return inputs
    kinds = {(x.shape, x.dtype) for x in inputs}
    return np.stack(inputs) if len(kinds) == 1 else list(inputs)
