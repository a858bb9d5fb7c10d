"""Every operation on pictures keeps the contract, and does what another implementation of it does."""

import dataclasses
import io
import itertools

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from PIL import Image, ImageEnhance, ImageOps

from input_pipeline import hashing
from input_pipeline.documents import BadRecord
from input_pipeline.transforms.image import IMAGE, affine, colours, noise, pixels
from input_pipeline.transforms.image.corruptions import CORRUPTIONS

pytestmark = pytest.mark.fast
NUM_ROWS = 12
# Arguments, the shape that [20, 24, C] becomes, and whether it differs from row to row by chance.
CASES = {
    "channels": [(("grey",), (20, 24, 1), False), (("rgb",), (20, 24, 3), False)],
    "normalize": [((), None, False), ((0.3, 0.2), None, False)],
    "resize": [((10,), (10, 12, None), False), ((40,), (40, 48, None), False)],
    "resize_exact": [((9, 31), (9, 31, None), False)],
    "pad": [((23, 7), (23, 24, None), False), ((31,), (31, 31, None), False)],
    "random_crop": [((16,), (16, 16, None), True), ((24, 4), (24, 24, None), True)],
    "central_crop": [((17,), (17, 17, None), False)],
    "inception_crop": [((14,), (14, 14, None), True)],
    "flip_lr": [((), None, True)],
    "flip_ud": [((0.3,), None, True)],
    "rotate": [((30,), None, True)],
    "scale": [((0.7, 1.3), None, True)],
    "translate": [((0.3,), None, True)],
    "shear": [((20,), None, True)],
    "colour_jitter": [((0.4, 0.4), None, True), ((0.4, 0.4, 0.4, 0.1), None, True)],
    "grayscale": [((0.5,), None, True)],
    "randaugment": [((2, 9), None, True), ((1, 3.5), None, True)],
    "trivialaugment": [((), None, True)],
    "blur": [((), None, True), ((0.0, 4.0, 1.0), None, True)],
    "noise": [((0.1,), None, True)],
    "random_erasing": [((), None, True)],
    "cutout": [((8, 127), None, True)],
    "corrupt": [((kind, 4), None, kind not in ("blur", "contrast")) for kind in CORRUPTIONS],
}
LINES = [(name, *case) for name, cases in CASES.items() for case in cases]
each_operation = pytest.mark.parametrize(
    ("name", "arguments", "shape", "by_chance"), LINES, ids=[f"{name}{arguments}" for name, arguments, *_ in LINES]
)


def pictures(num_channels=3, shape=(20, 24), count=NUM_ROWS):
    """Smooth ones, with noise on them."""
    rng = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(size=(count, *shape, num_channels)), (0, 3, 3, 0)) * 900 + 120
    return np.clip(smooth + rng.normal(size=smooth.shape) * 9, 0, 255).astype(np.uint8)


def keys(count=NUM_ROWS, seed=0):
    return hashing.fold(hashing.key("images", seed), np.arange(count))


def test_every_operation_is_tried():
    assert {"decode", *CASES} == set(IMAGE)


@pytest.mark.parametrize("num_channels", [1, 3])
@each_operation
def test_the_contract(name, arguments, shape, by_chance, num_channels):
    stack, key = pictures(num_channels), keys()
    stack.setflags(write=False)
    op = IMAGE[name](*arguments)
    rows = {"inputs": stack, "labels": np.arange(NUM_ROWS)}
    found = op(rows, key)
    assert found["labels"] is rows["labels"]
    found = found["inputs"]
    expected = [mine or its for mine, its in zip(shape or (None,) * 3, (20, 24, num_channels), strict=True)]
    assert found.shape == (NUM_ROWS, *expected)
    assert found.dtype == (np.float32 if name == "normalize" else np.uint8)
    again = IMAGE[name](*arguments)({"inputs": stack}, key)["inputs"]
    np.testing.assert_array_equal(found, again)
    alone = [op({"inputs": [picture]}, key[i : i + 1])["inputs"][0] for i, picture in enumerate(stack)]
    np.testing.assert_array_equal(found, alone)  # to the last bit: float32 too
    listed = op({"inputs": list(stack)}, key)["inputs"]
    np.testing.assert_array_equal(found, listed)
    some = np.array([7, 2, 11])
    np.testing.assert_array_equal(found[some], op({"inputs": stack[some]}, key[some])["inputs"])
    assert op({"inputs": stack[:0]}, key[:0])["inputs"].shape == (0, *expected)
    if by_chance and (num_channels == 3 or name != "grayscale"):
        other = op({"inputs": stack}, keys(seed=1))["inputs"]
        assert not np.array_equal(found, other)


@each_operation
def test_pictures_of_several_shapes(name, arguments, shape, by_chance):
    """One by one, each as it would be alone; what agrees in shape at the end is one array."""
    several = [*pictures(3)[:2], *pictures(3, shape=(31, 26))[:2]]
    op, key = IMAGE[name](*arguments), keys(4)
    found = op({"inputs": several}, key)["inputs"]
    for i, picture in enumerate(several):
        np.testing.assert_array_equal(found[i], op({"inputs": picture[None]}, key[i : i + 1])["inputs"][0])
    assert isinstance(found, np.ndarray) == (len({picture.shape for picture in found}) == 1)
    if name in ("resize_exact", "random_crop", "central_crop", "inception_crop"):
        assert isinstance(found, np.ndarray)


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("decode", (2,), r"channels: expected 1 \(grey\) or 3 \(colour\), got 2"),
        ("decode", (3, 10**9), "max_pixels: expected 1 to 178956970, got 1000000000"),
        ("channels", ("red",), "kind: expected 'grey' or 'rgb', got 'red'"),
        ("normalize", ((0.1, 0.2),), r"mean: expected 1 number, or 3, got \(0.1, 0.2\)"),
        ("normalize", (0.5, (0.2, 0.0, 0.2)), r"std: expected more than 0, got \(0.2, 0.0, 0.2\)"),
        ("resize", (0,), "size: expected 1 or more pixels, got 0"),
        ("resize_exact", (4, 0), "width: expected 1 or more pixels, got 0"),
        ("pad", (4, 300), "value: expected a level from 0 to 255, got 300"),
        ("random_crop", (4, -1), "padding: expected 0 or more pixels, got -1"),
        ("central_crop", (0,), "size: expected 1 or more pixels, got 0"),
        ("inception_crop", (8, 0.5, 0.3), "max_area: expected a share from min_area to 1, got 0.3"),
        ("flip_lr", (1.5,), "probability: expected a number from 0 to 1, got 1.5"),
        ("flip_ud", (-1,), "probability: expected a number from 0 to 1, got -1"),
        ("rotate", (181,), "degrees: expected more than 0, up to 180, got 181"),
        ("scale", (1.2, 0.8), "high: expected a factor from low, got 0.8"),
        ("translate", (0,), "share: expected a share of the side above 0 and up to 1, got 0"),
        ("shear", (90,), "degrees: expected more than 0, less than 90, got 90"),
        ("colour_jitter", (0, 0, 0, 0.6), "hue: expected a share of the circle from 0 to 0.5, got 0.6"),
        ("colour_jitter", (0, 2), "contrast: expected a number from 0 to 1, got 2"),
        ("grayscale", (2,), "probability: expected a number from 0 to 1, got 2"),
        ("randaugment", (2, 11), "magnitude: expected 0 to 10, got 11"),
        ("randaugment", (0,), "num_ops: expected 1 or more, got 0"),
        ("blur", (2.0, 1.0), "max_sigma: expected min_sigma or more pixels, got 1.0"),
        ("noise", (0,), "std: expected more than 0, got 0"),
        ("random_erasing", (0.5, 0.0), "min_area: expected a share above 0 and up to 1, got 0.0"),
        ("cutout", (0,), "size: expected 1 or more pixels, got 0"),
        ("corrupt", ("fog", 1), "kind: expected one of blur, noise, rotation, contrast, occlusion, got 'fog'"),
        ("corrupt", ("blur", 6), "strength: expected 1 to 5, got 6"),
    ],
)
def test_bad_arguments(name, arguments, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        IMAGE[name](*arguments)


def test_every_operation_with_arguments_refuses_some():
    refused = {mark[0] for mark in test_bad_arguments.pytestmark[0].args[1]}
    assert refused == {name for name, op in IMAGE.items() if dataclasses.fields(op)}


@each_operation
def test_what_needs_levels_says_so(name, arguments, shape, by_chance):
    op = IMAGE[name](*arguments)
    numbers = {"inputs": pictures().astype(np.float32) / 255}
    if np.float32 in op.takes:
        assert op(numbers, keys())["inputs"].dtype == np.float32
    else:
        with pytest.raises(
            ValueError, match=rf"{type(op).__name__}.* expected pictures of uint8, got float32; write it"
        ):
            op(numbers, keys())
    with pytest.raises(ValueError, match=rf"{type(op).__name__}.*write decode before it"):
        op({"inputs": [b"a", b"b"]}, keys(2))


def test_too_small_a_picture_and_too_many_channels():
    with pytest.raises(ValueError, match=r"RandomCrop.* 28 or more pixels a side, got 22 x 26; write resize\(28\)"):
        IMAGE["random_crop"](28, 1)({"inputs": pictures()}, keys())
    with pytest.raises(ValueError, match=r"CentralCrop.* 21 or more pixels a side, got 20 x 24"):
        IMAGE["central_crop"](21)({"inputs": pictures()}, keys())
    with pytest.raises(ValueError, match=r"Normalize.* expected pictures of 3 channels, got 1"):
        IMAGE["normalize"]((0.1, 0.2, 0.3))({"inputs": pictures(1)}, keys())


# Against other implementations.


def as_file(picture, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind)
    return file.getvalue()


def test_decode():
    stack = pictures(count=3)
    found = IMAGE["decode"]()({"inputs": [as_file(each) for each in stack]}, keys(3))["inputs"]
    np.testing.assert_array_equal(found, stack)
    wide = pictures(count=1, shape=(8, 30))[0]
    found = IMAGE["decode"](1)({"inputs": [as_file(stack[0]), as_file(wide)]}, keys(2))["inputs"]
    assert [each.shape for each in found] == [(20, 24, 1), (8, 30, 1)]
    with pytest.raises(BadRecord, match="are more than 100 pixels"):
        IMAGE["decode"](3, 100)({"inputs": [as_file(stack[0])]}, keys(1))
    with pytest.raises(ValueError, match="expected the bytes of files, got pictures"):
        IMAGE["decode"]()({"inputs": stack}, keys(3))


def test_channels_and_grayscale_are_pillows():
    stack = pictures()
    grey = np.stack([np.asarray(Image.fromarray(each).convert("L")) for each in stack])[..., None]
    np.testing.assert_array_equal(pixels.luma(stack), grey)
    np.testing.assert_array_equal(IMAGE["channels"]("rgb")({"inputs": grey}, keys())["inputs"], grey.repeat(3, axis=3))
    np.testing.assert_array_equal(IMAGE["grayscale"]()({"inputs": stack}, keys())["inputs"], grey.repeat(3, axis=3))


@pytest.mark.parametrize(
    ("mean", "std"), [(0.5, 0.5), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), (0.2, (0.1, 0.2, 0.3))]
)
def test_normalize(mean, std):
    stack = pictures()
    found = IMAGE["normalize"](mean, std)({"inputs": stack}, keys())["inputs"]
    np.testing.assert_allclose(found, (stack / 255 - np.array(mean)) / np.array(std), atol=2e-6)


def test_resizing_is_pillows():
    picture = pictures(count=1)
    found = IMAGE["resize"](13)({"inputs": picture}, keys(1))["inputs"][0]
    expected = Image.fromarray(picture[0]).resize((round(24 * 13 / 20), 13), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, np.asarray(expected))
    op = IMAGE["inception_crop"](11)
    box = op.boxes(20, 24, keys(1))[0].tolist()
    expected = Image.fromarray(picture[0]).crop(box).resize((11, 11), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(op({"inputs": picture}, keys(1))["inputs"][0], np.asarray(expected))


def test_crops_and_padding_are_slices():
    stack = pictures()
    room = np.pad(stack, ((0, 0), (3, 3), (3, 3), (0, 0)))
    found = IMAGE["random_crop"](22, 3)({"inputs": stack}, keys())["inputs"]
    places = set()
    for picture, cut in zip(room, found, strict=True):
        here = [(y, x) for y in range(5) for x in range(9) if np.array_equal(picture[y : y + 22, x : x + 22], cut)]
        assert here
        places.update(here)
    assert len(places) > 6
    np.testing.assert_array_equal(IMAGE["central_crop"](15)({"inputs": stack}, keys())["inputs"], stack[:, 2:17, 4:19])
    found = IMAGE["pad"](27, 9)({"inputs": stack}, keys())["inputs"]
    expected = np.pad(stack, ((0, 0), (3, 4), (1, 2), (0, 0)), constant_values=9)
    np.testing.assert_array_equal(found, expected)


def test_random_places_are_uniform():
    count = 4000
    where = np.arange(6 * 7, dtype=np.uint8).reshape(1, 6, 7, 1).repeat(count, axis=0)
    corner = IMAGE["random_crop"](4)({"inputs": where}, keys(count))["inputs"][:, 0, 0, 0]
    assert scipy.stats.chisquare(np.unique(corner, return_counts=True)[1]).pvalue > 1e-4
    assert len(np.unique(corner)) == 3 * 4
    flipped = IMAGE["flip_lr"](0.3)({"inputs": where}, keys(count))["inputs"][:, 0, 0, 0] == 6
    assert flipped.mean() == pytest.approx(0.3, abs=0.03)


def test_inception_crops_have_the_areas_and_ratios_of_the_paper():
    left, top, right, bottom = IMAGE["inception_crop"](224).boxes(600, 600, keys(6000)).T
    assert min(left.min(), top.min()) >= 0
    assert max(right.max(), bottom.max()) <= 600
    share, ratio = (right - left) * (bottom - top) / 600**2, (right - left) / (bottom - top)
    assert 0.079 < share.min() < 0.1
    assert 0.95 < share.max() <= 1
    assert 0.74 < ratio.min() < 0.77
    assert 1.3 < ratio.max() < 1.35
    small = share < 0.6  # where every ratio fits, so that none is drawn again
    assert (
        scipy.stats.kstest(np.log(ratio[small]), scipy.stats.uniform(np.log(3 / 4), 2 * np.log(4 / 3)).cdf).pvalue
        > 1e-4
    )
    assert scipy.stats.kstest(share[small], scipy.stats.uniform(0.08, 0.52).cdf).pvalue > 1e-4
    # A strip has no part of 8 % that is nearly square: the greatest in the middle is taken.
    assert IMAGE["inception_crop"](8).boxes(10, 1000, keys(1)).tolist() == [[493, 0, 506, 10]]


def test_flips():
    stack = pictures()
    for name, dim in (("flip_lr", 2), ("flip_ud", 1)):
        np.testing.assert_array_equal(IMAGE[name](1.0)({"inputs": stack}, keys())["inputs"], np.flip(stack, dim))
        np.testing.assert_array_equal(IMAGE[name](0.0)({"inputs": stack}, keys())["inputs"], stack)


@pytest.mark.parametrize("num_channels", [1, 3])
def test_right_angles_and_whole_pixels_lose_nothing(num_channels):
    square, stack = pictures(num_channels, shape=(21, 21)), pictures(num_channels)
    one, none = np.ones(NUM_ROWS), np.zeros(NUM_ROWS)
    for quarter in range(5):
        found = affine.rotate(square, 90.0 * quarter * one)
        np.testing.assert_array_equal(found, np.rot90(square, quarter, axes=(1, 2)))
    np.testing.assert_array_equal(affine.rotate(stack, 180 * one), stack[:, ::-1, ::-1])
    found = affine.translate(stack, 5 / 24 * one, -3 / 20 * one)
    np.testing.assert_array_equal(found, scipy.ndimage.shift(stack, (0, -3, 5, 0), order=0))
    np.testing.assert_array_equal(affine.shear(stack, none, none), stack)
    np.testing.assert_array_equal(affine.warp(stack, [one, none, none, none, one, none]), stack)


@pytest.mark.parametrize("num_channels", [1, 3])
def test_resampling_is_pillows(num_channels):
    """Which computes the same in float64 and cuts off where we round."""
    stack = pictures(num_channels, shape=(40, 50))
    rng = np.random.default_rng(3)
    maps = rng.normal(size=(NUM_ROWS, 6)) * (0.3, 0.3, 5, 0.3, 0.3, 5) + (1, 0, 0, 0, 1, 0)
    found = affine.warp(stack, list(maps.T))
    for picture, (a, b, c, d, e, f), out in zip(stack, maps, found, strict=True):
        there = (a, b, c + 25 - 25 * a - 20 * b, d, e, f + 20 - 25 * d - 20 * e)
        image = Image.fromarray(picture.squeeze())
        expected = np.asarray(image.transform((50, 40), Image.Transform.AFFINE, there, Image.Resampling.BILINEAR))
        difference = out.squeeze().astype(int) - expected
        assert ((difference == 0) | (difference == 1)).mean() > 0.999  # a place on the border itself may fall outside
        assert 0.4 < difference[expected > 0].mean() < 0.6


def test_angles_factors_and_shares_of_affine_operations():
    """A white dot right of the middle goes where the geometry says."""
    dot = np.zeros((500, 41, 41, 1), np.uint8)
    dot[:, 19:22, 29:32] = 255  # 10 pixels to the right of the middle

    def middle(name, *arguments):
        found = IMAGE[name](*arguments)({"inputs": dot}, keys(500))["inputs"][..., 0].astype(float)
        y, x = np.mgrid[:41, :41] - 20
        return (found * x).sum((1, 2)) / found.sum((1, 2)), (found * y).sum((1, 2)) / found.sum((1, 2))

    x, y = middle("rotate", 40)
    np.testing.assert_allclose(np.hypot(x, y), 10, atol=0.3)
    assert scipy.stats.kstest(np.degrees(np.arctan2(y, x)), scipy.stats.uniform(-40, 80).cdf).pvalue > 1e-4
    x, y = middle("scale", 0.5, 1.5)
    np.testing.assert_allclose(y, 0, atol=0.1)
    assert scipy.stats.kstest(np.log(x / 10), scipy.stats.uniform(np.log(0.5), np.log(3)).cdf).pvalue > 1e-4
    x, y = middle("translate", 0.1)
    for each in (x - 10, y):
        assert scipy.stats.kstest(each, scipy.stats.uniform(-4.1, 8.2).cdf).pvalue > 1e-4
    x, y = middle("shear", 30)
    across = np.abs(y) < 0.05  # a slant across leaves the middle row where it is
    assert across.mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(x, 10, atol=0.1)
    assert scipy.stats.kstest(np.degrees(np.arctan2(y, x))[~across], scipy.stats.uniform(-30, 60).cdf).pvalue > 1e-4


ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
    "sharpness": ImageEnhance.Sharpness,
}


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize("name", ENHANCERS)
def test_factors_are_pillows(name, num_channels):
    stack = pictures(num_channels)
    factors = np.linspace(0, 2.2, NUM_ROWS)
    found = getattr(colours, name)(stack, factors)
    for picture, factor, out in zip(stack, factors, found, strict=True):
        expected = np.asarray(ENHANCERS[name](Image.fromarray(picture.squeeze())).enhance(factor))
        np.testing.assert_array_equal(out.squeeze(), expected)


@pytest.mark.parametrize("num_channels", [1, 3])
def test_tables_of_levels_are_pillows(num_channels):
    shape = (60, 50)  # enough pixels for several of each level
    stack = np.concatenate([pictures(num_channels, shape)[:-1], np.full((1, *shape, num_channels), 77, np.uint8)])
    bits, threshold = np.arange(NUM_ROWS) % 8 + 1, np.arange(NUM_ROWS) * 23
    found = {
        "posterize": colours.posterize(stack, bits),
        "solarize": colours.solarize(stack, threshold),
        "equalize": colours.equalize(stack, bits),
        "autocontrast": colours.autocontrast(stack, bits),
    }
    for i, picture in enumerate(stack):
        image = Image.fromarray(picture.squeeze())
        expected = {
            "posterize": ImageOps.posterize(image, int(bits[i])),
            "solarize": ImageOps.solarize(image, int(threshold[i])),
            "equalize": ImageOps.equalize(image),
            "autocontrast": ImageOps.autocontrast(image),
        }
        for name, reference in expected.items():
            np.testing.assert_array_equal(found[name][i].squeeze(), np.asarray(reference), err_msg=name)


def test_hue_turns_the_circle():
    picture = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [80, 80, 80]]]], np.uint8)
    found = colours.hue(picture, np.array([1 / 3]))
    np.testing.assert_allclose(found[0, 0].astype(int), [[0, 255, 0], [0, 0, 255], [255, 0, 0], [80, 80, 80]], atol=4)
    np.testing.assert_allclose(colours.hue(picture, np.array([0.0])).astype(int), picture, atol=2)


def test_jitter_is_its_parts_in_order():
    stack, key = pictures(), keys()
    drawn = 2 * hashing.uniform(key, 4) - 1
    expected = colours.brightness(stack, 1 + 0.5 * drawn[:, 0])
    expected = colours.contrast(expected, 1 + 0.4 * drawn[:, 1])
    expected = colours.saturation(expected, 1 + 0.3 * drawn[:, 2])
    expected = colours.hue(expected, 0.2 * drawn[:, 3])
    np.testing.assert_array_equal(
        IMAGE["colour_jitter"](0.5, 0.4, 0.3, 0.2)({"inputs": stack}, key)["inputs"], expected
    )


def test_blur_is_scipys():
    stack = pictures()
    sigmas = np.linspace(0, 4, NUM_ROWS)
    found = noise.gaussian_blur(stack, sigmas)
    np.testing.assert_array_equal(found[0], stack[0])
    for picture, sigma, out in zip(stack[1:], sigmas[1:], found[1:], strict=True):
        expected = scipy.ndimage.gaussian_filter(picture.astype(float), (sigma, sigma, 0))
        assert np.abs(out - expected).max() < 0.51


def test_noise_is_normal():
    grey = np.full((4, 100, 100, 1), 128, np.uint8)
    found = noise.gaussian_noise(grey, keys(4), std=0.1).astype(float) - 128
    assert found.std() == pytest.approx(25.5, rel=0.02)
    assert abs(found.mean()) < 0.5
    deviates = hashing.normal(keys(4), 25001)
    assert deviates.shape == (4, 25001)
    assert scipy.stats.kstest(deviates.reshape(-1), scipy.stats.norm.cdf).pvalue > 1e-4
    assert abs(np.corrcoef(deviates[:, :-1:2].ravel(), deviates[:, 1::2].ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(deviates[:, :7], hashing.normal(keys(4), 7))


def test_erasing():
    stack = np.zeros((2000, 30, 40, 1), np.uint8)
    found = IMAGE["random_erasing"](0.4, 0.1, 0.3, 0.5)({"inputs": stack}, keys(2000))["inputs"][..., 0]
    erased = found.any((1, 2))
    assert erased.mean() == pytest.approx(0.4, abs=0.04)
    down, across = found.any(2).sum(1)[erased], found.any(1).sum(1)[erased]
    share, ratio = down * across / 1200, down / across
    assert 0.09 < share.min() < 0.12
    assert 0.27 < share.max() < 0.32
    assert 0.42 < ratio.min() < 0.6
    assert 1.6 < ratio.max() < 2.3
    levels = found[erased][found[erased] > 0]
    assert scipy.stats.chisquare(np.bincount(levels, minlength=256)[1:]).pvalue > 1e-4


def test_cutout_reaches_over_the_border():
    stack = np.full((1000, 12, 12, 1), 9, np.uint8)
    found = IMAGE["cutout"](6)({"inputs": stack}, keys(1000))["inputs"][..., 0] == 0
    down, across = found.any(2).sum(1), found.any(1).sum(1)
    assert (found.sum((1, 2)) == down * across).all()
    assert set(down.tolist()) == set(across.tolist()) == {3, 4, 5, 6}


def test_augmentation_draws_every_operation_equally_often():
    from input_pipeline.transforms.image import policies

    calls, amounts = dict.fromkeys(policies.RAND, 0), {}

    def counting(name):
        def change(images, by):
            calls[name] += len(images)
            amounts[name] = by
            return images

        return change

    table = {name: dataclasses.replace(each, change=counting(name)) for name, each in policies.RAND.items()}
    drawn = hashing.uniform(keys(7000), 3).T
    policies._each_its_own(table, np.zeros((7000, 1, 1, 1), np.uint8), *drawn)
    assert sum(calls.values()) == 7000
    assert scipy.stats.chisquare(list(calls.values())).pvalue > 1e-4
    assert (amounts["rotate"] > 0).mean() == pytest.approx(0.5, abs=0.1)  # either way
    assert np.abs(amounts["rotate"]).max() == pytest.approx(30, rel=0.02)
    assert (amounts["solarize"] <= 256).all()


@pytest.mark.parametrize(
    ("name", "share", "sign", "amount"),
    [
        ("rotate", 0.9, -1, -27),
        ("shear_x", 0.5, 1, 0.15),
        ("posterize", 1, 1, 4),
        ("solarize", 0.25, -1, 192),
        ("contrast", 1, -1, 0.1),
        ("brightness", 0.5, 1, 1.45),
        ("translate_y", 1, 1, 150 / 331),
    ],
)
def test_strengths_are_those_of_the_paper(name, share, sign, amount):
    from input_pipeline.transforms.image import policies

    got = []
    dataclasses.replace(policies.RAND[name], change=lambda _, by: got.append(by))(
        None, np.array([share]), np.array([sign])
    )
    assert got[0].tolist() == pytest.approx([amount])


def test_corruption_grows_with_its_strength():
    stack = pictures(shape=(40, 40))
    for kind in CORRUPTIONS:
        lost = [
            np.abs(IMAGE["corrupt"](kind, strength)({"inputs": stack}, keys())["inputs"].astype(int) - stack).mean()
            for strength in range(1, 6)
        ]
        assert all(after > before for before, after in itertools.pairwise(lost)), (kind, lost)
    square = IMAGE["corrupt"]("occlusion", 3)({"inputs": np.zeros_like(stack)}, keys())["inputs"]
    assert ((square == 127).sum((1, 2, 3)) == 16 * 16 * 3).all()


def test_chances_are_frozen():
    """What a run reads at a position never changes. Where it must, `transforms.FORMAT` changes too."""
    where = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1).repeat(4, axis=0)
    crops = IMAGE["random_crop"](4, 1)({"inputs": where}, keys(4))["inputs"][:, 1, 1, 0]
    flips = IMAGE["flip_lr"]()({"inputs": where}, keys(4))["inputs"][:, 0, 0, 0]
    boxes = IMAGE["inception_crop"](4).boxes(100, 80, keys(2))
    deviates = hashing.normal(keys(2), 2)
    assert crops.tolist() == [13, 36, 34, 53]
    assert flips.tolist() == [7, 0, 0, 0]
    assert boxes.tolist() == [[6, 3, 53, 44], [10, 14, 72, 96]]
    np.testing.assert_allclose(deviates, [[1.5042226, 1.0933795], [-0.7987318, -0.6180486]], rtol=1e-5)
