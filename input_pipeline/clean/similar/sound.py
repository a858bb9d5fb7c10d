"""Near-duplicate clips: 32 signs every 12 ms, of how energy shifts between neighbouring bands and moments.

J. Haitsma and T. Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002, section 4: 5 kHz, frames of 0.37 s
under a Hann window that overlap by 31/32, 33 bands even on a logarithmic scale from 300 to 2,000 Hz, and of frame n and
band m the bit whether E(n, m) - E(n, m + 1) - (E(n - 1, m) - E(n - 1, m + 1)) > 0. Neither a gain nor the sample rate
changes them, and a shift moves them. They look a clip up by any moment of 32 equal bits; so that a clip has a fixed
number of keys, ours are the least of its moments in each of some random orders (A. Broder, "On the resemblance and
containment of documents", 1997): two clips agree in one with the probability that is the share of moments that they
have in common.
"""

import functools
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt32, UInt64

from input_pipeline import audio, hashing
from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import exact
from input_pipeline.clean.similar.sketch import Evidence, Sketches, offsets_of
from input_pipeline.documents import BadRecord
from input_pipeline.transforms.audio.speed import resampled

RATE = 5_000
HOP_S = 0.37 / 32
_FRAME = round(0.37 * RATE)
_FFT = 2048
_BANDS, _LOW_HZ, _HIGH_HZ = 33, 300.0, 2_000.0
_MAX_DENOMINATOR = 1_000  # of a ratio of sample rates: off by less than a millionth, and no filter is long
_SILENT = 1e-3  # the greatest sample of a silent clip: -60 dBFS
_AUDIBLE = 10**-2.5  # frames at the ends that lie 25 dB below the loudest are no part of the clip: they may be noise

Moments: TypeAlias = UInt32[np.ndarray, "F"]


@dataclass(frozen=True)
class AudioFingerprint:
    """Two clips are near-duplicates if a share `threshold` of their moments' bits agree, at the best shift.

    All moments of the longer one count, so a part of a clip is not its duplicate. A clip that is silent, or has fewer
    than `min_moments` between its first and its last sound, takes part in exact deduplication alone; so does one that
    cannot be decoded.

    Attributes:
      keys: random orders, in each of which the least moment is a key.
      key_bits: of a moment, the lowest bands, that a key tells apart. Fewer find more of the copies that were badly
        damaged on their way, and cost more comparisons.
      max_shift_s: how far one may lie behind the other, in seconds, silence at the ends not counted.
      min_moments: 32 span 0.37 s. Of fewer, too few bits are independent to tell words apart.
      threshold: share of equal bits. Clips that have nothing in common agree in half of them; of 3.9 million pairs of
        short prompts by five speakers, no two different words reach 0.8 (LOG.md).
    """

    keys: int = 64
    key_bits: int = 24
    max_shift_s: float = 0.5
    min_moments: int = 32
    _: KW_ONLY
    threshold: float = 0.8

    def __post_init__(self) -> None:
        if not 0.6 <= self.threshold <= 1:
            raise ValueError(
                f"threshold: expected 0.6 to 1, since chance alone gives 0.5, got {self.threshold}; write 0.8"
            )
        for name in ("keys", "min_moments"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if not 16 <= self.key_bits <= 32:
            raise ValueError(f"key_bits: expected 16 to 32, got {self.key_bits}")
        if not 0 <= self.max_shift_s < np.inf:
            raise ValueError(f"max_shift_s: expected 0 or more seconds, got {self.max_shift_s}")

    def sketch(self, records: Sequence[Record]) -> Sketches:
        """Digests of payloads, the keys, and as evidence the number of moments and the moments, two in each number."""
        clips = [self._moments(record.payload) for record in records]
        flat = [_packed(moments) for moments in clips]
        return Sketches(
            exact_N2=exact.digests(records, part="payload"),
            bands_NK=np.array([self._keys(moments) for moments in clips], np.uint64).reshape(-1, self.keys),
            evidence=Evidence(
                np.concatenate([np.zeros(0, np.uint64), *flat]), offsets_of(np.array([len(x) for x in flat], np.int64))
            ),
        )

    def similarities(self, evidence: Evidence, pairs_P2: Int64[np.ndarray, "P 2"]) -> Float64[np.ndarray, "P"]:
        """The share of equal bits at the best shift; 0 where one has no evidence, or is too short beside the other."""
        lengths_N = _lengths(evidence)
        shorter_P, longer_P = np.sort(lengths_N[pairs_P2], axis=1).T
        moments = functools.cache(lambda n: _unpacked(evidence.flat[evidence.offsets[n] : evidence.offsets[n + 1]]))
        found = np.zeros(len(pairs_P2))
        for place in np.flatnonzero((shorter_P > 0) & (shorter_P >= self.threshold * longer_P)).tolist():
            one, other = map(moments, pairs_P2[place].tolist())
            found[place] = agreement(one, other, max_shift=round(self.max_shift_s / HOP_S))
        return found

    def _moments(self, payload: bytes) -> Moments:
        """None, if the clip is silent, too short or cannot be decoded."""
        try:
            sound = audio.read(payload)
        except BadRecord:
            return np.zeros(0, np.uint32)
        moments = fingerprint(sound.samples_TC.mean(1), sound.sample_rate)
        return moments if len(moments) >= self.min_moments else np.zeros(0, np.uint32)

    def _keys(self, moments: Moments) -> UInt64[np.ndarray, "K"]:
        seeds_K = _seeds(self.keys)
        if not len(moments):
            return np.zeros(self.keys, np.uint64)
        different = np.unique(moments & np.uint32((1 << self.key_bits) - 1))
        least_K = [hashing.fold(seeds_K[k : k + 1], different).min() for k in range(self.keys)]
        return hashing.fold(seeds_K, np.array(least_K))


def fingerprint(samples_T: Float32[np.ndarray, "T"], sample_rate: int) -> Moments:
    """The 32 bits of each moment from the first to the last sound, band 0 the lowest; none of silence."""
    if not np.abs(samples_T).max(initial=0) > _SILENT or not np.isfinite(samples_T).all():
        return np.zeros(0, np.uint32)
    ratio = Fraction(RATE, sample_rate).limit_denominator(_MAX_DENOMINATOR)
    energy_FM = _energy(resampled(samples_T[None], ratio)[0])
    power_F = energy_FM.sum(1)
    heard = np.flatnonzero(power_F > _AUDIBLE * power_F.max())
    across = np.diff(energy_FM[heard[0] : heard[-1] + 1], axis=1)  # E(n, m + 1) - E(n, m)
    bits_F32 = np.diff(across, axis=0) < 0
    return np.packbits(bits_F32, axis=1, bitorder="little").view("<u4")[:, 0].astype(np.uint32)


def agreement(one: Moments, other: Moments, *, max_shift: int) -> float:
    """Equal bits of all bits of the longer one, at the best of the shifts from -max_shift to max_shift moments."""
    padded, is_there = np.zeros((2, 2 * max_shift + max(len(one), len(other))), np.uint32)
    padded[max_shift : max_shift + len(other)], is_there[max_shift : max_shift + len(other)] = other, 1
    others, are_there = (
        np.lib.stride_tricks.sliding_window_view(x, len(one))[: 2 * max_shift + 1] for x in (padded, is_there)
    )
    equal = ((32 - np.bitwise_count(one ^ others)) * are_there).sum(1, dtype=np.int64)
    return float(equal.max()) / (32 * max(len(one), len(other)))


def _energy(x_T: Float32[np.ndarray, "T"]) -> Float64[np.ndarray, "F M"]:
    """Of each band in each frame that has a sample."""
    import scipy.fft

    x_T = np.pad(x_T, _FRAME)  # or a sound would have fewer frames where no silence is about it
    starts = np.rint(np.arange(0, (len(x_T) - _FRAME) / (HOP_S * RATE) + 1e-9) * (HOP_S * RATE)).astype(np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(x_T, _FRAME)[starts]
    spectrum = scipy.fft.rfft(frames * np.hanning(_FRAME).astype(np.float32), _FFT)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float64)
    edges = np.rint(_LOW_HZ * (_HIGH_HZ / _LOW_HZ) ** (np.arange(_BANDS + 1) / _BANDS) * _FFT / RATE).astype(np.int64)
    return np.add.reduceat(power, edges, axis=1)[:, :_BANDS]


def _packed(moments: Moments) -> UInt64[np.ndarray, "E"]:
    if not len(moments):
        return np.zeros(0, np.uint64)
    whole = np.concatenate([np.array([len(moments)], np.uint32), moments, np.zeros(1 - len(moments) % 2, np.uint32)])
    return whole[::2].astype(np.uint64) | whole[1::2].astype(np.uint64) << np.uint64(32)


def _lengths(evidence: Evidence) -> Int64[np.ndarray, "N"]:
    """How many moments each record has."""
    lengths_N = np.diff(evidence.offsets)
    has_any = np.flatnonzero(lengths_N)
    lengths_N[has_any] = evidence.flat[evidence.offsets[has_any]] & np.uint64(0xFFFFFFFF)
    return lengths_N


def _unpacked(packed: UInt64[np.ndarray, "E"]) -> Moments:
    whole = np.stack([packed & np.uint64(0xFFFFFFFF), packed >> np.uint64(32)], axis=1).astype(np.uint32).reshape(-1)
    return whole[1 : 1 + whole[0]]


@functools.cache
def _seeds(count: int) -> UInt64[np.ndarray, "{count}"]:
    return hashing.fold(hashing.key("audio_fingerprint"), np.arange(count))
