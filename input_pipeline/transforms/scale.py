"""Numbers brought to a common scale, of sound, spectrograms, tables and sequences alike."""

from dataclasses import dataclass

import numpy as np

from input_pipeline.transforms.inputs import OfInputs, flat


@dataclass(frozen=True)
class Normalize(OfInputs):
    """Takes `mean` away and divides by `std`, numbers that hold for the whole data."""

    mean: float
    std: float

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise ValueError(f"std: expected a number above 0, got {self.std}")

    def inputs(self, x_B: np.ndarray, keys_B: np.ndarray) -> np.ndarray:
        return (np.asarray(x_B, np.float32) - np.float32(self.mean)) / np.float32(self.std)


@dataclass(frozen=True)
class NormalizeEach(OfInputs):
    """Gives each row mean 0 and standard deviation 1 over all that it holds; a row of one value becomes zeros."""

    def inputs(self, x_B: np.ndarray, keys_B: np.ndarray) -> np.ndarray:
        flat_BN = flat(np.asarray(x_B, np.float32))
        centred_BN = flat_BN - flat_BN.mean(1, keepdims=True)
        std_B1 = centred_BN.std(1, keepdims=True)
        return np.divide(centred_BN, std_B1, out=np.zeros_like(flat_BN), where=std_B1 > 0).reshape(x_B.shape)
