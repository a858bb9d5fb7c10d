"""A clip while a line of operations is at work on it: its samples, when they are first asked for."""

import io
import wave
from typing import Any

import numpy as np
from jaxtyping import Float32

from input_pipeline import audio
from input_pipeline.clean.steps.media import Held
from input_pipeline.documents import BadRecord

# 8 kHz is the telephone's rate, and half of it still holds a vowel; converters end at 768 kHz. A header that says
# otherwise is broken, and filters for its rate would fill the memory.
MIN_RATE, MAX_RATE = 4_000, 768_000
FORMATS = ("wav", "flac")
BITS = (16, 24)
SILENCE_DB = -200.0  # stands for minus infinity
_FLAC = {16: "PCM_16", 24: "PCM_24"}

Samples = Float32[np.ndarray, "T C"]


class Clip(Held):
    """One payload. Its samples are decoded once, full scale 1.

    Attributes:
      max_samples: of all channels together, the most that is decoded.
      is_changed: whether what is held is no longer what the payload holds.
    """

    def __init__(self, payload: bytes) -> None:
        self.max_samples = audio.MAX_SAMPLES
        self._description = ""
        self._take(payload)

    def _take(self, payload: bytes) -> None:
        self._payload, self.is_changed = payload, False
        self._sound: audio.Sound | None = None

    def __str__(self) -> str:
        return self._description

    @property
    def sound(self) -> audio.Sound:
        """All channels, at least one sample long, finite, of a rate from MIN_RATE to MAX_RATE."""
        if self._sound is None:
            self._sound = _checked(audio.read(self._payload, max_samples=self.max_samples))
            self._description = self._description or _described(self._sound)
        return self._sound

    @property
    def samples_TC(self) -> Samples:
        """Not to be written to."""
        return self.sound.samples_TC

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return self.sound.sample_rate

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples_TC) / self.sample_rate

    def become(self, samples_TC: np.ndarray, sample_rate: int) -> None:
        """Takes the place of what was decoded."""
        self._sound = audio.Sound(np.ascontiguousarray(samples_TC, np.float32), sample_rate)
        self.is_changed = True

    def payload(self) -> bytes:
        if self.is_changed:
            self._take(_wav_of_floats(self.sound))
        return self._payload

    def encode(self, format: str, bits: int) -> bool:
        """Writes it anew; whether the bytes have become others. What follows hears what their reader will."""
        before, whole_TC = self._payload, quantized(self.samples_TC, bits)
        write = _wav if format == "wav" else _flac
        self._take(write(whole_TC, self.sample_rate, bits))
        return self._payload != before


def decibels(amplitude: float) -> float:
    """Relative to 1; SILENCE_DB for 0."""
    return max(SILENCE_DB, 20 * float(np.log10(amplitude))) if amplitude > 0 else SILENCE_DB


def quantized(samples_TC: Samples, bits: int) -> np.ndarray:
    """Whole numbers of so many bits, int32 [T, C], the nearest; what lies beyond full scale is cut off."""
    scale = 2.0 ** (bits - 1)
    return np.clip(np.rint(samples_TC.astype(np.float64) * scale), -scale, scale - 1).astype(np.int32)


def _checked(sound: audio.Sound) -> audio.Sound:
    if not MIN_RATE <= sound.sample_rate <= MAX_RATE:
        raise BadRecord(f"{sound.sample_rate} samples a second, expected {MIN_RATE:,} to {MAX_RATE:,}", "rate")
    if not len(sound.samples_TC):
        raise BadRecord("no samples", "empty")
    if not np.isfinite(sound.samples_TC).all():
        raise BadRecord("not finite", "corrupt")
    return sound


def _described(sound: audio.Sound) -> str:
    num_samples, num_channels = sound.samples_TC.shape
    channels = "1 channel" if num_channels == 1 else f"{num_channels} channels"
    return f"{num_samples / sound.sample_rate:.2f} s, {sound.sample_rate} Hz, {channels}"


def _wav(whole_TC: np.ndarray, sample_rate: int, bits: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(whole_TC.shape[1])
        out.setsampwidth(bits // 8)
        out.setframerate(sample_rate)
        narrow = np.ascontiguousarray(whole_TC, "<i4").view(np.uint8).reshape(-1, 4)[:, : bits // 8]
        out.writeframes(narrow.tobytes())
    return file.getvalue()


def _flac(whole_TC: np.ndarray, sample_rate: int, bits: int) -> bytes:
    file = io.BytesIO()
    _soundfile().write(file, whole_TC << (32 - bits), sample_rate, format="FLAC", subtype=_FLAC[bits])
    return file.getvalue()


def _wav_of_floats(sound: audio.Sound) -> bytes:
    import scipy.io.wavfile

    file = io.BytesIO()
    scipy.io.wavfile.write(file, sound.sample_rate, sound.samples_TC)
    return file.getvalue()


def _soundfile() -> Any:
    try:
        import soundfile
    except ModuleNotFoundError:
        message = (
            "steps: expected soundfile, which writes FLAC, got none; write pip install soundfile, or make setup-clean"
        )
        raise ValueError(message) from None
    return soundfile
