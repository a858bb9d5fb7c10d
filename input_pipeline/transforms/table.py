"""Operations on tables and on sequences of numbers: rows [F] or [L, F], F features."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt64

from input_pipeline import hashing
from input_pipeline.transforms.inputs import OfInputs

Keys = UInt64[np.ndarray, "B"]


@dataclass(frozen=True)
class Standardize(OfInputs):
    """Each feature less its mean, over its standard deviation, both of the training rows (`moments`).

    A feature that is the same in all training rows becomes 0 there.
    """

    _: KW_ONLY
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean and std: expected one of each feature, got {len(self.mean)} and {len(self.std)}")

    def inputs(self, x_B: np.ndarray, keys_B: Keys) -> np.ndarray:
        if x_B.shape[-1] != len(self.mean):
            raise ValueError(f"expected rows of {len(self.mean)} features, got {x_B.shape[-1]}")
        std_F = np.array(self.std)
        return ((x_B - np.array(self.mean)) / np.where(std_F > 0, std_F, 1)).astype(np.float32)


def moments(x_NF: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each feature, the last dimension, over all others."""
    x = np.asarray(x_NF, np.float64).reshape(-1, x_NF.shape[-1])
    return tuple(x.mean(0).tolist()), tuple(x.std(0).tolist())


@dataclass(frozen=True)
class Noise(OfInputs):
    """Adds Gaussian noise of this standard deviation to every value."""

    std: float

    def __post_init__(self) -> None:
        if not 0 < self.std < np.inf:
            raise ValueError(f"std: expected a number above 0, got {self.std}")

    def inputs(self, x_B: np.ndarray, keys_B: Keys) -> np.ndarray:
        noise = hashing.normal(keys_B, int(np.prod(x_B.shape[1:]))).reshape(x_B.shape)
        return np.asarray(x_B, np.float32) + np.float32(self.std) * noise


@dataclass(frozen=True)
class DropValues(OfInputs):
    """Sets each value to 0 with probability `rate`, independently of the others: after `standardize`, to its mean."""

    rate: float

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate: expected a number between 0 and 1, got {self.rate}")

    def inputs(self, x_B: np.ndarray, keys_B: Keys) -> np.ndarray:
        drawn = hashing.uniform(keys_B, int(np.prod(x_B.shape[1:]))).reshape(x_B.shape)
        return np.where(drawn < self.rate, np.float32(0), np.asarray(x_B, np.float32))


TABLE: Mapping[str, Callable[..., Any]] = {"standardize": Standardize, "noise": Noise, "drop_values": DropValues}
