"""Operations on clips: what cannot be used is removed, what remains becomes alike.

A line such as "decodable|mono|not_silent|not_clipped|resample(16_000)|loudness|duration(0.4, 30.0)|encode('flac')"
decodes and encodes each clip once (`media.Line`). Changed clips are written as WAV of 32-bit floats where the line has
no `encode`. Levels are in dBFS, decibels below a sample of full scale; a sine of full scale has an RMS of -3.01.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32, Float64

from input_pipeline import audio
from input_pipeline.clean.record import CHANGED
from input_pipeline.clean.steps import clip
from input_pipeline.clean.steps.clip import Clip, decibels
from input_pipeline.clean.steps.loudness import integrated, true_peak
from input_pipeline.clean.steps.media import Finding, Operation
from input_pipeline.transforms.audio.speed import resampled

_FRAME_S = 0.01  # of silence that is looked for at the ends
_TOLERANCE_LU = 0.1  # EBU Tech 3341, section 2.9: what a meter may be off by


class OnClip(Operation):
    """An operation whose payloads are clips."""

    hold: ClassVar[type[Any]] = Clip


@dataclass(frozen=True)
class Decodable(OnClip):
    """Removes what is empty, in no known format, truncated, corrupt, not finite, or longer than `max_samples`.

    Attributes:
      max_samples: of all channels together, as the header says, before any is decoded. The default is 70 minutes at
        16 kHz, and takes 256 MB; operations take up to four times as much again for a moment.
    """

    max_samples: int = 1 << 26

    def __post_init__(self) -> None:
        if not 1 <= self.max_samples <= audio.MAX_SAMPLES:
            raise ValueError(f"max_samples: expected 1 to {audio.MAX_SAMPLES:,}, got {self.max_samples}")

    def on(self, held: Clip) -> Finding | None:
        held.max_samples = self.max_samples
        _ = held.sound  # decodes it, or raises
        return None


@dataclass(frozen=True)
class Duration(OnClip):
    """Removes clips of fewer than `min_s` or more than `max_s` seconds.

    The defaults: 0.4 s is the shortest clip that has a loudness (ITU-R BS.1770-4), 30 s what Whisper hears at once
    (A. Radford et al. 2022, section 2.1).
    """

    min_s: float = 0.4
    max_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_s <= self.max_s:
            raise ValueError(f"min_s and max_s: expected 0 <= min_s <= max_s, got {self.min_s} and {self.max_s}")

    def on(self, held: Clip) -> Finding | None:
        if held.seconds < self.min_s:
            return Finding("duration.min_s", held.seconds, self.min_s)
        return Finding("duration.max_s", held.seconds, self.max_s) if held.seconds > self.max_s else None


@dataclass(frozen=True)
class MinRate(OnClip):
    """Removes clips of fewer than `rate` samples a second: raising the rate would not bring back what they lack."""

    rate: int = 16_000

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def on(self, held: Clip) -> Finding | None:
        return Finding("min_rate.rate", held.sample_rate, self.rate) if held.sample_rate < self.rate else None


@dataclass(frozen=True)
class NotSilent(OnClip):
    """Removes clips whose greatest sample or whose RMS, over all channels, is too low.

    The defaults: -70 is where ITU-R BS.1770-4 ends what counts as heard; -60, which is 33 steps of 16 bits, lies above
    the noise of a converter and the steps of dither, and below a whisper.

    Attributes:
      min_peak, min_rms: dBFS.
    """

    min_peak: float = -60.0
    min_rms: float = -70.0

    def __post_init__(self) -> None:
        for name in ("min_peak", "min_rms"):
            if not clip.SILENCE_DB < getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a level below 0 dBFS, got {getattr(self, name)}")

    def on(self, held: Clip) -> Finding | None:
        x = held.samples_TC
        if (peak := decibels(float(np.abs(x).max()))) < self.min_peak:
            return Finding("not_silent.peak", peak, self.min_peak)
        rms = decibels(float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))))
        return Finding("not_silent.rms", rms, self.min_rms) if rms < self.min_rms else None


@dataclass(frozen=True)
class NotClipped(OnClip):
    """Removes clips of which more than `max_share` of the samples are at full scale.

    Speech that just reaches full scale has one sample in 10,000 there at most, so one in 1,000 tells that peaks were
    cut off. A tone of full scale counts as clipped. µ-law ends at 0.980 and 8 bits at 0.992: write that as `level`.
    """

    max_share: float = 0.001
    level: float = 0.999

    def __post_init__(self) -> None:
        if not 0 <= self.max_share < 1:
            raise ValueError(f"max_share: expected 0 or more, below 1, got {self.max_share}")
        if not 0 < self.level <= 1:
            raise ValueError(f"level: expected a number above 0, 1 for full scale, got {self.level}")

    def on(self, held: Clip) -> Finding | None:
        share = float(np.mean(np.abs(held.samples_TC) >= self.level))
        return Finding("not_clipped.share", share, self.max_share) if share > self.max_share else None


@dataclass(frozen=True)
class Mono(OnClip):
    """One channel, the mean of all."""

    def on(self, held: Clip) -> Finding | None:
        num_channels = held.samples_TC.shape[1]
        if num_channels == 1:
            return None
        held.become(held.samples_TC.mean(1, keepdims=True), held.sample_rate)
        return Finding("mono.channels", num_channels, 1, CHANGED)


@dataclass(frozen=True)
class Resample(OnClip):
    """Brings clips to `rate` samples a second: a polyphase filter (`transforms.audio.speed`)."""

    rate: int = 16_000

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def on(self, held: Clip) -> Finding | None:
        before = held.sample_rate
        if before == self.rate:
            return None
        held.become(resampled(held.samples_TC.T, Fraction(self.rate, before)).T, self.rate)
        return Finding("resample.rate", before, self.rate, CHANGED)


@dataclass(frozen=True)
class TrimSilence(OnClip):
    """Cuts off silence at both ends: 10 ms at a time, `below_db` or more under the loudest 10 ms.

    The default is that of librosa.effects.trim: 60 dB.

    Attributes:
      margin_s: seconds of silence that stay before and behind.
    """

    below_db: float = 60.0
    margin_s: float = 0.1

    def __post_init__(self) -> None:
        if not self.below_db > 0 or not self.margin_s >= 0:
            got = f"{self.below_db} and {self.margin_s}"
            raise ValueError(f"below_db and margin_s: expected one above 0, and 0 or more, got {got}")

    def on(self, held: Clip) -> Finding | None:
        size, margin = round(_FRAME_S * held.sample_rate), round(self.margin_s * held.sample_rate)
        first, last = audible(held.samples_TC, size=size, below_db=self.below_db)
        begin, end = max(0, first * size - margin), min(len(held.samples_TC), last * size + margin)
        cut = len(held.samples_TC) - (end - begin)
        if not cut:
            return None
        held.become(held.samples_TC[begin:end], held.sample_rate)
        return Finding("trim_silence.seconds", cut / held.sample_rate, 0.0, CHANGED)


def audible(samples_TC: Float32[np.ndarray, "T C"], *, size: int, below_db: float) -> tuple[int, int]:
    """From which frame of `size` samples to which (exclusive) anything is heard; all, if all are equally silent."""
    power_F = _power_of_frames(samples_TC, size)
    heard_F = np.flatnonzero(power_F >= power_F.max() * 10 ** (-below_db / 10))
    return int(heard_F[0]), int(heard_F[-1]) + 1


def _power_of_frames(samples_TC: np.ndarray, size: int) -> Float64[np.ndarray, "F"]:
    power_T = np.square(samples_TC, dtype=np.float64).sum(1)
    return np.add.reduceat(power_T, np.arange(0, len(power_T), size))


@dataclass(frozen=True)
class Loudness(OnClip):
    """Brings clips to one loudness, by one gain: ITU-R BS.1770-4, to the level of EBU R 128.

    A gain that would lift the true peak above `max_peak` is made smaller, and the rule is then `loudness.peak`: nothing
    is compressed. Clips of less than 0.4 s are measured as one block; those without a block above -70 LUFS are removed.

    Attributes:
      target: LUFS.
      max_peak: dB true peak.
    """

    target: float = -23.0
    max_peak: float = -1.0

    def __post_init__(self) -> None:
        if not -70 < self.target <= 0:
            raise ValueError(f"target: expected -70 to 0 LUFS, got {self.target}")
        if not -70 < self.max_peak <= 0:
            raise ValueError(f"max_peak: expected -70 to 0 dB, got {self.max_peak}")

    def on(self, held: Clip) -> Finding | None:
        measured = integrated(held.samples_TC, held.sample_rate)
        if measured == -np.inf:
            return Finding("loudness.silent", "nothing above the gate", -70.0)
        gain = self.target - measured
        room = self.max_peak - decibels(true_peak(held.samples_TC, held.sample_rate))
        if abs(min(gain, room)) <= _TOLERANCE_LU:
            return None
        held.become(held.samples_TC * np.float32(10 ** (min(gain, room) / 20)), held.sample_rate)
        return Finding("loudness.peak" if room < gain else "loudness.gain", measured, self.target, CHANGED)


@dataclass(frozen=True)
class Encode(OnClip):
    """Writes clips in one format, "wav" or "flac", of whole numbers of 16 or 24 bits, without anything else.

    Equal samples become equal bytes, of FLAC as long as the version of libsndfile is the same.
    """

    format: str = "flac"
    bits: int = 16

    def __post_init__(self) -> None:
        if self.format not in clip.FORMATS:
            raise ValueError(f"format: expected {' or '.join(map(repr, clip.FORMATS))}, got {self.format!r}")
        if self.bits not in clip.BITS:
            raise ValueError(f"bits: expected {' or '.join(map(str, clip.BITS))}, got {self.bits}")

    def on(self, held: Clip) -> Finding | None:
        was_changed = held.is_changed
        differs = held.encode(self.format, self.bits)
        return Finding("encode.format", str(held), self.format, CHANGED) if differs and not was_changed else None


def _check_rate(rate: int) -> None:
    if not clip.MIN_RATE <= rate <= clip.MAX_RATE:
        expected = f"{clip.MIN_RATE:,} to {clip.MAX_RATE:,} samples a second"
        raise ValueError(f"rate: expected {expected}, got {rate}")


AUDIO: Mapping[str, Callable[..., OnClip]] = {
    "decodable": Decodable,
    "duration": Duration,
    "min_rate": MinRate,
    "not_silent": NotSilent,
    "not_clipped": NotClipped,
    "mono": Mono,
    "resample": Resample,
    "trim_silence": TrimSilence,
    "loudness": Loudness,
    "encode": Encode,
}
