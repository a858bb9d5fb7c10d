"""Sound at another sample rate, tempo or pitch. SciPy is imported where it is used: not every run needs it."""

import functools
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Complex64, Float32

from input_pipeline.transforms.audio.waves import Keys, Waves, check_sound, drawn
from input_pipeline.transforms.inputs import OfInputs

_WINDOW_S = 0.05  # of the vocoder: long enough to tell harmonics apart, short enough to keep syllables
_OVERLAP = 4  # windows over each sample
_MAX_DENOMINATOR = 64  # of a ratio of pitches: off by less than 1/8192, a fifth of a cent
_FASTEST = 4.0
_MOST_SEMITONES = 24.0


@dataclass(frozen=True)
class Resample(OfInputs):
    """Brings sound to `rate` samples a second: `scipy.signal.resample_poly`, a polyphase filter."""

    rate: int
    _: KW_ONLY
    sample_rate: int

    def __post_init__(self) -> None:
        if self.rate < 1:
            raise ValueError(f"rate: expected 1 or more samples a second, got {self.rate}")

    @property
    def gives(self) -> Mapping[str, Any]:
        """What the operations that follow are given in place of the run's own."""
        return {"sample_rate": self.rate}

    def inputs(self, x_BT: Waves, keys_B: Keys) -> Waves:
        check_sound(x_BT)
        return resampled(x_BT, Fraction(self.rate, self.sample_rate))


@dataclass(frozen=True)
class TimeStretch(OfInputs):
    """Plays sound at a tempo between `low` and `high` times its own, at the same pitch: 1.25 is faster, and shorter.

    T samples become round(T / tempo), so rows come to differ in length.
    """

    low: float
    high: float
    _: KW_ONLY
    sample_rate: int

    def __post_init__(self) -> None:
        if not 1 / _FASTEST <= self.low <= self.high <= _FASTEST:
            raise ValueError(
                f"low and high: expected {1 / _FASTEST} <= low <= high <= {_FASTEST}, got {self.low} and {self.high}"
            )

    def inputs(self, x_BT: Waves, keys_B: Keys) -> list[np.ndarray]:
        check_sound(x_BT)
        tempo_B = drawn(self.low, self.high, keys_B).tolist()
        return [stretched(x_T, tempo, sample_rate=self.sample_rate) for x_T, tempo in zip(x_BT, tempo_B, strict=True)]


@dataclass(frozen=True)
class Pitch(OfInputs):
    """Raises or lowers the pitch by up to `semitones`, at the same tempo and length."""

    semitones: float
    _: KW_ONLY
    sample_rate: int

    def __post_init__(self) -> None:
        if not 0 < self.semitones <= _MOST_SEMITONES:
            raise ValueError(f"semitones: expected a number above 0, {_MOST_SEMITONES} at most, got {self.semitones}")

    def inputs(self, x_BT: Waves, keys_B: Keys) -> Waves:
        check_sound(x_BT)
        steps_B = drawn(-self.semitones, self.semitones, keys_B).tolist()
        rows = [raised(x_T, steps, sample_rate=self.sample_rate) for x_T, steps in zip(x_BT, steps_B, strict=True)]
        return np.stack(rows) if rows else x_BT


def resampled(x_BT: Waves, ratio: Fraction) -> Waves:
    """`ratio` times as many samples, rounded up: a polyphase filter, as `scipy.signal.resample_poly` has it."""
    import scipy.signal

    if ratio == 1:
        return x_BT
    up, down = ratio.numerator, ratio.denominator
    window = _low_pass(max(up, down))
    return scipy.signal.resample_poly(x_BT, up, down, axis=1, window=window).astype(np.float32, copy=False)


@functools.lru_cache(maxsize=256)
def _low_pass(rate: int) -> Float32[np.ndarray, "N"]:
    """The filter that `resample_poly` would design in each call, which takes longer than to apply it."""
    import scipy.signal

    return scipy.signal.firwin(20 * rate + 1, 1 / rate, window=("kaiser", 5.0)).astype(np.float32)


def raised(x_T: Float32[np.ndarray, "T"], semitones: float, *, sample_rate: int) -> Float32[np.ndarray, "T"]:
    """Stretched in time, then read faster by as much (or slower, where `semitones` is below 0)."""
    ratio = Fraction(2 ** (semitones / 12)).limit_denominator(_MAX_DENOMINATOR)
    long = stretched(x_T, float(1 / ratio), sample_rate=sample_rate)
    found = resampled(long[None], 1 / ratio)[0, : len(x_T)]
    return np.pad(found, (0, len(x_T) - len(found)))


def stretched(x_T: Float32[np.ndarray, "T"], tempo: float, *, sample_rate: int) -> Float32[np.ndarray, "S"]:
    """A phase vocoder: round(T / tempo) samples.

    J. Flanagan, R. Golden, "Phase Vocoder", Bell System Technical Journal 1966; in the form of J. Laroche, M. Dolson,
    "Improved Phase Vocoder Time-Scale Modification of Audio", IEEE Transactions on Speech and Audio Processing 1999,
    section II: windows are taken at other times than they are put back, and each frequency's phase goes on at the pace
    that it has between neighbouring windows. Phases of neighbouring frequencies are not locked to one another.
    """
    import scipy.fft

    length = round(len(x_T) / tempo)
    size = _window_size(sample_rate)
    hop = size // _OVERLAP
    window = np.sin(np.pi * np.arange(size, dtype=np.float32) / size) ** 2
    num_frames = -(-length // hop) + 1  # the middle of the last one is at the end or behind it
    times = tempo * np.arange(num_frames)  # of each frame to be, in frames of the sound
    num_read = int(times[-1]) + 2
    whole = np.pad(x_T, (size // 2, max(0, num_read * hop + size - len(x_T))))
    read = np.lib.stride_tricks.sliding_window_view(whole, size)[: num_read * hop : hop]
    spectrum = _at_times(scipy.fft.rfft(read * window), times)
    return _overlapped(scipy.fft.irfft(spectrum, size) * window, window)[size // 2 :][:length]


def _window_size(sample_rate: int) -> int:
    """The power of two that is nearest to the vocoder's window, in samples."""
    return max(2 * _OVERLAP, 1 << round(np.log2(_WINDOW_S * sample_rate)))


def _at_times(spectrum_FK: Complex64[np.ndarray, "F K"], times: np.ndarray) -> Complex64[np.ndarray, "G K"]:
    """The spectrum at times between frames, in frames: sizes between those of both neighbours, phases as they go on.

    Frames are put back as far apart as they were read, so that the phase gained between neighbours is what is gained
    there too, and whole turns need no counting.
    """
    before, part = times.astype(int), (times % 1).astype(np.float32)[:, None]
    size_FK = np.abs(spectrum_FK)
    unit_FK = np.where(size_FK > 0, spectrum_FK / np.where(size_FK > 0, size_FK, 1), 1)
    size = (1 - part) * size_FK[before] + part * size_FK[before + 1]
    gained = unit_FK[before + 1] * unit_FK[before].conj()
    return size * np.cumprod(np.concatenate([unit_FK[:1], gained[:-1]]), axis=0)


def _overlapped(frames: Float32[np.ndarray, "F N"], window: np.ndarray) -> np.ndarray:
    """The sum of frames that stand a hop apart, over the sum of the squared windows that they have been under."""
    num_frames, size = frames.shape
    hop = size // _OVERLAP
    total = np.zeros((2, num_frames + _OVERLAP - 1, hop), np.float32)
    for part in range(_OVERLAP):
        stretch = slice(part * hop, (part + 1) * hop)
        total[0, part : part + num_frames] += frames[:, stretch]
        total[1, part : part + num_frames] += window[stretch] ** 2
    return (total[0] / np.maximum(total[1], 1e-3)).reshape(-1)
