"""Sound to log-mel spectrograms, and stretches of these blanked. SciPy is imported where it is used."""

import functools
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from input_pipeline import hashing
from input_pipeline.transforms.audio.waves import Keys, Waves, check_sound, num_samples
from input_pipeline.transforms.inputs import OfInputs, flat

_MAX_FFT = 1 << 15

Spectrograms = Float32[np.ndarray, "B F M"]


@dataclass(frozen=True)
class LogMel(OfInputs):
    """Sound [T] becomes the logarithm of its power [frames, num_mels] in bands that are even on the mel scale.

    Frame i is samples [i * hop, i * hop + window) under a periodic Hann window; there are as many as fit in whole, 1 +
    (T - window) // hop. Power is scaled so that a sine of full scale has 1 in the bin of its frequency. Bands are
    triangles over frequency, of height 1, whose corners are even on the scale of HTK (`mel`). Frames are filled up with
    zeros to a power of two, the next at which each band has a bin of the Fourier transform.

    Attributes:
      window, hop: seconds.
      min_hz, max_hz: where the lowest band begins and the highest ends; a `max_hz` of 0 is half of the sample rate.
      floor: what power is raised to before the logarithm; 1e-8 is 80 decibels below full scale.
    """

    num_mels: int = 64
    window: float = 0.025
    hop: float = 0.01
    min_hz: float = 20.0
    max_hz: float = 0.0
    floor: float = 1e-8
    _: KW_ONLY
    sample_rate: int

    def __post_init__(self) -> None:
        if self.num_mels < 1:
            raise ValueError(f"num_mels: expected 1 or more, got {self.num_mels}")
        for name in ("window", "hop"):
            if not num_samples(getattr(self, name), self.sample_rate) >= 1:
                raise ValueError(f"{name}: expected a sample or more, got {getattr(self, name)} seconds")
        if not 0 <= self.min_hz < self._max_hz <= self.sample_rate / 2:
            raise ValueError(
                f"min_hz and max_hz: expected 0 <= min_hz < max_hz <= {self.sample_rate / 2:g}, got "
                f"{self.min_hz:g} and {self._max_hz:g}"
            )
        if not self.floor > 0:
            raise ValueError(f"floor: expected a number above 0, got {self.floor}")
        assert self._filters.nnz

    @property
    def _max_hz(self) -> float:
        return self.max_hz or self.sample_rate / 2

    @property
    def _filters(self) -> Any:
        return mel_filters(
            self.num_mels,
            window_size=num_samples(self.window, self.sample_rate),
            sample_rate=self.sample_rate,
            min_hz=self.min_hz,
            max_hz=self._max_hz,
        )

    def inputs(self, x_BT: Waves, keys_B: Keys) -> Spectrograms:
        check_sound(x_BT)
        window_size, hop_size = (num_samples(seconds, self.sample_rate) for seconds in (self.window, self.hop))
        num_frames = 1 + (x_BT.shape[1] - window_size) // hop_size
        if num_frames < 1:
            raise ValueError(
                f"window: expected no more than the sound of {x_BT.shape[1]} samples, got {window_size}; write "
                "crop_pad before log_mel"
            )
        made = np.empty((len(x_BT), num_frames, self.num_mels), np.float32)
        filters_MK, window = self._filters, hann(window_size)
        for i, x_T in enumerate(x_BT):  # row by row: the spectra stay in the processor's cache
            frames = np.lib.stride_tricks.sliding_window_view(x_T, window_size)[::hop_size]
            power_FK = _power(frames * window, fft_size=2 * filters_MK.shape[1] - 2)
            made[i] = (filters_MK @ power_FK.T).T
        return np.log(np.maximum(made, np.float32(self.floor), out=made), out=made)


def hann(size: int) -> Float32[np.ndarray, "{size}"]:
    """A periodic Hann window under which a sine of full scale has an amplitude of 1 in its bin."""
    window = np.sin(np.pi * np.arange(size) / size) ** 2 if size > 1 else np.ones(1)
    return (2 * window / window.sum()).astype(np.float32)


def _power(frames_FN: Float32[np.ndarray, "F N"], *, fft_size: int) -> Float32[np.ndarray, "F K"]:
    import scipy.fft

    spectrum = scipy.fft.rfft(frames_FN, fft_size)
    return spectrum.real**2 + spectrum.imag**2


def mel(hz: np.ndarray | float) -> np.ndarray | float:
    """The mel scale of HTK: S. Young et al., "The HTK Book", 2006, section 5.4."""
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


@functools.lru_cache
def mel_filters(num_mels: int, *, window_size: int, sample_rate: int, min_hz: float, max_hz: float) -> Any:
    """Weights [M, K] of each bin in each band, for the shortest Fourier transform that has a bin in every band.

    A bin is in two bands at most, so this is a `scipy.sparse.csr_array`. That also keeps the product from BLAS, whose
    threads get into the way of those that train.

    Raises:
      ValueError: even a very long transform has a band without a bin.
    """
    import scipy.sparse

    corners_M1 = 700 * (10 ** (np.linspace(mel(min_hz), mel(max_hz), num_mels + 2) / 2595) - 1)[:, None]
    low, middle, high = corners_M1[:-2], corners_M1[1:-1], corners_M1[2:]
    fft_size = 1 << max(1, (window_size - 1).bit_length())
    while fft_size <= max(_MAX_FFT, 2 * window_size):
        bin_hz = sample_rate / fft_size
        if (bin_hz * (np.floor(low / bin_hz) + 1) < high).all():  # the first bin above `low`
            hz_K = np.arange(fft_size // 2 + 1) * bin_hz
            filters_MK = np.minimum((hz_K - low) / (middle - low), (high - hz_K) / (high - middle))
            return scipy.sparse.csr_array(np.maximum(0, filters_MK).astype(np.float32))
        fft_size *= 2
    raise ValueError(f"num_mels: expected fewer bands than {num_mels} from {min_hz:g} to {max_hz:g} Hz")


@dataclass(frozen=True)
class SpecAugment(OfInputs):
    """Blanks stretches of frames and of bands with the row's mean: SpecAugment, without its time warping.

    D. Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition", 2019, section 2:
    each is 0 to `time` frames or `freq` bands long, and begins anywhere that it fits.
    """

    num_time: int
    time: int
    num_freq: int
    freq: int

    def __post_init__(self) -> None:
        for name in ("num_time", "time", "num_freq", "freq"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")

    def inputs(self, x_BFM: Spectrograms, keys_B: Keys) -> Spectrograms:
        if x_BFM.ndim != 3:
            raise ValueError(f"expected spectrograms [frames, mels], got rows of shape {list(x_BFM.shape[1:])}")
        _, num_frames, num_mels = x_BFM.shape
        frames_BF = _stretches(hashing.fold(keys_B, 0), self.num_time, longest=self.time, length=num_frames)
        bands_BM = _stretches(hashing.fold(keys_B, 1), self.num_freq, longest=self.freq, length=num_mels)
        mean_B11 = flat(x_BFM).mean(1)[:, None, None]
        return np.where(frames_BF[:, :, None] | bands_BM[:, None, :], mean_B11, x_BFM)


def _stretches(keys_B: Keys, count: int, *, longest: int, length: int) -> Bool[np.ndarray, "B {length}"]:
    """Which of `length` places lie in one of `count` random stretches."""
    drawn_BN2 = hashing.uniform(keys_B, 2 * count).reshape(len(keys_B), count, 2)
    size_BN: Int64[np.ndarray, "B N"] = (drawn_BN2[..., 0] * (min(longest, length) + 1)).astype(np.int64)
    start_BN = (drawn_BN2[..., 1] * (length - size_BN + 1)).astype(np.int64)
    places = np.arange(length)
    return ((places >= start_BN[..., None]) & (places < (start_BN + size_BN)[..., None])).any(axis=1)
