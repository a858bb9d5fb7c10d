"""Sounds of one kind each, of random pitch, loudness and place, over noise. The kind is the label.

Pitches are in cycles a sample, so a clip serves any sample rate: at 8 kHz they are 80 to 800 Hz.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Float64

from input_pipeline import hashing

_MIN_SAMPLES = 400  # a few periods of the lowest pitch
_LOWEST, _HIGHEST = 0.01, 0.1  # cycles a sample
_SWEEP = 3.0  # the pitch of a chirp changes by this factor
_NOISE = 10 ** (-30 / 20), 10 ** (-10 / 20)  # of the loudness; quietest and loudest

Wave = Float64[np.ndarray, "T"]


def example(number: int, *, shape: tuple[int], seed: int) -> tuple[Float32[np.ndarray, "T"], int]:
    """Clip `number` in [-1, 1], and which of `CLASSES` it is.

    The sound takes from half of the clip to all of it; what is left is silence, and noise lies over both.

    Raises:
      ValueError: `shape` is not [T] with at least 400 samples.
    """
    if len(shape) != 1 or shape[0] < _MIN_SAMPLES:
        raise ValueError(f"data.shape: expected (T,) of {_MIN_SAMPLES} samples or more, got {shape}")
    label = number % len(CLASSES)
    key = hashing.fold(hashing.key("synthetic tones 1", seed), number)
    [(pitch, phase, length, start, level, noise)] = hashing.uniform(hashing.fold(key, 0), 6)
    hiss_2T = 2 * hashing.uniform(hashing.fold(key, np.arange(1, 3)), shape[0]) - 1
    num_samples = int(shape[0] * (0.5 + 0.5 * length))
    first = int(start * (shape[0] - num_samples + 1))
    lowest = _LOWEST * (_HIGHEST / _LOWEST) ** pitch
    sound = _KINDS[CLASSES[label]](lowest, phase, hiss_2T[0, :num_samples])
    loudness = 0.2 + 0.5 * level
    quiet, loud = _NOISE
    wave = loudness * quiet * (loud / quiet) ** noise * hiss_2T[1]
    wave[first : first + num_samples] += loudness * sound
    return wave.astype(np.float32), label


def _turns(begin: float, end: float, phase: float, count: int) -> Wave:
    """Cycles until each of `count` samples, of a pitch that moves evenly from `begin` to `end` cycles a sample."""
    n = np.arange(count)
    return phase + begin * n + (end - begin) * n * n / (2 * count)


def _sine(pitch: float, phase: float, hiss: Wave) -> Wave:
    return np.sin(2 * np.pi * _turns(pitch, pitch, phase, len(hiss)))


def _square(pitch: float, phase: float, hiss: Wave) -> Wave:
    return np.where(_turns(pitch, pitch, phase, len(hiss)) % 1 < 0.5, 1.0, -1.0)


def _saw(pitch: float, phase: float, hiss: Wave) -> Wave:
    return 2 * (_turns(pitch, pitch, phase, len(hiss)) % 1) - 1


def _chirp_up(pitch: float, phase: float, hiss: Wave) -> Wave:
    return np.sin(2 * np.pi * _turns(pitch, _SWEEP * pitch, phase, len(hiss)))


def _chirp_down(pitch: float, phase: float, hiss: Wave) -> Wave:
    return np.sin(2 * np.pi * _turns(_SWEEP * pitch, pitch, phase, len(hiss)))


def _noise(pitch: float, phase: float, hiss: Wave) -> Wave:
    return hiss


# (pitch in cycles a sample, phase in cycles, white noise) -> as many samples as the noise has, in [-1, 1]
_KINDS: dict[str, Callable[[float, float, Wave], Wave]] = {
    "sine": _sine,
    "square": _square,
    "saw": _saw,
    "chirp_up": _chirp_up,
    "chirp_down": _chirp_down,
    "noise": _noise,
}
CLASSES = tuple(_KINDS)
