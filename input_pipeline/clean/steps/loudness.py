"""How loud a clip is to the ear, and its true peak: ITU-R BS.1770-4, "Algorithms to measure audio programme loudness".

SciPy is imported where it is used.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from input_pipeline.transforms.audio.speed import resampled

BLOCK_S = 0.4  # annex 1: of the blocks that are measured and gated, each a quarter of its length after the last
_PIECES = 4
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, and LU below the mean of what passed the first
_OFFSET = -0.691  # so that 1 kHz comes out even
# Of each channel, by how many there are: left, right, centre, (low frequencies,) left and right surround.
_WEIGHTS = {5: (1, 1, 1, 1.41, 1.41), 6: (1, 1, 1, 0, 1.41, 1.41)}
_SILENCE = 1e-20  # a power that stands for none
_TRUE_PEAK_RATE = 192_000  # annex 2


class _Filter(NamedTuple):
    """What a filter of annex 1 was made of, found from its coefficients at 48 kHz, so that it can be made anew.

    B. De Man, "Evaluation of implementations of the EBU R128 loudness measurement", AES 145, 2018, section 3.
    """

    hz: float
    quality: float


_SHELF, _SHELF_DB, _SHELF_POWER = _Filter(1681.974450955533, 0.7071752369554196), 3.999843853973347, 0.4996667741545416
_HIGH_PASS = _Filter(38.13547087602444, 0.5003270373238773)


def integrated(samples_TC: Float32[np.ndarray, "T C"], sample_rate: int) -> float:
    """Gated loudness in LUFS; minus infinity if nothing passes the absolute gate.

    A clip shorter than a block is one block by itself, of its own length, which the standard leaves open.
    """
    power_J = _power_of_blocks(_weighted(samples_TC, sample_rate), sample_rate)
    heard_J = power_J[_lufs(power_J) > ABSOLUTE_GATE]
    if not len(heard_J):
        return -np.inf
    loud_J = heard_J[_lufs(heard_J) > _lufs(heard_J.mean()) + RELATIVE_GATE]
    return float(_lufs(loud_J.mean()))


def true_peak(samples_TC: Float32[np.ndarray, "T C"], sample_rate: int) -> float:
    """The greatest amplitude between samples too, 1 for full scale: annex 2, oversampled four times, or to 192 kHz."""
    times = min(4, -(-_TRUE_PEAK_RATE // sample_rate))
    between = resampled(samples_TC.T, Fraction(times)) if times > 1 else samples_TC
    return float(max(np.abs(between).max(), np.abs(samples_TC).max()))


def k_weighting(sample_rate: int) -> Float64[np.ndarray, "2 6"]:
    """The two filters of annex 1 as second-order sections: a shelf for the head, a high pass."""
    k, q = np.tan(np.pi * _SHELF.hz / sample_rate), _SHELF.quality
    high = 10 ** (_SHELF_DB / 20)
    band = high**_SHELF_POWER
    shelf = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    shelf += [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]
    k, q = np.tan(np.pi * _HIGH_PASS.hz / sample_rate), _HIGH_PASS.quality
    divisor = 1 + k / q + k * k
    high_pass = [1, -2, 1, 1, 2 * (k * k - 1) / divisor, (1 - k / q + k * k) / divisor]
    return np.array([np.array(shelf) / shelf[3], high_pass])


def _weighted(samples_TC: np.ndarray, sample_rate: int) -> Float64[np.ndarray, "T"]:
    """Power sample by sample, of all channels together."""
    import scipy.signal

    weights = _WEIGHTS.get(samples_TC.shape[1], (1,) * samples_TC.shape[1])
    power_T = np.zeros(len(samples_TC))
    for x_T, weight in zip(samples_TC.T, weights, strict=True):
        power_T += weight * scipy.signal.sosfilt(k_weighting(sample_rate), x_T.astype(np.float64)) ** 2
    return power_T


def _power_of_blocks(power_T: Float64[np.ndarray, "T"], sample_rate: int) -> Float64[np.ndarray, "J"]:
    """The mean of each block that is complete; of all samples, if none is."""
    size = round(BLOCK_S * sample_rate / _PIECES)
    num_pieces = len(power_T) // size
    if num_pieces < _PIECES:
        return power_T.mean(keepdims=True)
    pieces = power_T[: num_pieces * size].reshape(num_pieces, size).mean(1)
    return np.lib.stride_tricks.sliding_window_view(pieces, _PIECES).mean(1)


def _lufs(power: np.ndarray) -> np.ndarray:
    return _OFFSET + 10 * np.log10(np.maximum(power, _SILENCE))
