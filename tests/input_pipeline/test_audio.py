"""Sound files of every coding become the same samples, and what is wrong with one is said in a few words."""

import io
import sys
import wave

import numpy as np
import pytest
import scipy.io.wavfile

from input_pipeline import audio
from input_pipeline.documents import BadRecord

pytestmark = pytest.mark.fast

RATE = 8000
WAVE = (0.7 * np.sin(np.arange(800) / 9)).astype(np.float32)
CODINGS = {
    "pcm8": (lambda x: np.rint(x * 128 + 128).astype(np.uint8), 1 / 128),
    "pcm16": (lambda x: np.rint(x * 2**15).astype(np.int16), 2**-15),
    "pcm32": (lambda x: np.rint(x.astype(np.float64) * 2**31).astype(np.int32), 2**-24),
    "float32": (lambda x: x, 0),
    "float64": (lambda x: x.astype(np.float64), 0),
}


def written(samples, rate=RATE):
    """By SciPy."""
    file = io.BytesIO()
    scipy.io.wavfile.write(file, rate, samples)
    return file.getvalue()


def pcm24(samples):
    """By Python's own module."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(3)
        out.setframerate(RATE)
        whole = np.rint(samples.astype(np.float64) * 2**23).astype("<i4")
        out.writeframes(whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    return file.getvalue()


def riff(*chunks):
    """A WAV of these chunks, each a name and its bytes."""
    body = b"".join(
        name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2) for name, content in chunks
    )
    return b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WAVE" + body


def fmt(code=1, channels=1, rate=RATE, bits=16, block=None, extra=b""):
    block = block if block is not None else channels * bits // 8
    numbers = ((code, 2), (channels, 2), (rate, 4), (rate * block, 4), (block, 2), (bits, 2))
    return b"fmt ", b"".join(number.to_bytes(size, "little") for number, size in numbers) + extra


@pytest.mark.parametrize("coding", [*CODINGS, "pcm24"])
def test_every_coding_gives_the_same_samples(coding):
    encode, error = CODINGS.get(coding, (None, 2**-23))
    raw = pcm24(WAVE) if coding == "pcm24" else written(encode(WAVE))
    found = audio.decode(raw, sample_rate=RATE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, WAVE, atol=error)


@pytest.mark.parametrize(("dtype", "least", "greatest"), [("uint8", 0, 255), ("int16", -(2**15), 2**15 - 1)])
def test_integers_fill_the_scale_and_do_not_pass_it(dtype, least, greatest):
    found = audio.decode(written(np.array([least, greatest], dtype)), sample_rate=RATE)
    assert found[0] == -1
    assert 0.99 < found[1] < 1


def test_channels_become_their_mean():
    both = np.stack([WAVE, np.zeros_like(WAVE)], axis=1)
    np.testing.assert_allclose(audio.decode(written(both), sample_rate=RATE), WAVE / 2, atol=1e-7)
    sound = audio.read(written(both, rate=44100))
    assert sound.samples_TC.shape == (800, 2)
    assert sound.sample_rate == 44100


def test_chunks_of_others_are_passed_over():
    data = (WAVE * 2**15).astype("<i2").tobytes()
    extensible = fmt(0xFFFE, extra=b"\x16\0" + b"\x10\0" + b"\0\0\0\0" + b"\x01\0" + b"\0" * 14)
    for chunks in ([(b"LIST", b"odd"), fmt(), (b"data", data)], [extensible, (b"data", data), (b"id3 ", b"x" * 7)]):
        np.testing.assert_allclose(audio.decode(riff(*chunks), sample_rate=RATE), WAVE, atol=2**-15)


def test_a_stream_has_no_length():
    raw = riff(fmt(), (b"data", (WAVE * 2**15).astype("<i2").tobytes()))
    at = raw.index(b"data") + 4
    streamed = raw[:4] + b"\xff" * 4 + raw[8:at] + b"\xff" * 4 + raw[at + 4 :]
    np.testing.assert_array_equal(
        audio.decode(streamed, sample_rate=RATE), audio.decode(raw, sample_rate=RATE), strict=True
    )


GOOD = riff(fmt(), (b"data", bytes(1600)))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (GOOD[:6], "truncated"),
        (GOOD[:30], "truncated"),
        (GOOD[:40], "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD[:-800], "truncated"),
        (riff(fmt(), (b"data", bytes(1601))), "truncated"),
        (b"RIFF" + GOOD[4:8] + b"AVI " + GOOD[12:], "corrupt: RIFF, but not WAVE"),
        (riff((b"data", bytes(8))), "corrupt: no fmt chunk"),
        (riff(fmt()), "corrupt: no data chunk"),
        (riff((b"fmt ", bytes(8)), (b"data", bytes(8))), "corrupt: fmt chunk"),
        (riff(fmt(channels=0, block=2), (b"data", bytes(8))), "corrupt: 0 channels, 8000 Hz, 2 bytes a sample"),
        (riff(fmt(block=0), (b"data", bytes(8))), "corrupt: 1 channels, 8000 Hz, 0 bytes a sample"),
        (riff(fmt(bits=64), (b"data", bytes(8))), "corrupt: 1 channels, 8000 Hz, 8 bytes a sample"),
        (riff(fmt(code=3, bits=16), (b"data", bytes(8))), "corrupt: 1 channels, 8000 Hz, 2 bytes a sample"),
        (written(WAVE, rate=44100), "wrong sample rate: expected 8000, got 44100"),
        (riff(fmt(), (b"data", b"")), "no samples"),
        (written(np.array([0, np.nan, 1], np.float32)), "not finite"),
        (written(np.array([0, np.inf, 1], np.float32)), "not finite"),
        (written(np.array([0, 1e300])), "not finite"),
        (b"a text of some length", "corrupt: no known sound format"),
        (bytes(100), "corrupt: no known sound format"),
    ],
)
def test_what_is_wrong_is_said_in_a_few_words(raw, reason):
    with pytest.raises(BadRecord) as error:
        audio.decode(raw, sample_rate=RATE)
    assert str(error.value) == reason


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"fLaC" + bytes(50), "FLAC"),
        (b"ID3" + bytes(50), "MP3"),
        (riff(fmt(code=6, bits=8), (b"data", b"x")), "WAV of code 6"),
    ],
)
def test_without_the_extra_other_formats_name_it(monkeypatch, raw, name):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ValueError, match=rf"^data\.source: .*got {name}, which needs the extra 'audio'") as error:
        audio.decode(raw, sample_rate=RATE)
    assert not isinstance(error.value, BadRecord)


@pytest.mark.parametrize(("format", "error"), [("FLAC", 2**-15), ("OGG", 0.02), ("MP3", 0.05), ("AIFF", 2**-15)])
def test_libsndfile_reads_other_formats(format, error):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    x = np.tile(WAVE, 10)
    soundfile.write(file, x, RATE, format=format)
    raw = file.getvalue()
    found = audio.decode(raw, sample_rate=RATE)
    overlap = min(len(x), len(found))
    assert overlap > 0.9 * len(x)
    assert np.abs(found[:overlap] - x[:overlap]).mean() <= error
    for damaged in (raw[: len(raw) // 2], raw[:20]):
        with pytest.raises(BadRecord, match=r"truncated|corrupt|no samples"):
            audio.decode(damaged, sample_rate=RATE)


@pytest.mark.parametrize("format", ["FLAC", "WAV"])
def test_a_record_is_not_longer_than_it_may_be(format):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, np.zeros(5000), RATE, format=format)
    assert len(audio.read(file.getvalue(), max_samples=5000).samples_TC) == 5000
    with pytest.raises(BadRecord, match=r"^too long$"):
        audio.read(file.getvalue(), max_samples=4999)
