"""Every operation on sound and numbers keeps its promises, and does by measurement what it says."""

import inspect
import re

import numpy as np
import pytest
import scipy.signal

from input_pipeline import hashing
from input_pipeline.labelled.rows import Rows
from input_pipeline.labelled.sources import open_source
from input_pipeline.labelled.spec import LabelledData
from input_pipeline.loader import Part, train_batches
from input_pipeline.transforms.audio import AUDIO
from input_pipeline.transforms.audio.speed import raised, stretched
from input_pipeline.transforms.audio.waves import pink
from input_pipeline.transforms.parse import parse
from input_pipeline.transforms.table import TABLE, moments

pytestmark = pytest.mark.fast

RATE, NUM_ROWS, LENGTH = 8000, 9, 2000
FEATURES = 5
# By the shape of what they read: arguments, and whether chance comes into it.
SOUND = {
    "resample": ((12000,), False),
    "crop_pad": ((0.3,), False),
    "random_crop": ((0.1,), True),
    "central_crop": ((0.1,), False),
    "remove_dc": ((), False),
    "preemphasis": ((), False),
    "gain": ((-6.0, 6.0), True),
    "noise": ((5.0, 20.0, "pink"), True),
    "time_shift": ((0.05,), True),
    "time_stretch": ((0.8, 1.25), True),
    "pitch": ((2.0,), True),
    "log_mel": ((20,), False),
    "normalize": ((0.1, 2.0), False),
    "normalize_each": ((), False),
}
SPECTROGRAMS = {"spec_augment": ((2, 8, 2, 4), True), "normalize": ((0.1, 2.0), False), "normalize_each": ((), False)}
NUMBERS = {"standardize": ((), False), "noise": ((0.5,), True), "drop_values": ((0.3,), True)}
GIVEN = {"sample_rate": RATE, "mean": (1.0,) * FEATURES, "std": (2.0, 0.0, 1.0, 3.0, 4.0)}
TABLES = {"sound": (AUDIO, SOUND), "spectrogram": (AUDIO, SPECTROGRAMS)} | dict.fromkeys(
    ("table", "sequence"), (TABLE, NUMBERS)
)
SHAPES = {"sound": (LENGTH,), "spectrogram": (30, 20), "table": (FEATURES,), "sequence": (7, FEATURES)}
CASES = [(kind, name) for kind, (_, arguments) in TABLES.items() for name in arguments]


def make(table, name, *arguments, **given):
    given = GIVEN | given
    parameters = inspect.signature(table[name]).parameters.values()
    wanted = [each.name for each in parameters if each.kind == each.KEYWORD_ONLY]
    return table[name](*arguments, **{key: given[key] for key in wanted})


def audio(name, *arguments, **given):
    """A function of sounds, each of its own key."""
    operation = make(AUDIO, name, *arguments, **given)
    return lambda x: operation({"inputs": x}, keys(len(x)))["inputs"]


def keys(count, seed=0):
    return hashing.fold(hashing.key(seed), np.arange(count))


def inputs(kind):
    return (0.2 * np.random.default_rng(0).standard_normal((NUM_ROWS, *SHAPES[kind]))).astype(np.float32)


def sine(hz, *, seconds=1.0, rate=RATE):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def loudest(x, rate=RATE):
    """Hz."""
    return np.abs(np.fft.rfft(x * np.hanning(len(x)), 1 << 17)).argmax() * rate / (1 << 17)


def test_every_operation_is_tried():
    assert {"decode", *SOUND, *SPECTROGRAMS} == AUDIO.keys()
    assert NUMBERS.keys() == TABLE.keys()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_contract(kind, name):
    table, arguments = TABLES[kind]
    arguments, by_chance = arguments[name]
    operation, x = make(table, name, *arguments), inputs(kind)
    before, labels = x.copy(), np.arange(NUM_ROWS)
    rows = {"inputs": x, "labels": labels}
    found = operation(rows, keys(NUM_ROWS))
    assert found["labels"] is labels
    made = found["inputs"]
    assert all(row.dtype == np.float32 for row in made)
    assert np.array_equal(x, before), "it wrote to what it was given"
    assert rows["inputs"] is x
    same(made, operation(rows, keys(NUM_ROWS))["inputs"])
    other = operation(rows, keys(NUM_ROWS, seed=1))["inputs"]
    assert by_chance != all(a.shape == b.shape and np.array_equal(a, b) for a, b in zip(made, other, strict=True))
    for chosen in ([4], [7, 3], [8, 0, 5, 2]):  # alone, or in other company; stacked, or in a list
        same([made[i] for i in chosen], operation({"inputs": x[chosen]}, keys(NUM_ROWS)[chosen])["inputs"])
    same(made, operation({"inputs": list(x)}, keys(NUM_ROWS))["inputs"])
    assert isinstance(operation({"inputs": list(x)}, keys(NUM_ROWS))["inputs"], type(made))
    if isinstance(made, np.ndarray):
        assert operation({"inputs": x[:0]}, keys(0))["inputs"].shape == (0, *made.shape[1:])


def same(one, other):
    for a, b in zip(one, other, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", [name for name in SOUND if name not in ("normalize", "normalize_each")])
def test_sound_comes_before_spectrograms(name):
    with pytest.raises(ValueError, match=r"^expected sound \[T\], got rows of shape \[30, 20\]"):
        make(AUDIO, name, *SOUND[name][0])({"inputs": inputs("spectrogram")}, keys(NUM_ROWS))


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("resample", (0,), "rate: expected 1 or more samples a second, got 0"),
        ("crop_pad", (0.0,), "seconds: expected a sample or more, got 0.0"),
        ("random_crop", (-1.0,), "seconds: expected a sample or more"),
        ("central_crop", (1e-5,), "seconds: expected a sample or more"),
        ("preemphasis", (1.0,), "coefficient: expected a number between 0 and 1, got 1.0"),
        ("gain", (6.0, -6.0), "low and high: expected decibels, low <= high, got 6.0 and -6.0"),
        ("noise", (0.0, np.inf), "low and high: expected decibels"),
        ("noise", (0.0, 1.0, "blue"), "color: expected 'white' or 'pink', got 'blue'"),
        ("time_shift", (0.0,), "max_seconds: expected a number above 0"),
        ("time_stretch", (0.0, 1.0), "low and high: expected 0.25 <= low <= high <= 4.0, got 0.0 and 1.0"),
        ("time_stretch", (1.2, 1.1), "low and high: expected"),
        ("pitch", (0.0,), "semitones: expected a number above 0, 24.0 at most, got 0.0"),
        ("log_mel", (0,), "num_mels: expected 1 or more, got 0"),
        ("log_mel", (64, 0.0), "window: expected a sample or more, got 0.0 seconds"),
        ("log_mel", (64, 0.025, 0.0), "hop: expected a sample or more"),
        ("log_mel", (64, 0.025, 0.01, 0.0, 5000.0), "0 <= min_hz < max_hz <= 4000, got 0 and 5000"),
        ("log_mel", (64, 0.025, 0.01, 20.0, 0.0, 0.0), "floor: expected a number above 0"),
        ("log_mel", (30000,), "num_mels: expected fewer bands than 30000 from 20 to 4000 Hz"),
        ("spec_augment", (1, -1, 0, 0), "time: expected 0 or more, got -1"),
        ("normalize", (0.0, 0.0), "std: expected a number above 0"),
    ],
)
def test_arguments_are_checked(name, arguments, says):
    with pytest.raises(ValueError, match=rf"^(min_hz and max_hz: expected )?{re.escape(says)}"):
        make(AUDIO, name, *arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "given", "says"),
    [
        ("noise", (0.0,), {}, "std: expected a number above 0"),
        ("drop_values", (1.0,), {}, "rate: expected a number between 0 and 1"),
        ("standardize", (), {"mean": (1.0,)}, "mean and std: expected one of each feature, got 1 and 5"),
    ],
)
def test_arguments_for_tables_are_checked(name, arguments, given, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        make(TABLE, name, *arguments, **given)


# --- references ---


@pytest.mark.parametrize("rate", [4000, RATE, 11025, 16000])
def test_resampled_sound_is_scipys_and_keeps_its_pitch(rate):
    x = np.stack([sine(440), sine(1234)])
    found = audio("resample", rate)(x)
    up, down = (each // np.gcd(rate, RATE) for each in (rate, RATE))
    np.testing.assert_array_equal(found, scipy.signal.resample_poly(x.astype(np.float32), up, down, axis=1))
    exact = scipy.signal.resample_poly(x.astype(np.float64), up, down, axis=1)
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert found.shape[1] == rate
    assert [loudest(row, rate) for row in found] == pytest.approx([440, 1234], abs=0.5)
    assert make(AUDIO, "resample", rate).gives == {"sample_rate": rate}


def slow_filters(num_mels, size, rate, low, high):
    """Triangles one by one, from the HTK book's formula."""
    mel = lambda hz: 2595 * np.log10(1 + hz / 700)
    corners = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(mel(low), mel(high), num_mels + 2)]
    filters = np.zeros((size // 2 + 1, num_mels))
    for m in range(num_mels):
        left, top, right = corners[m : m + 3]
        for k in range(size // 2 + 1):
            hz = k * rate / size
            if left < hz <= top:
                filters[k, m] = (hz - left) / (top - left)
            elif top < hz < right:
                filters[k, m] = (right - hz) / (right - top)
    return filters


@pytest.mark.parametrize(
    ("num_mels", "window", "hop", "low", "high", "rate", "fft_size"),
    [
        (64, 0.025, 0.01, 20.0, 0.0, 8000, 256),
        (20, 0.032, 0.016, 0.0, 3800.0, 16000, 512),
        (40, 0.02, 0.02, 50.0, 0.0, 11025, 256),
        (128, 0.02, 0.01, 20.0, 0.0, 8000, 512),
    ],
)
def test_log_mel_is_scipys(num_mels, window, hop, low, high, rate, fft_size):
    x = inputs("sound")
    size, step = round(window * rate), round(hop * rate)
    found = audio("log_mel", num_mels, window, hop, low, high, sample_rate=rate)(x)
    _, _, spectrum = scipy.signal.stft(
        x.astype(np.float64), nperseg=size, noverlap=size - step, nfft=fft_size, boundary=None, padded=False
    )
    filters = slow_filters(num_mels, fft_size, rate, low, high or rate / 2)
    expected = np.log(np.maximum(4 * np.abs(spectrum).transpose(0, 2, 1) ** 2 @ filters, 1e-8))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_sine_of_full_scale_has_power_one_and_silence_the_floor():
    found = audio("log_mel", 10, 0.032, 0.01, 0.0, 0.0, 1e-6)(np.stack([sine(1000), 0 * sine(1000)]))
    assert found.shape == (2, 97, 10)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 12) / 2595) - 1)
    band = np.flatnonzero(corners < 1000)[-1]
    shares = (1000 - corners[band]) / (corners[band + 1] - corners[band])
    weights = np.interp([968.75, 1000, 1031.25], corners[band : band + 2], [0, 1])
    assert 0 < shares < 1
    np.testing.assert_allclose(np.exp(found[0, :, band]), weights @ [0.25, 1, 0.25], rtol=1e-3)
    np.testing.assert_allclose(found[1], np.log(1e-6), rtol=1e-6)
    with pytest.raises(ValueError, match=r"^window: expected no more than the sound of 200 samples, got 256"):
        audio("log_mel", 10, 0.032)(np.zeros((1, 200), np.float32))


@pytest.mark.parametrize("color", ["white", "pink"])
@pytest.mark.parametrize("decibels", [-5.0, 20.0])
def test_noise_is_as_loud_as_asked(color, decibels):
    x = np.stack([sine(440), 0.01 * sine(100), 0 * sine(1)])
    noise = audio("noise", decibels, decibels, color)(x) - x
    measured = 10 * np.log10((x[:2] ** 2).mean(1) / (noise[:2] ** 2).mean(1))
    np.testing.assert_allclose(measured, decibels, atol=0.01)
    assert not noise[2].any()
    assert abs(np.corrcoef(x[0], noise[0])[0, 1]) < 0.05


def test_white_noise_is_flat_and_pink_noise_falls_by_three_decibels_an_octave():
    white = hashing.normal(keys(30), 8000)
    for noise, slope in ((white, 0), (pink(white), -1)):
        frequency, power = scipy.signal.welch(noise, nperseg=1000)
        found = np.polyfit(np.log(frequency[5:-5]), np.log(power.mean(0)[5:-5]), 1)[0]
        assert found == pytest.approx(slope, abs=0.03)


def test_normal_numbers_are_normal():
    drawn = hashing.normal(keys(20), 5001)
    assert drawn.shape == (20, 5001)
    assert scipy.stats.kstest(drawn.reshape(-1), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:, :2500].reshape(-1), drawn[:, 2501:].reshape(-1))[0, 1]) < 0.02


@pytest.mark.parametrize("tempo", [0.5, 0.83, 1.0, 1.25, 2.0])
def test_stretched_sound_is_longer_and_of_the_same_pitch(tempo):
    x = sine(523) * np.linspace(0.2, 1, RATE, dtype=np.float32)
    found = stretched(x, tempo, sample_rate=RATE)
    assert len(found) == round(RATE / tempo)
    assert loudest(found) == pytest.approx(523, abs=1)
    middle = slice(len(found) // 2 - 400, len(found) // 2 + 400)
    assert np.sqrt(2 * (found[middle] ** 2).mean()) == pytest.approx(0.6, rel=0.15)
    if tempo == 1:
        np.testing.assert_allclose(found, x, atol=1e-5)


@pytest.mark.parametrize("semitones", [-12, -3.5, 0, 1, 7, 12])
def test_raised_sound_is_higher_and_as_long(semitones):
    found = raised(sine(523), semitones, sample_rate=RATE)
    assert len(found) == RATE
    assert loudest(found) == pytest.approx(523 * 2 ** (semitones / 12), rel=3e-3)


def test_clicks_stay_where_they_are_in_stretched_sound():
    x = np.zeros(RATE, np.float32)
    x[[2000, 6000]] = 1
    found = np.abs(stretched(x, 0.5, sample_rate=RATE))
    centres = [np.average(np.arange(low, low + 8000), weights=found[low : low + 8000] ** 2) for low in (0, 8000)]
    assert centres == pytest.approx([4000, 12000], abs=100)


def test_chances_reach_all_of_their_range():
    x = np.repeat(sine(440, seconds=0.05)[None], 500, 0)
    loudness = 20 * np.log10(np.abs(audio("gain", -6.0, 6.0)(x)).max(1) / np.abs(x[0]).max())
    assert (loudness.min(), loudness.max()) == pytest.approx((-6, 6), abs=0.1)
    lengths = [len(row) for row in audio("time_stretch", 0.8, 1.25)(x[:200])]
    assert (min(lengths), max(lengths)) == pytest.approx((320, 500), abs=6)
    clicks = np.zeros((500, 400), np.float32)
    clicks[:, 200] = 1
    places = audio("time_shift", 0.01)(clicks).argmax(1)
    assert (places.min(), places.max()) == (120, 280)


@pytest.mark.parametrize("length", [1000, 1600, 3000])
def test_crops_and_padding(length):
    x = np.arange(1, length + 1, dtype=np.float32)[None].repeat(300, 0)
    first, middle, anywhere = (audio(name, 0.2)(x) for name in ("crop_pad", "central_crop", "random_crop"))
    assert first.shape == middle.shape == anywhere.shape == (300, 1600)
    kept = min(length, 1600)
    np.testing.assert_array_equal(first[0], np.r_[1 : kept + 1, np.zeros(1600 - kept)])
    half = abs(length - 1600) // 2
    expected = np.r_[half + 1 : half + 1601] if length > 1600 else np.pad(x[0], (half, 1600 - length - half))
    np.testing.assert_array_equal(middle[0], expected)
    whole = np.lib.stride_tricks.sliding_window_view(np.pad(x[0], max(0, 1600 - length)), 1600)
    places = [np.flatnonzero((whole == row).all(1)) for row in anywhere]
    assert all(len(place) == 1 for place in places)
    assert np.ptp(places) == pytest.approx(abs(length - 1600), rel=0.03)


def test_small_operations_are_their_formulas():
    x = inputs("sound") + np.float32(0.3)
    np.testing.assert_allclose(audio("remove_dc")(x).mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(audio("preemphasis", 0.9)(x), scipy.signal.lfilter([1, -0.9], [1], x), atol=1e-6)
    np.testing.assert_allclose(audio("normalize", 0.3, 0.2)(x), (x - 0.3) / 0.2, rtol=1e-5, atol=1e-6)
    each = audio("normalize_each")(np.concatenate([x, np.full_like(x[:1], 5)]))
    np.testing.assert_allclose(each.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(each.std(1), [1] * NUM_ROWS + [0], atol=1e-5)


def test_spectrograms_are_blanked_in_stretches():
    x = np.random.default_rng(0).standard_normal((400, 40, 30)).astype(np.float32)
    blank = audio("spec_augment", 1, 10, 1, 6)(x)
    mean = x.mean((1, 2))[:, None, None]
    gone = np.isclose(blank, mean)
    assert np.array_equal(np.where(gone, 0, blank), np.where(gone, 0, x))
    for gone_by_row, longest in ((gone.all(2), 10), (gone.all(1), 6)):
        lengths = gone_by_row.sum(1)
        assert set(lengths) == set(range(longest + 1))
        assert ((np.diff(gone_by_row.astype(int), axis=1, prepend=0) == 1).sum(1) <= 1).all(), "more than one stretch"
        assert gone_by_row[:, 0].any()
        assert gone_by_row[:, -1].any()
    assert np.array_equal(audio("spec_augment", 0, 0, 0, 0)(x), x)


@pytest.mark.parametrize("kind", ["table", "sequence"])
def test_numbers_of_tables(kind):
    x = 3 * inputs(kind).repeat(200, 0) + 7
    x[..., 1] = 4
    mean, std = moments(x)
    np.testing.assert_allclose(mean, x.reshape(-1, FEATURES).mean(0), rtol=1e-4)
    scaled = make(TABLE, "standardize", mean=mean, std=std)({"inputs": x}, keys(len(x)))["inputs"]
    np.testing.assert_allclose(np.stack(moments(scaled)), [[0] * 5, [1, 0, 1, 1, 1]], atol=1e-4)
    noise = make(TABLE, "noise", 0.5)({"inputs": x}, keys(len(x)))["inputs"] - x
    assert noise.std() == pytest.approx(0.5, rel=0.03)
    gone = make(TABLE, "drop_values", 0.3)({"inputs": x}, keys(len(x)))["inputs"] == 0
    assert gone.mean() == pytest.approx(0.3, abs=0.02)
    with pytest.raises(ValueError, match=r"^expected rows of 5 features, got 6"):
        make(TABLE, "standardize")({"inputs": np.zeros((2, 6))}, keys(2))


# --- in a run ---


def test_operations_after_resample_know_the_new_rate():
    line = "decode|resample(4000)|crop_pad(0.5)|log_mel(20, max_hz=2000)"
    operations = parse(line, modality="audio", sample_rate=RATE).rows
    assert [getattr(operation, "sample_rate", None) for operation in operations] == [RATE, RATE, 4000, 4000]
    with pytest.raises(ValueError, match=r"^data\.transforms: expected log_mel.*max_hz <= 2000, got 20 and 3000"):
        parse(line.replace("2000", "3000"), modality="audio", sample_rate=RATE)


def test_made_up_sound_goes_through_a_line_into_batches():
    data = LabelledData(
        modality="audio",
        source="synthetic",
        kind="tones",
        num_examples=60,
        made_shape=(1000,),
        shape=(10, 20),
        num_classes=6,
        sample_rate=RATE,
        transforms="decode|random_crop(0.12)|noise(5, 20)|time_stretch(0.9, 1.1)|crop_pad(0.115)|log_mel(20)|"
        "spec_augment(1, 3, 1, 4)|normalize(-6, 3)",
        eval_transforms="decode|crop_pad(0.115)|log_mel(20)|normalize(-6, 3)",
    )
    examples = open_source(data)
    rows = Rows(examples, np.arange(60), data.shape)
    for field in ("transforms", "eval_transforms"):
        rows.try_out(data.operations(field).rows, field=f"data.{field}")
    part = Part("", rows, transforms=data.operations("transforms").rows)
    with train_batches([part], seed=0, batch_size=8, row_range=(0, 8), start=0, workers=0) as batches:
        whole = next(batches)
    with train_batches([part], seed=0, batch_size=8, row_range=(2, 5), start=0, workers=0) as batches:
        mine = next(batches)
    assert whole["inputs"].shape == (8, 10, 20)
    same([whole["inputs"][2:5]], [mine["inputs"]])


def test_sound_needs_a_rate():
    with pytest.raises(ValueError, match=r"^data\.sample_rate: expected 1 or more, got 0"):
        LabelledData(modality="audio", source="synthetic", kind="tones", num_examples=6, shape=(1000,), num_classes=6)
