"""Sound files to samples. WAV needs nothing more; FLAC, Ogg, MP3 and others are read by libsndfile (extra `audio`)."""

import io
from importlib import metadata
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32

from input_pipeline.documents import BadRecord

MAX_SAMPLES = 1 << 28  # of all channels together, 1 GB; a compressed record can claim far more than it is long
# What libsndfile reads, by how files begin.
_FOREIGN: dict[str, tuple[bytes, ...]] = {
    "FLAC": (b"fLaC",),
    "Ogg": (b"OggS",),
    "MP3": (b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2"),
    "AIFF": (b"FORM",),
}
_READER = " ".join(found.version for found in metadata.distributions(name="soundfile"))  # "" where there is none
RECIPE = f"sound 1, soundfile {_READER}"  # changes whenever another file would be bad
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_STREAMED = 0xFFFFFFFF  # the length of a file whose writer could not go back to write it


class Sound(NamedTuple):
    """What a file holds."""

    samples_TC: Float32[np.ndarray, "T C"]
    sample_rate: int  # a second


class _Format(NamedTuple):
    """A WAV's `fmt ` chunk."""

    code: int
    num_channels: int
    sample_rate: int
    block_bytes: int  # of one sample of all channels

    @property
    def width(self) -> int:
        """Bytes of one sample of one channel; fewer bits stand at its top."""
        return self.block_bytes // self.num_channels


def decode(raw: bytes, *, sample_rate: int) -> Float32[np.ndarray, "T"]:
    """The samples of a sound file: the mean of its channels, where full scale is 1.

    Args:
      sample_rate: samples a second, as the file must have them.

    Raises:
      BadRecord: empty, truncated, corrupt, of another rate, without a sample, too long, or not finite.
      ValueError: a format that needs the extra `audio`.
    """
    samples_TC, found = read(raw)
    if found != sample_rate:
        raise BadRecord(f"wrong sample rate: expected {sample_rate}, got {found}")
    if not len(samples_TC):
        raise BadRecord("no samples")
    if not np.isfinite(samples_TC).all():
        raise BadRecord("not finite")
    return samples_TC.mean(1, dtype=np.float32)


def read(raw: bytes, *, max_samples: int = MAX_SAMPLES) -> Sound:
    """All channels of a sound file, and its rate.

    Args:
      max_samples: of all channels together; a file that holds more is not decoded.

    Raises:
      BadRecord: empty, truncated, corrupt or too long.
      ValueError: a format that needs the extra `audio`.
    """
    if not raw:
        raise BadRecord("empty", "empty")
    if raw[:4] == b"RIFF":
        return _wav(raw, max_samples)
    for name, beginnings in _FOREIGN.items():
        if raw.startswith(beginnings):
            if name == "AIFF" and _is_cut(raw, "big"):  # of which libsndfile reads what is there
                raise BadRecord("truncated", "truncated")
            return _foreign(raw, name, max_samples)
    raise BadRecord("corrupt: no known sound format", "format")


def _wav(raw: bytes, max_samples: int) -> Sound:
    """IBM and Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", 1991, chapter 3."""
    if len(raw) < 12:
        raise BadRecord("truncated", "truncated")
    if raw[8:12] != b"WAVE":
        raise BadRecord("corrupt: RIFF, but not WAVE")
    chunks = _chunks(raw)
    if "fmt " not in chunks or "data" not in chunks:
        missing = "fmt" if "fmt " not in chunks else "data"
        is_cut = _is_cut(raw, "little")
        raise BadRecord("truncated", "truncated") if is_cut else BadRecord(f"corrupt: no {missing} chunk")
    format = _format(chunks["fmt "])
    if format.code not in (_PCM, _FLOAT):
        return _foreign(raw, f"WAV of code {format.code}", max_samples)
    data = chunks["data"]
    if len(data) % format.block_bytes:
        raise BadRecord("truncated", "truncated")
    if len(data) > max_samples * format.width:
        raise BadRecord("too long", "samples")
    return Sound(_numbers(data, format).reshape(-1, format.num_channels), format.sample_rate)


def _is_cut(raw: bytes, order: Literal["little", "big"]) -> bool:
    """Whether a RIFF or FORM is shorter than it says itself."""
    return 8 + int.from_bytes(raw[4:8], order) > len(raw)


def _chunks(raw: bytes) -> dict[str, memoryview]:
    """The first chunk of each name.

    Raises:
      BadRecord: one ends behind the file.
    """
    found: dict[str, memoryview] = {}
    start, view = 12, memoryview(raw)
    while start + 8 <= len(raw):
        name, size = raw[start : start + 4].decode("latin-1"), int.from_bytes(raw[start + 4 : start + 8], "little")
        if start + 8 + size > len(raw) and not (name == "data" and size == _STREAMED):
            raise BadRecord("truncated", "truncated")
        found.setdefault(name, view[start + 8 : start + 8 + size])
        start += 8 + size + size % 2
    return found


def _format(chunk: memoryview) -> _Format:
    if len(chunk) < 16:
        raise BadRecord("corrupt: fmt chunk")
    code, channels, rate, block_bytes = (
        int.from_bytes(chunk[begin:end], "little") for begin, end in ((0, 2), (2, 4), (4, 8), (12, 14))
    )
    if code == _EXTENSIBLE and len(chunk) >= 26:
        code = int.from_bytes(chunk[24:26], "little")
    widths = {_PCM: (1, 2, 3, 4), _FLOAT: (4, 8)}.get(code)
    if not (channels and rate and block_bytes) or (
        widths and block_bytes not in [channels * width for width in widths]
    ):
        raise BadRecord(f"corrupt: {channels} channels, {rate} Hz, {block_bytes} bytes a sample")
    return _Format(code, channels, rate, block_bytes)


def _numbers(data: memoryview, format: _Format) -> Float32[np.ndarray, "N"]:
    """Samples of all channels in turn, full scale 1. Those of one byte have no sign: 128 is silence."""
    if format.code == _FLOAT:
        with np.errstate(over="ignore"):  # a number too great becomes infinite, and is told of as such
            return np.frombuffer(data, f"<f{format.width}").astype(np.float32)
    if format.width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if format.width == 3:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)
    return np.frombuffer(data, f"<i{format.width}").astype(np.float32) * np.float32(2.0 ** (1 - 8 * format.width))


def _foreign(raw: bytes, name: str, max_samples: int) -> Sound:
    try:
        import soundfile
    except ModuleNotFoundError:
        raise ValueError(
            f"data.source: expected WAV files of PCM or floats, got {name}, which needs the extra 'audio'; "
            "write python -m pip install 'soundfile>=0.13'"
        ) from None
    try:
        with soundfile.SoundFile(io.BytesIO(raw)) as file:
            num_samples = file.frames
            if num_samples * file.channels > max_samples:
                raise BadRecord("too long", "samples")
            samples_TC = file.read(dtype="float32", always_2d=True)
            sample_rate = file.samplerate
    except soundfile.LibsndfileError as error:
        raise BadRecord(f"corrupt: {error.error_string}") from None
    if len(samples_TC) < num_samples:
        raise BadRecord("truncated", "truncated")
    return Sound(samples_TC, sample_rate)
