"""What is made from a number is of the shape and class that it says, and never changes."""

import hashlib

import numpy as np
import pytest
import scipy.signal

from input_pipeline.synthetic import LABELLED, sequences, shapes, tones

SHAPES = {"shapes": (24, 32, 3), "tones": (2000,), "sequences": (30, 5)}
WRONG = {"shapes": [(28, 28), (7, 28, 1), (28, 28, 0)], "tones": [(), (399,), (400, 1)], "sequences": [(9, 3), (30, 2)]}


def test_every_kind_is_tried():
    assert SHAPES.keys() == WRONG.keys() == LABELLED.keys()


@pytest.mark.fast
@pytest.mark.parametrize("kind", LABELLED)
def test_the_contract(kind):
    made, shape = LABELLED[kind], SHAPES[kind]
    rows = [made.example(number, shape=shape, seed=3) for number in range(24)]
    assert [label for _, label in rows] == [number % len(made.classes) for number in range(24)]
    assert len({row.tobytes() for row, _ in rows}) == 24
    for number, (row, label) in enumerate(rows):
        again, same = made.example(number, shape=shape, seed=3)
        other, _ = made.example(number, shape=shape, seed=4)
        assert row.shape == shape
        assert row.dtype == (np.uint8 if kind == "shapes" else np.float32)
        assert (row.tobytes(), label) == (again.tobytes(), same)
        assert row.tobytes() != other.tobytes()
        assert np.abs(row).max() <= (255 if kind == "shapes" else 1)
    for wrong in WRONG[kind]:
        with pytest.raises(ValueError, match=r"^data\.shape: expected \("):
            made.example(0, shape=wrong, seed=0)


def area(name):
    """The share of its bounding box that a shape covers, on average."""
    number = shapes.CLASSES.index(name)
    pictures = [shapes.example(number + 6 * i, shape=(64, 64, 1), seed=0)[0][..., 0] for i in range(20)]
    shares = []
    for picture in pictures:
        ground = np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]))
        inside = np.abs(picture - ground) > 0.5 * np.abs(picture - ground).max()
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        shares.append(inside.sum() / (np.ptp(rows) + 1) / (np.ptp(columns) + 1))
    return np.mean(shares)


@pytest.mark.fast
def test_shapes_fill_their_bounds_as_geometry_says():
    assert area("circle") == pytest.approx(np.pi / 4, abs=0.03)
    assert area("ring") == pytest.approx(np.pi / 4 * 0.75, abs=0.04)  # less a hole of half the radius
    turns = np.linspace(-np.pi / 12, np.pi / 12, 101)
    assert area("square") == pytest.approx(np.mean(1 / (np.cos(turns) + np.abs(np.sin(turns))) ** 2), abs=0.05)
    for name in ("bar", "cross", "triangle"):
        assert 0.3 < area(name) < 0.75


@pytest.mark.fast
def test_the_sounds_are_what_they_are_called():
    """The loudest frequency at the beginning and end of a sound, and how much of its energy is there."""

    def peaks(label, number):
        wave, _ = tones.example(tones.CLASSES.index(label) + 6 * number, shape=(8000,), seed=1)
        frequency, _, spectrum = scipy.signal.stft(wave, nperseg=1024)
        power = np.abs(spectrum) ** 2
        loud = np.flatnonzero(power.sum(0) > 0.5 * power.sum(0).max())
        early, late = (frequency[power[:, i].argmax()] for i in (loud[1], loud[-2]))
        middle = power[:, loud[len(loud) // 2]]
        return early, late, middle.max() / middle.sum()

    for number in range(5):
        early, late, purity = peaks("sine", number)
        assert early == pytest.approx(late, abs=1 / 1024)
        assert purity > 0.5
        early, late, purity = peaks("noise", number)
        assert purity < 0.1
        early, late, _ = peaks("chirp_up", number)
        assert late > 1.5 * early
        early, late, _ = peaks("chirp_down", number)
        assert early > 1.5 * late


@pytest.mark.fast
def test_squares_have_odd_harmonics_and_saws_have_all():
    for label, second, third in (("square", 0, 1 / 3), ("saw", 1 / 2, 1 / 3)):
        wave = tones._KINDS[label](0.01, 0.0, np.zeros(4000))
        amplitude = np.abs(np.fft.rfft(wave))[40 * np.arange(1, 4)]
        np.testing.assert_allclose(amplitude[1:] / amplitude[0], [second, third], atol=0.02)


@pytest.mark.fast
def test_the_label_is_told_by_two_far_symbols_alone():
    for number in range(40):
        row, label = sequences.example(number, shape=(100, 6), seed=0)
        assert (row.sum(1) == 1).all()
        places = np.flatnonzero(row[:, :2].any(1))
        first, second = row[places, 1].astype(int)
        assert 10 <= places[0] <= 20
        assert 50 <= places[1] <= 60
        assert sequences.CLASSES[label] == "xy"[first] + "xy"[second]


@pytest.mark.fast
def test_examples_are_frozen():
    """Configs and their measured results stand on these. The sounds' sines may differ in their last bit."""
    found = {
        kind: hashlib.sha256(
            b"".join(
                np.round(LABELLED[kind].example(number, shape=SHAPES[kind], seed=7)[0].astype(np.float64), 4).tobytes()
                for number in (0, 5, 10**9)
            )
        ).hexdigest()[:16]
        for kind in LABELLED
    }
    assert found == {"shapes": "bc6b184d41591f5b", "tones": "b7b7bbf0a64bcf68", "sequences": "7c4ef49b6422404b"}
