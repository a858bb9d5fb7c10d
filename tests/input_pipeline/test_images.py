"""Pictures of every kind become uint8 [H, W, C], and whatever cannot says so in a few words."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from input_pipeline import images
from input_pipeline.documents import BadRecord

pytestmark = pytest.mark.fast
COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [255, 255, 255], [90, 160, 30]]], np.uint8)
GREY = np.array([[0, 85, 255], [20, 130, 251]], np.uint8)


def saved(image, kind="PNG", **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def png(width, height, *, rows=b"", chunks=()):
    """A PNG of 8-bit grey that says what it is told, whatever its pixels are."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = b"".join(chunk(*each) for each in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_colours_and_grey():
    found = images.decode(saved(Image.fromarray(COLOURS)))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, COLOURS)
    np.testing.assert_array_equal(images.decode(saved(Image.fromarray(GREY)), channels=1), GREY[..., None])
    np.testing.assert_array_equal(images.decode(saved(Image.fromarray(GREY))), np.repeat(GREY[..., None], 3, axis=2))
    luma = np.rint(COLOURS @ [0.299, 0.587, 0.114])
    np.testing.assert_array_equal(images.decode(saved(Image.fromarray(COLOURS)), channels=1)[..., 0], luma)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"])
def test_every_format_is_read(kind):
    picture = np.full((16, 24, 3), (200, 40, 90), np.uint8)
    found = images.decode(saved(Image.fromarray(picture), kind))
    assert found.shape == picture.shape
    np.testing.assert_allclose(found, picture, atol=6)  # some of them lose a little


def test_bilevel_and_palette():
    found = images.decode(saved(Image.fromarray(GREY > 100)), channels=1)
    np.testing.assert_array_equal(found[..., 0], np.where(GREY > 100, 255, 0))
    palette = Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE, colors=6)
    np.testing.assert_array_equal(images.decode(saved(palette)), COLOURS)


@pytest.mark.parametrize("alpha", [0, 100, 255])
def test_what_is_transparent_lies_on_white(alpha):
    opacity = alpha / 255
    rgba = np.concatenate([COLOURS, np.full((2, 3, 1), alpha, np.uint8)], axis=2)
    expected = COLOURS * opacity + 255 * (1 - opacity)
    np.testing.assert_allclose(images.decode(saved(Image.fromarray(rgba))), expected, atol=1)
    grey = np.stack([GREY, np.full_like(GREY, alpha)], axis=2)
    expected = GREY * opacity + 255 * (1 - opacity)
    np.testing.assert_allclose(images.decode(saved(Image.fromarray(grey)), channels=1)[..., 0], expected, atol=1)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_white(mode):
    picture = Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE, colors=6).convert(mode)
    hidden = picture.getpixel((0, 0))
    found = images.decode(saved(picture, transparency=hidden))
    assert found[0, 0].tolist() == [255, 255, 255]
    plain = images.decode(saved(picture))
    assert plain[0, 0].tolist() != [255, 255, 255]
    np.testing.assert_array_equal(found[1], plain[1])


def test_cmyk_and_16_bits():
    cmyk = Image.fromarray(np.full((8, 8, 3), (10, 200, 90), np.uint8)).convert("CMYK")
    np.testing.assert_allclose(images.decode(saved(cmyk, "JPEG", quality=95)), np.asarray(cmyk.convert("RGB")), atol=3)
    deep = GREY.astype(np.uint16) * 257
    for kind in ("PNG", "TIFF", "PPM"):
        np.testing.assert_array_equal(images.decode(saved(Image.fromarray(deep), kind), channels=1)[..., 0], GREY)
    np.testing.assert_array_equal(images.decode(saved(Image.fromarray(deep)))[..., 2], GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright(orientation):
    """EXIF 2.32, tag 0x0112: which corner the first pixel of the file belongs to."""
    stored = {
        1: lambda x: x,
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        5: lambda x: np.swapaxes(x, 0, 1),
        6: np.rot90,
        7: lambda x: np.rot90(np.swapaxes(x, 0, 1), 2),
        8: lambda x: np.rot90(x, -1),
    }[orientation](COLOURS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "TIFF"):
        found = images.decode(saved(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif))
        np.testing.assert_array_equal(found, COLOURS)


def test_of_an_animation_the_first_picture_counts():
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    found = images.decode(saved(first, "GIF", save_all=True, append_images=[second]))
    assert (found == [255, 0, 0]).all()


NOISE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "^empty$"),
        (b"no picture at all", "^no picture in a known format"),
        (b"\x00" * 100, "^no picture in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "^no picture in a known format"),
        (saved(Image.fromarray(NOISE), "JPEG")[:1500], "^truncated picture: "),
        (saved(Image.fromarray(NOISE), "PNG")[:2500], "^truncated picture: "),
        (saved(Image.fromarray(NOISE), "PNG")[:20], "picture"),
        (saved(Image.fromarray(NOISE), "BMP")[:-900], "^truncated picture: "),
        (saved(Image.fromarray(NOISE), "GIF")[:900], "^truncated picture"),
        (png(100_000, 100_000), "pixels$"),
        (png(20_000, 20_000), "pixels$"),
        (png(2_000, 600), "^2000 x 600 are more than 1,000,000 pixels$"),
        (png(20, 20, rows=b"\0" * 30), "^truncated picture"),
        (png(20, 20, chunks=[(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))]), "picture"),
        (saved(Image.fromarray(np.ones((3, 3), np.float32)), "TIFF"), "^pixels of mode F"),
        (saved(Image.fromarray(np.full((3, 3), 70_000, np.int32)), "TIFF"), "^pixels of 32 bits"),
    ],
)
def test_bad_pictures_say_why(raw, says):
    with pytest.raises(BadRecord, match=says) as found:
        images.decode(raw, max_pixels=10**6)
    assert len(str(found.value)) < 120
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_damage_is_a_bad_record_or_a_picture(kind):
    """A hundred files of each format with bytes overwritten: nothing but BadRecord comes out, and no warning."""
    raw = saved(Image.fromarray(NOISE), kind)
    rng = np.random.default_rng(1)
    bad = 0
    for _ in range(100):
        damaged = np.frombuffer(raw, np.uint8).copy()
        where = rng.integers(0, min(len(raw), 400), 4)
        damaged[where] = rng.integers(0, 256, 4)
        try:
            assert images.decode(damaged.tobytes(), max_pixels=10**6).dtype == np.uint8
        except BadRecord:
            bad += 1
    assert bad
    for length in range(1, 90):
        with pytest.raises(BadRecord):
            images.decode(raw[:length])


def test_pillow_warns_nobody():
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\x01\0\0\0\x99"
    raw = saved(Image.fromarray(NOISE), "JPEG", exif=exif)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        images.decode(raw)
        with pytest.raises(BadRecord):
            images.decode(png(11_000, 11_000), max_pixels=10**6)
    assert not told
