"""Each defect of a clip, made by code, meets its rule; loudness is held to published test signals."""

import io

import numpy as np
import pytest
import scipy.io.wavfile
import scipy.signal
import soundfile

from input_pipeline import audio
from input_pipeline.clean.record import REMOVED, Record
from input_pipeline.clean.steps import line
from input_pipeline.clean.steps.clip import SILENCE_DB, decibels, quantized
from input_pipeline.clean.steps.loudness import integrated, k_weighting, true_peak

pytestmark = pytest.mark.fast
RATE = 16_000


def sine(seconds, *, rate=RATE, hz=1000.0, dbfs=0.0, channels=1):
    wave = 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def wav(samples, rate=RATE):
    file = io.BytesIO()
    scipy.io.wavfile.write(file, rate, np.asarray(samples))
    return file.getvalue()


def run(operations, payload):
    """(rules with values, payload or None)."""
    (step,) = line(operations, modality="audio")
    records, entries = step([Record("x", payload=payload)])
    assert [e.action for e in entries].count(REMOVED) == 1 - len(records)
    return [(e.rule, e.value) for e in entries], records[0].payload if records else None


def removed_by(operations, payload):
    found, left = run(operations, payload)
    assert left is None
    return found[-1]


SPEECH = np.random.default_rng(0).laplace(size=(RATE, 1)).astype(np.float32) / 30
WAV = wav(SPEECH)


def flac(**how):
    file = io.BytesIO()
    soundfile.write(file, SPEECH, RATE, format="FLAC", **how)
    return file.getvalue()


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (b"", "empty"),
        (wav(np.zeros(0, np.int16)), "empty"),
        (b"\x89PNG\r\n\x1a\n", "format"),
        (WAV[:30], "truncated"),
        (WAV[:-7], "truncated"),
        (flac()[:5000], "corrupt"),
        (wav(np.array([0, np.inf], np.float32)), "corrupt"),
        (wav(SPEECH[:100], rate=2_000), "rate"),
        (wav(SPEECH[:100], rate=1_000_000_000), "rate"),
        (wav(np.zeros((9, 2), np.float32)), "samples"),
    ],
)
def test_what_cannot_be_decoded(payload, rule):
    assert removed_by(f"decodable({17 if rule == 'samples' else 1 << 20})", payload)[0] == f"decodable.{rule}"


def test_a_flac_that_claims_hours_is_not_decoded():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(RATE * 600, np.int16), RATE, format="FLAC")
    assert len(file.getvalue()) < 100_000
    assert removed_by(f"decodable({RATE * 599})", file.getvalue()) == ("decodable.samples", "too long")


def test_length():
    assert removed_by("duration(0.4)", wav(sine(0.39))) == ("duration.min_s", 0.39)
    assert removed_by("duration(0.4, 2.0)", wav(sine(2.1))) == ("duration.max_s", 2.1)
    assert run("duration(0.4, 2.0)", wav(sine(0.4)))[0] == run("duration(0.4, 2.0)", wav(sine(2)))[0] == []


def test_silence():
    assert removed_by("not_silent", wav(np.zeros(RATE, np.int16))) == ("not_silent.peak", SILENCE_DB)
    assert removed_by("not_silent", wav(sine(1, dbfs=-61)))[1] == pytest.approx(-61, abs=1e-3)
    click = np.zeros((RATE, 1), np.float32)
    click[0] = 0.01  # -40 dBFS, and -82 of all
    assert removed_by("not_silent", wav(click)) == (
        "not_silent.rms",
        pytest.approx(-40 - 10 * np.log10(RATE), abs=1e-3),
    )
    assert run("not_silent", wav(sine(1, dbfs=-59)))[0] == []
    assert decibels(1.0) == 0


def test_clipping():
    loud = np.clip(SPEECH * 12, -1, 1)
    share = float(np.mean(np.abs(loud) >= 0.999))
    assert 0.01 < share < 0.2
    assert removed_by("not_clipped", wav(loud)) == ("not_clipped.share", pytest.approx(share, abs=1e-6))
    assert run("not_clipped(0.5)", wav(loud))[0] == []
    assert run("not_clipped", wav(loud * 0.9))[0] == []
    eight_bits = wav(np.uint8(np.clip(np.rint(loud * 128) + 128, 0, 255)))
    assert removed_by("not_clipped(0.001, 0.99)", eight_bits)[1] == pytest.approx(share, abs=0.01)


def test_mono_is_the_mean():
    two = np.hstack([SPEECH, -SPEECH / 2])
    rules, left = run("mono", wav(two))
    assert rules == [("mono.channels", 2)]
    np.testing.assert_array_equal(audio.read(left).samples_TC, SPEECH / 4)
    assert run("mono", WAV) == ([], WAV)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 15_999])
def test_resample_is_that_of_scipy(rate):
    rules, left = run("resample(16_000)", wav(SPEECH[:4000], rate=rate))
    assert rules == [("resample.rate", rate)]
    found = audio.read(left)
    divisor = np.gcd(RATE, rate)
    expected = scipy.signal.resample_poly(SPEECH[:4000].astype(float), RATE // divisor, rate // divisor)
    assert found.sample_rate == RATE
    np.testing.assert_allclose(found.samples_TC, expected, atol=1e-5)
    assert run(f"min_rate({rate + 1})", wav(SPEECH, rate=rate))[0] == [("min_rate.rate", rate)]
    assert run(f"min_rate({rate})", wav(SPEECH, rate=rate))[0] == []


def test_silence_at_the_ends_is_cut():
    silence = np.zeros((RATE // 2, 1), np.float32)
    padded = np.concatenate([silence + 1e-6, SPEECH, silence, SPEECH, silence, silence])
    rules, left = run("trim_silence(60.0, 0.1)", wav(padded))
    assert rules == [("trim_silence.seconds", pytest.approx(1.3))]
    expected = padded[round(0.4 * RATE) : len(padded) - round(0.9 * RATE)]
    np.testing.assert_array_equal(audio.read(left).samples_TC, expected)
    assert run("trim_silence", WAV) == ([], WAV)
    even = wav(np.zeros(1000, np.int16))
    assert run("trim_silence", even) == ([], even)


# EBU Tech 3341, table 1: stereo sines of 1 kHz, (dBFS, seconds) one after the other, and what a meter has to show.
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
    ],
)
def test_loudness_of_the_signals_of_ebu_tech_3341(parts, expected):
    wave = np.concatenate([sine(seconds, rate=48_000, dbfs=dbfs, channels=2) for dbfs, seconds in parts])
    assert integrated(wave, 48_000) == pytest.approx(expected, abs=0.1)


def test_loudness_of_ebu_tech_3341_in_five_channels():
    """Signal 6: -28 dBFS left and right, -24 centre, -30 in both surrounds, 20 s: -23 LUFS."""
    wave = np.hstack([sine(20, rate=48_000, dbfs=dbfs) for dbfs in (-28, -28, -24, -30, -30)])
    assert integrated(wave, 48_000) == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_loudness_of_one_channel(rate):
    """ITU-R BS.1770-4, annex 1: 997 Hz of full scale in one channel is -3.01."""
    assert integrated(sine(5, rate=rate, hz=997), rate) == pytest.approx(-3.01, abs=0.1)


def test_filters_are_those_of_the_standard():
    """ITU-R BS.1770-4, tables 1 and 2."""
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585]
    high_pass = [1, -2, 1, 1, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(k_weighting(48_000), [shelf, high_pass], rtol=1e-12)


def test_a_clip_shorter_than_a_block_is_one_block():
    """Without the filter's first moments it is as loud as a long one."""
    assert integrated(sine(0.3), RATE) == pytest.approx(integrated(sine(3), RATE), abs=0.1)
    assert integrated(np.zeros((100, 1), np.float32), RATE) == -np.inf


def test_true_peak_lies_between_samples():
    """EBU Tech 3341, signal 16: a sine of a quarter of the rate at 45 degrees, whose samples are 3 dB lower."""
    wave = (0.5 * np.sin(np.pi / 2 * np.arange(48_000) + np.pi / 4)).astype(np.float32)[:, None]
    assert np.abs(wave).max() == pytest.approx(0.5 / np.sqrt(2), abs=1e-6)
    assert decibels(true_peak(wave[1000:-1000], 48_000)) == pytest.approx(-6.0, abs=0.4)


def test_loudness_is_brought_to_the_target():
    rules, left = run("loudness", WAV)
    assert rules == [("loudness.gain", pytest.approx(integrated(SPEECH, RATE), abs=1e-6))]
    found = audio.read(left).samples_TC
    assert integrated(found, RATE) == pytest.approx(-23, abs=1e-3)
    np.testing.assert_allclose(found / found[7], SPEECH / SPEECH[7], rtol=1e-4)  # one gain
    assert run("loudness", left) == ([], left)


def test_loudness_stops_below_full_scale():
    peaky = SPEECH / 30
    peaky[500] = 0.5
    rules, left = run("loudness(-16.0, -1.0)", wav(peaky))
    assert [rule for rule, _ in rules] == ["loudness.peak"]
    found = audio.read(left).samples_TC
    assert decibels(true_peak(found, RATE)) == pytest.approx(-1, abs=1e-3)
    assert integrated(found, RATE) < -16
    assert run("loudness(-16.0, -1.0)", left) == ([], left)
    assert removed_by("loudness", wav(sine(1, dbfs=-80)))[0] == "loudness.silent"


@pytest.mark.parametrize("format", ["wav", "flac"])
@pytest.mark.parametrize("bits", [16, 24])
def test_encoding(format, bits):
    rules, left = run(f"encode('{format}', {bits})", WAV)
    assert rules == [("encode.format", "1.00 s, 16000 Hz, 1 channel")]
    found, rate = soundfile.read(io.BytesIO(left), dtype="int32", always_2d=True)
    assert rate == RATE
    whole = np.rint(SPEECH.astype(float) * 2 ** (bits - 1)).astype(np.int64)
    np.testing.assert_array_equal(found >> (32 - bits), whole)
    assert soundfile.info(io.BytesIO(left)).subtype == f"PCM_{bits}"
    assert run(f"encode('{format}', {bits})", left) == ([], left)
    assert run(f"encode('{format}', {bits})", WAV)[1] == left
    assert run(f"encode('{format}', {bits})", flac(subtype=f"PCM_{bits}"))[1] == left or bits == 24


def test_what_lies_beyond_full_scale_is_cut_off():
    assert quantized(np.array([[1.5, -1.5, 1.0, -1.0, 0.5]], np.float32), 16).tolist() == [
        [32767, -32768, 32767, -32768, 16384]
    ]
