"""Inputs as pixels: what is bright, where it lies, and that it can be read back."""

import io

import numpy as np
import pytest
from PIL import Image

from train.findings import drawing

pytestmark = pytest.mark.fast


def test_bytes_stay_and_small_pictures_are_enlarged_by_whole_squares():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (8, 5, 3), np.uint8)
    pixels = drawing.draw(x)
    assert pixels.shape == (112, 70, 3)
    np.testing.assert_array_equal(pixels[::14, ::14], x)
    np.testing.assert_array_equal(pixels[13::14, 13::14], x)
    large = rng.integers(0, 256, (200, 300, 3), np.uint8)
    np.testing.assert_array_equal(drawing.draw(large), large)


def test_numbers_run_from_black_to_white():
    x = np.array([[-1.0, 0.0], [1.0, np.nan]])[..., None]
    pixels = drawing.image(x)[:: 112 // 2, :: 112 // 2, 0]
    np.testing.assert_array_equal(pixels, [[0, 128], [255, 0]])
    assert drawing.image(np.ones((4, 4, 1))).max() == 0, "all alike"


def test_a_spectrogram_has_its_time_across_and_its_low_frequencies_below():
    x = np.zeros((120, 4))
    x[10, 0] = 1.0
    pixels = drawing.spectrogram(x).astype(int).sum(-1)
    assert pixels.shape == (4, 120)
    assert np.unravel_index(pixels.argmax(), pixels.shape) == (3, 10)


def test_a_wave_is_drawn_from_its_least_to_its_greatest_sample():
    time = np.linspace(0, 1, 8000)
    pixels = drawing.draw(np.where(time < 0.5, np.sin(9000 * time), 0.0))
    inked = (pixels == drawing.LINE).all(-1)
    assert inked[:, :150].sum(0).min() > 100
    assert inked[:, 170:].sum(0).max() == 2, "the two rows about the middle"
    assert (drawing.draw(np.zeros(100)) == drawing.LINE).all(-1).sum(0).max() == 2, "silence"


def test_what_cannot_be_drawn_is_told():
    with pytest.raises(ValueError, match=r"inputs: expected .*, got \(1, 2, 3, 4\)"):
        drawing.draw(np.zeros((1, 2, 3, 4)))


def test_a_png_reads_back():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    with Image.open(io.BytesIO(drawing.png(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_row_of_a_table_in_words():
    assert drawing.values(np.array([0.25, -3.0]), ["age", "bmi"]) == "age: 0.25\nbmi: -3"
    assert drawing.values(np.array([1.0])) == "feature 0: 1"
