"""Each defect of a picture, made by code, meets its rule; what is changed is changed as said."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image, ImageOps

from input_pipeline import images
from input_pipeline.clean.record import CHANGED, REMOVED, Record
from input_pipeline.clean.steps import line
from input_pipeline.clean.steps.image import laplacian, spread

pytestmark = pytest.mark.fast
PHOTO = scipy.ndimage.gaussian_filter(np.random.default_rng(0).random((96, 128, 3)), (1, 1, 0))
PHOTO = np.uint8(255 * (PHOTO - PHOTO.min()) / np.ptp(PHOTO))


def saved(image, format="PNG", **how):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, format, **how)
    return file.getvalue()


def opened(payload):
    return Image.open(io.BytesIO(payload))


def png(width, height, data=b""):
    """A PNG of 8-bit grey that claims a size."""
    chunk = lambda name, content: (
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    )
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def run(operations, payload):
    """(rules with values, payload or None)."""
    (step,) = line(operations, modality="image")
    records, entries = step([Record("x", payload=payload)])
    assert [e.action for e in entries].count(REMOVED) == 1 - len(records)
    return [(e.rule, e.value) for e in entries], records[0].payload if records else None


def removed_by(operations, payload):
    found, left = run(operations, payload)
    assert left is None
    return found[-1]


PNG, JPEG = saved(PHOTO), saved(PHOTO, "JPEG")


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "format"),  # Pillow would start Ghostscript
        (PNG[: len(PNG) // 2], "truncated"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (PNG[:-40] + bytes(20) + PNG[-20:], "corrupt"),
        (png(60_000, 60_000), "pixels"),
        (png(9_000, 9_000, bytes(9_001 * 20)), "pixels"),
        (JPEG[:-2] + b"\xff\xda\0\0" * 100 + JPEG[-2:], "scans"),
        (saved(np.full((9, 9), 2**20, np.int32), "TIFF"), "mode"),
    ],
)
def test_what_cannot_be_decoded(payload, rule):
    assert removed_by("decodable(50_000_000)|mode('RGB')", payload)[0] == f"decodable.{rule}"


def test_a_bomb_is_told_by_its_header():
    bomb = png(7_000, 7_100, bytes(7_001 * 7_100))  # 50 MB of pixels in 50 KB
    tracemalloc.start()
    found = removed_by("decodable(49_000_000)", bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ("decodable.pixels", 49_700_000)
    assert peak < 2_000_000


def test_a_film_of_thousands_of_frames_is_decoded_for_its_first():
    frames = [Image.fromarray(np.full((4, 4), n % 251, np.uint8)) for n in range(2000)]
    film = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=1)
    rules, left = run("first_frame", film)
    assert rules == [("first_frame.frames", 2000)]
    assert (opened(left).format, getattr(opened(left), "n_frames", 1)) == ("PNG", 1)
    np.testing.assert_array_equal(np.asarray(opened(left).convert("L")), 0)


def test_a_camera_s_previews_are_no_frames():
    mpo = saved(PHOTO, "MPO", save_all=True, append_images=[Image.fromarray(PHOTO[:48, :64])])
    assert opened(mpo).n_frames == 2
    assert run("first_frame", mpo) == ([], mpo)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_upright(orientation, format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = {"JPEG": dict(quality=100, subsampling=0), "WEBP": dict(lossless=True)}.get(format, {})
    payload = saved(PHOTO, format, exif=exif, **how)
    rules, left = run("upright", payload)
    if orientation == 1:
        assert (rules, left) == ([], payload)
        return
    assert rules == [("upright.orientation", orientation)]
    assert not opened(left).getexif()
    expected = ImageOps.exif_transpose(opened(payload))
    np.testing.assert_array_equal(np.asarray(opened(left)), np.asarray(expected))
    assert run("upright", left) == ([], left)


def test_what_is_re_encoded_without_upright_does_not_come_to_lie():
    exif = Image.Exif()
    exif[0x0112] = 8
    assert opened(run("encode('webp')", saved(PHOTO, "JPEG", exif=exif))[1]).size == (96, 128)


def test_size_and_aspect():
    small = saved(PHOTO[:31])
    assert removed_by("min_size(32)", small) == ("min_size.side", 31)
    assert run("min_size(31)", small)[1] == small
    assert removed_by("max_aspect(4.0)", small)[0] == "max_aspect.ratio"
    assert removed_by("max_aspect(4.0)", small)[1] == pytest.approx(128 / 31, abs=1e-6)
    assert run("max_aspect(4.0)", saved(PHOTO[:32]))[0] == []


def test_modes():
    rgba = np.dstack([PHOTO, np.tile(np.arange(128, dtype=np.uint8), (96, 1))])
    palette = Image.fromarray(PHOTO).quantize(17)
    grey16 = Image.fromarray(PHOTO[..., 0].astype(np.uint16) * 257)
    cases = {
        "P": saved(palette),
        "RGBA": saved(rgba),
        "LA": saved(Image.fromarray(rgba[..., [0, 3]], "LA")),
        "CMYK": saved(Image.fromarray(PHOTO).convert("CMYK"), "TIFF"),
        "1": saved(Image.fromarray(PHOTO[..., 0] > 99)),
        "I;16": saved(grey16),
        "L with transparency": saved(Image.fromarray(PHOTO[..., 0]), transparency=7),
    }
    for mode, payload in cases.items():
        rules, left = run("mode('RGB')", payload)
        assert rules == [("mode.mode", mode)]
        assert opened(left).mode == "RGB"
        np.testing.assert_array_equal(np.asarray(opened(left)), images.decode(payload))
    assert run("mode('RGB')", PNG) == ([], PNG)
    assert run("mode('L')", PNG)[0] == [("mode.mode", "RGB")]
    over = rgba[..., :3] * (rgba[..., 3:] / 255) + 255 * (1 - rgba[..., 3:] / 255)
    np.testing.assert_allclose(np.asarray(opened(run("mode('RGB')", cases["RGBA"])[1])), over, atol=1)


def test_blank():
    even = np.full((200, 200, 3), (200, 30, 90), np.uint8)
    assert removed_by("not_blank", saved(even)) == ("not_blank.std", 0)
    noisy = np.uint8(np.clip(even + np.random.default_rng(0).normal(size=even.shape), 0, 255))
    assert removed_by("not_blank", saved(noisy))[0] == "not_blank.std"
    spot = even.copy()
    spot[:5, :5] = 255 - even[:5, :5]
    assert run("not_blank", saved(spot))[0] == []
    equal_luma = np.zeros((64, 64, 3), np.uint8)
    equal_luma[:32], equal_luma[32:] = (149, 0, 0), (0, 76, 0)  # 44.6 of luma, both
    assert run("not_blank", saved(equal_luma))[0] == []
    white_on_nothing = np.dstack([np.full((64, 64, 3), 255, np.uint8), np.uint8(PHOTO[:64, :64, 0])])
    assert removed_by("not_blank", saved(white_on_nothing)) == ("not_blank.std", 0)  # on white


def test_spread_is_the_standard_deviation():
    counts = np.stack([np.bincount(PHOTO[..., c].ravel(), minlength=256) for c in range(3)])
    np.testing.assert_allclose(spread(counts), PHOTO.reshape(-1, 3).std(0), rtol=1e-12)


def test_laplacian_is_that_of_scipy():
    luma = PHOTO[..., 1]
    np.testing.assert_array_equal(laplacian(luma), scipy.ndimage.laplace(luma.astype(float), mode="reflect"))
    assert laplacian(luma[:1, :1]).tolist() == [[0.0]]


def test_blurred():
    luma = np.asarray(Image.fromarray(PHOTO).convert("L"))
    sharp = scipy.ndimage.laplace(luma.astype(float)).var()
    assert removed_by(f"not_blurred({sharp + 1})", PNG) == ("not_blurred.variance", pytest.approx(sharp, abs=1e-6))
    assert run(f"not_blurred({sharp - 1})", PNG)[0] == []
    blurred = np.uint8(scipy.ndimage.gaussian_filter(PHOTO.astype(float), (4, 4, 0)))
    assert removed_by("not_blurred", saved(blurred))[0] == "not_blurred.variance"
    # Enlarged eight times, every edge is soft; brought to one size, it is the picture that it was.
    large = saved(Image.fromarray(PHOTO).resize((1024, 768), Image.Resampling.NEAREST))
    assert run(f"not_blurred({sharp - 1}, 128)", large)[0] == []


def test_shrink_to():
    rules, left = run("shrink_to(64)", PNG)
    assert rules == [("shrink_to.side", 128)]
    assert opened(left).size == (64, 48)
    expected = Image.fromarray(PHOTO).resize((64, 48), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(opened(left)).astype(int) - np.asarray(expected)).mean() < 1
    assert run("shrink_to(128)", PNG) == ([], PNG)
    assert opened(run("shrink_to(3)", saved(PHOTO[:1]))[1]).size == (3, 1)  # no side becomes 0


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_equal_pixels_are_equal_bytes_without_metadata(format):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    plain = saved(PHOTO, "TIFF")
    told = saved(PHOTO, "PNG", exif=exif, icc_profile=b"p" * 200, compress_level=1)
    _, one = run(f"encode('{format}')", plain)
    rules, other = run(f"encode('{format}')", told)
    assert one == other
    assert rules[0] == (("encode.metadata", "exif, icc_profile") if format == "png" else ("encode.format", "png"))
    assert opened(other).format.lower() == format
    assert not opened(other).getexif()
    assert "icc_profile" not in opened(other).info
    assert run(f"encode('{format}')", one) == ([], one)


def test_a_jpeg_is_not_written_again_for_nothing():
    assert run("decodable|encode('jpeg')", JPEG) == ([], JPEG)
    assert run("decodable|encode('jpeg')", saved(PHOTO, "JPEG", comment=b"mine"))[0] == [("encode.metadata", "comment")]


def test_a_png_is_written_anew_so_that_exact_duplicates_are_found():
    loose = saved(PHOTO, compress_level=0)
    rules, left = run("encode('png')", loose)
    assert rules == [("encode.bytes", len(loose))]
    assert left == run("encode('png')", saved(PHOTO, "BMP"))[1]


def test_entries_say_what_the_picture_was():
    (step,) = line("mode('L')|encode('webp')", modality="image")
    entries = step([Record("x", payload=PNG)]).entries
    assert [(e.excerpt, e.action) for e in entries] == [("PNG, 128 x 96, RGB", CHANGED)] * 2
