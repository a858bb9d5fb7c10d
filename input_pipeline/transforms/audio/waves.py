"""Operations on sound as samples over time, float32 [B, T], where full scale is 1."""

from dataclasses import KW_ONLY, dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt64

from input_pipeline import audio, hashing
from input_pipeline.batch import Batch
from input_pipeline.transforms.inputs import OfInputs, stacked

Waves = Float32[np.ndarray, "B T"]
Keys = UInt64[np.ndarray, "B"]


@dataclass(frozen=True)
class Decode:
    """Sound files become samples, the mean of their channels (`audio.decode`); arrays are samples already."""

    _: KW_ONLY
    sample_rate: int

    def __call__(self, rows: Batch, keys_B: Keys) -> Batch:
        """Raises BadRecord: a file that cannot be read, or is of another rate."""
        made = [
            audio.decode(each, sample_rate=self.sample_rate) if isinstance(each, bytes) else samples(each)
            for each in rows["inputs"]
        ]
        return {**rows, "inputs": stacked(made)}


def samples(x: np.ndarray) -> np.ndarray:
    """float32; int16 is taken to full scale 1.

    Raises:
      ValueError: other integers, whose full scale nobody knows.
    """
    if x.dtype == np.int16:
        return x.astype(np.float32) / np.float32(1 << 15)
    if not np.issubdtype(x.dtype, np.floating):
        raise ValueError(f"expected sound as files, real numbers or int16, got {x.dtype}")
    return np.asarray(x, np.float32)


def check_sound(x_BT: np.ndarray) -> None:
    """Raises a ValueError if these are no samples over time."""
    if x_BT.ndim != 2:
        raise ValueError(
            f"expected sound [T], got rows of shape {list(x_BT.shape[1:])}; write what shapes sound before log_mel"
        )


def num_samples(seconds: float, sample_rate: int) -> int:
    """To the nearest."""
    return round(seconds * sample_rate)


@dataclass(frozen=True)
class _OfLength(OfInputs):
    """A stretch of `seconds` of the sound; a sound that is shorter stands within as much silence as is wanting."""

    seconds: float
    _: KW_ONLY
    sample_rate: int

    def __post_init__(self) -> None:
        if not num_samples(self.seconds, self.sample_rate) >= 1:
            raise ValueError(f"seconds: expected a sample or more, got {self.seconds}")

    def inputs(self, x_BT: Waves, keys_B: Keys) -> Waves:
        check_sound(x_BT)
        length = num_samples(self.seconds, self.sample_rate)
        spare = abs(x_BT.shape[1] - length)
        start_B = np.broadcast_to(self.starts(spare, keys_B), len(x_BT))
        return shifted(x_BT, start_B if x_BT.shape[1] > length else -start_B, length=length)

    def starts(self, spare: int, keys_B: Keys) -> Int64[np.ndarray, "B"] | int:
        """Of `spare` samples that are cut off or filled in, how many lie before what stays."""
        raise NotImplementedError


class CropPad(_OfLength):
    """The first `seconds`; silence follows a shorter sound."""

    def starts(self, spare: int, keys_B: Keys) -> int:
        return 0


class CentralCrop(_OfLength):
    """The `seconds` in the middle; a shorter sound stands in the middle of silence."""

    def starts(self, spare: int, keys_B: Keys) -> int:
        return spare // 2


class RandomCrop(_OfLength):
    """Any stretch of `seconds`, each as likely; a shorter sound stands anywhere in silence."""

    def starts(self, spare: int, keys_B: Keys) -> Int64[np.ndarray, "B"]:
        return (hashing.uniform(keys_B, 1)[:, 0] * (spare + 1)).astype(np.int64)


def shifted(x_BT: Waves, start_B: Int64[np.ndarray, "B"], *, length: int) -> Float32[np.ndarray, "B {length}"]:
    """Samples [start, start + length) of each row, silence where there are none."""
    made = np.zeros((len(x_BT), length), x_BT.dtype)
    for row, x_T, start in zip(made, x_BT, start_B.tolist(), strict=True):
        kept = x_T[max(start, 0) : max(start + length, 0)]
        row[max(-start, 0) :][: len(kept)] = kept
    return made


@dataclass(frozen=True)
class TimeShift(OfInputs):
    """Moves sound by up to `max_seconds` either way; silence follows from the side, and what passes the end is lost."""

    max_seconds: float
    _: KW_ONLY
    sample_rate: int

    def __post_init__(self) -> None:
        if not self.max_seconds > 0:
            raise ValueError(f"max_seconds: expected a number above 0, got {self.max_seconds}")

    def inputs(self, x_BT: Waves, keys_B: Keys) -> Waves:
        check_sound(x_BT)
        most = num_samples(self.max_seconds, self.sample_rate)
        start_B = (hashing.uniform(keys_B, 1)[:, 0] * (2 * most + 1)).astype(np.int64) - most
        return shifted(x_BT, start_B, length=x_BT.shape[1])


@dataclass(frozen=True)
class Gain(OfInputs):
    """Louder or softer by a number of decibels between `low` and `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_range(self.low, self.high, unit="decibels")

    def inputs(self, x_BT: Waves, keys_B: Keys) -> Waves:
        check_sound(x_BT)
        return x_BT * (10 ** (drawn(self.low, self.high, keys_B) / 20)).astype(np.float32)[:, None]


@dataclass(frozen=True)
class Noise(OfInputs):
    """Adds Gaussian noise at a ratio of signal to noise between `low` and `high` decibels; silence stays silent.

    The powers of the sound and of the noise are their means over the row, so the ratio is exact. `color` is "white", or
    "pink", whose power falls as 1 / frequency.
    """

    low: float
    high: float
    color: str = "white"

    def __post_init__(self) -> None:
        check_range(self.low, self.high, unit="decibels")
        if self.color not in ("white", "pink"):
            raise ValueError(f"color: expected 'white' or 'pink', got {self.color!r}")

    def inputs(self, x_BT: Waves, keys_B: Keys) -> Waves:
        check_sound(x_BT)
        noise_BT = hashing.normal(hashing.fold(keys_B, 1), x_BT.shape[1])
        if self.color == "pink":
            noise_BT = pink(noise_BT)
        ratio_B = 10 ** (drawn(self.low, self.high, keys_B) / 10)
        power_B, noise_power_B = _power(x_BT), _power(noise_BT)
        level_B = np.sqrt(power_B / (np.maximum(noise_power_B, np.finfo(np.float32).tiny) * ratio_B))
        return x_BT + level_B.astype(np.float32)[:, None] * noise_BT


def pink(white_BT: Waves) -> Waves:
    """White noise whose power is made to fall as 1 / frequency; its mean becomes 0."""
    spectrum_BK = np.fft.rfft(white_BT)
    spectrum_BK[:, 0] = 0
    spectrum_BK[:, 1:] /= np.sqrt(np.arange(1, spectrum_BK.shape[1], dtype=np.float32))
    return np.fft.irfft(spectrum_BK, white_BT.shape[1]).astype(np.float32)


def _power(x_BT: Waves) -> Float64[np.ndarray, "B"]:
    return np.square(x_BT).mean(1, dtype=np.float64)


@dataclass(frozen=True)
class RemoveDC(OfInputs):
    """Takes the mean of each sound away, which some converters add and nobody hears."""

    def inputs(self, x_BT: Waves, keys_B: Keys) -> Waves:
        check_sound(x_BT)
        return x_BT - x_BT.mean(1, keepdims=True)


@dataclass(frozen=True)
class Preemphasis(OfInputs):
    """y[t] = x[t] - coefficient * x[t - 1]: lifts high frequencies, in which speech is weak."""

    coefficient: float = 0.97

    def __post_init__(self) -> None:
        if not 0 < self.coefficient < 1:
            raise ValueError(f"coefficient: expected a number between 0 and 1, got {self.coefficient}")

    def inputs(self, x_BT: Waves, keys_B: Keys) -> Waves:
        check_sound(x_BT)
        made_BT = x_BT.copy()
        made_BT[:, 1:] -= np.float32(self.coefficient) * x_BT[:, :-1]
        return made_BT


def check_range(low: float, high: float, *, unit: str) -> None:
    """Raises a ValueError unless low <= high, both finite."""
    if not -np.inf < low <= high < np.inf:
        raise ValueError(f"low and high: expected {unit}, low <= high, got {low} and {high}")


def drawn(low: float, high: float, keys_B: Keys) -> Float64[np.ndarray, "B"]:
    """A number between `low` and `high` for each key, uniform."""
    return low + (high - low) * hashing.uniform(hashing.fold(keys_B, 0), 1)[:, 0]
