"""Near-duplicate clips: the moments against a plain reading of the source, and what a copy may have gone through."""

import io
import itertools

import numpy as np
import pytest
import scipy.io.wavfile
import scipy.signal
import soundfile

from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import NEAR
from input_pipeline.clean.similar.sound import HOP_S, RATE, AudioFingerprint, agreement, fingerprint
from input_pipeline.transforms.parse import read

pytestmark = pytest.mark.fast
CLIP_RATE = 16_000


def clip(seed, seconds=2.5):
    """Something like speech: noise through moving resonances, in syllables."""
    random = np.random.default_rng(seed)
    parts = []
    while sum(map(len, parts)) < seconds * CLIP_RATE:
        size = int(random.integers(1500, 4000))
        x = random.normal(size=size)
        for hz in random.uniform(250, 3000, 3):
            b, a = scipy.signal.iirpeak(hz, random.uniform(3, 9), fs=CLIP_RATE)
            x = x + 8 * scipy.signal.lfilter(b, a, x)
        parts.append(x * np.hanning(size) * random.uniform(0.4, 1))
    x = np.concatenate(parts)[: round(seconds * CLIP_RATE)]
    return (0.5 * x / np.abs(x).max()).astype(np.float32)


def saved(x, rate=CLIP_RATE, format="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, x, rate, format=format, subtype=subtype)
    return file.getvalue()


def resampled(x, rate):
    divisor = np.gcd(rate, CLIP_RATE)
    return scipy.signal.resample_poly(x, rate // divisor, CLIP_RATE // divisor)


def sketched(near, *payloads):
    return near.sketch([Record(str(n), payload=payload) for n, payload in enumerate(payloads)])


def test_moments_are_those_of_the_source():
    """Haitsma and Kalker 2002, section 4.2, sample by sample; a difference that is nearly 0 may fall to either side."""
    x = resampled(clip(0, seconds=1.2), RATE).astype(np.float32)
    frame, padded = round(0.37 * RATE), np.pad(x, round(0.37 * RATE)).astype(float)
    hz = np.arange(1025) * RATE / 2048
    edges = 300 * (2000 / 300) ** (np.arange(34) / 33)
    energy = []
    start = 0.0
    while round(start) + frame <= len(padded):
        power = np.abs(np.fft.rfft(padded[round(start) :][:frame] * np.hanning(frame), 2048)) ** 2
        nearest = [np.abs(hz - edge).argmin() for edge in edges]
        energy.append([power[a:b].sum() for a, b in itertools.pairwise(nearest)])
        start += HOP_S * RATE
    energy = np.array(energy)
    heard = np.flatnonzero(energy.sum(1) > energy.sum(1).max() * 10**-2.5)
    energy = energy[heard[0] : heard[-1] + 1]
    found = fingerprint(x, RATE)
    assert len(found) == len(energy) - 1
    num_equal = num_sure = 0
    for n in range(1, len(energy)):
        for m in range(32):
            shift = energy[n, m] - energy[n, m + 1] - (energy[n - 1, m] - energy[n - 1, m + 1])
            if abs(shift) > 1e-4 * energy[n].max():
                num_sure += 1
                num_equal += (shift > 0) == bool(found[n - 1] >> m & 1)
    assert num_sure > 16 * len(found)
    assert num_equal == num_sure


COPIES = {
    "gain": lambda x: saved(x / 4),
    "8 kHz": lambda x: saved(resampled(x, 8_000), 8_000),
    "44.1 kHz": lambda x: saved(resampled(x, 44_100), 44_100),
    "5 ms later": lambda x: saved(x[80:]),
    "silence about it": lambda x: saved(np.pad(x, (5_000, 9_000))),
    "two channels": lambda x: saved(np.stack([x, x / 2], axis=1)),
    "mu-law": lambda x: saved(resampled(x, 8_000), 8_000, subtype="ULAW"),
    "vorbis": lambda x: saved(x, format="OGG", subtype="VORBIS"),
    "noise of -25 dB": lambda x: saved(x + np.random.default_rng(9).normal(size=len(x)) * x.std() * 10 ** (-25 / 20)),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_near(copy):
    near = AudioFingerprint()
    for seed in range(3):
        found = sketched(near, saved(clip(seed)), COPIES[copy](clip(seed)), saved(clip(seed + 50)))
        same, other = near.similarities(found.evidence, np.array([[0, 1], [0, 2]]))
        assert same >= near.threshold
        assert other < 0.7
        assert (found.bands_NK[0] == found.bands_NK[1]).any()


def test_agreement_at_the_best_shift():
    random = np.random.default_rng(0)
    moments = random.integers(0, 2**32, 100, dtype=np.uint32)
    assert agreement(moments, moments, max_shift=0) == 1
    assert agreement(moments, moments[7:], max_shift=10) == agreement(moments[7:], moments, max_shift=10) == 0.93
    assert agreement(moments, moments[7:], max_shift=6) < 0.6
    assert agreement(moments, ~moments, max_shift=0) == 0
    assert agreement(moments, moments ^ np.uint32(1), max_shift=3) == pytest.approx(31 / 32)
    for one, other in [(moments[:9], moments[5:60]), (moments[5:60], moments[:9])]:
        slowly = max(
            sum(
                32 - (int(one[i]) ^ int(other[i + shift])).bit_count()
                for i in range(len(one))
                if 0 <= i + shift < len(other)
            )
            for shift in range(-12, 13)
        )
        assert agreement(one, other, max_shift=12) == pytest.approx(slowly / (32 * 55))


def test_a_part_is_no_duplicate():
    near = AudioFingerprint()
    whole = clip(0, seconds=4)
    found = sketched(near, saved(whole), saved(whole[: len(whole) // 2]))
    assert near.similarities(found.evidence, np.array([[0, 1], [1, 0]])).tolist() == [0, 0]


def test_what_takes_part_in_exact_deduplication_alone():
    near = AudioFingerprint()
    silent, short = saved(np.zeros(40_000)), saved(clip(0, seconds=0.1))
    empty, infinite = saved(np.zeros(0)), io.BytesIO()
    scipy.io.wavfile.write(infinite, 8000, np.full(9000, np.inf, np.float32))
    payloads = [silent, short, empty, b"", b"no sound", infinite.getvalue(), saved(clip(1))]
    found = sketched(near, *payloads, silent)
    assert np.diff(found.evidence.offsets)[:6].tolist() == [0] * 6
    assert np.diff(found.evidence.offsets)[6] > 24
    assert len(np.unique(found.exact_N2, axis=0)) == 7
    pairs = np.array([[0, 7], [0, 6], [6, 6]])
    assert near.similarities(found.evidence, pairs).tolist() == [0, 0, 1]


def test_a_sketch_depends_on_its_record_alone():
    near, payloads = AudioFingerprint(), [saved(clip(seed, seconds=1.5 + seed / 7)) for seed in range(4)]
    whole = sketched(near, *payloads)
    alone = [sketched(near, payload) for payload in payloads]
    np.testing.assert_array_equal(whole.bands_NK, np.concatenate([each.bands_NK for each in alone]))
    np.testing.assert_array_equal(whole.evidence.flat, np.concatenate([each.evidence.flat for each in alone]))
    assert sketched(near).bands_NK.shape == (0, 64)


@pytest.mark.parametrize(
    ("wrong", "threshold", "says"),
    [
        ("audio_fingerprint", 0.5, "threshold: expected 0.6 to 1, since chance alone gives 0.5, got 0.5; write 0.8"),
        ("audio_fingerprint(0)", 0.8, "keys: expected 1 or more"),
        ("audio_fingerprint(8, 40)", 0.8, "key_bits: expected 16 to 32"),
        ("audio_fingerprint(8, 24, -1.0)", 0.8, "max_shift_s: expected 0 or more seconds"),
        ("audio_fingerprint(8, 24, 0.5, 0)", 0.8, "min_moments: expected 1 or more"),
    ],
)
def test_a_wrong_argument_is_one_line(wrong, threshold, says):
    with pytest.raises(ValueError, match=r"^dedup\.near: ") as error:
        read(wrong, NEAR["audio"], field="dedup.near", threshold=threshold)
    assert says in str(error.value)
