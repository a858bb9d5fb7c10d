"""Pictures from bytes: the common formats and colour modes become uint8 [H, W, C], or a BadRecord that says why not.

Sizes are looked at before pixels are, so that a small file cannot fill the memory. A picture stands as its EXIF
orientation says, and what is transparent lies on white. Of an animation, the first picture counts.
"""

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import numpy as np
from jaxtyping import UInt8

from input_pipeline.documents import BadRecord

RECIPE = f"images 3, Pillow {metadata.version('pillow')}"  # changes whenever another file would be bad
LONGEST = 100  # times the shorter side
MAX_PIXELS = 2**26  # of a picture, unless told otherwise: 192 MiB of colours
# Pillow refuses to open more than twice its own Image.MAX_IMAGE_PIXELS, whatever it is asked.
GREATEST_MAX_PIXELS = 178_956_970
# Those that Pillow reads by itself; some others start a program, or fetch what they name.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
_MODES = {1: "L", 3: "RGB"}
_OPAQUE = ("1", "L", "RGB", "CMYK", "YCbCr", "HSV")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
# What Pillow raises for bytes that are not what their beginning promises.
BROKEN = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError),
    *(struct.error, zlib.error),
)
# Each scan of a progressive JPEG goes over the whole picture, and can be a few bytes long. Encoders write about ten.
_MAX_SCANS = 100
_SCAN = b"\xff\xda"  # a marker; the data of a scan have no other byte than 0 behind a 255


def decode(raw: bytes, *, channels: int = 3, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "H W {channels}"]:
    """The picture in these bytes, upright, 0 black to 255 white; not to be written to.

    Args:
      channels: 1 for grey (luma of ITU-R 601-2), 3 for red, green and blue.
      max_pixels: the greatest width times height, up to GREATEST_MAX_PIXELS.

    Raises:
      BadRecord: no bytes, no known format, more pixels than allowed, or pixels that cannot be read.
    """
    with opened(raw, max_pixels=max_pixels) as image:
        if max(image.size) > LONGEST * min(image.size):  # resized by its shorter side, it would fill the memory
            words = f"{image.width} x {image.height}: one side is more than {LONGEST} times the other"
            raise BadRecord(words, "aspect")
        pixels = np.asarray(in_mode(upright(image), _MODES[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


@contextlib.contextmanager
def opened(raw: bytes, *, max_pixels: int = MAX_PIXELS) -> Iterator[Any]:
    """A `PIL.Image` of which the header alone has been read. Whatever fails in the block is held against the bytes.

    Args:
      max_pixels: the greatest width times height, up to GREATEST_MAX_PIXELS.

    Raises:
      BadRecord: no bytes, no known format, more pixels than allowed, or bytes that cannot be read.
    """
    from PIL import Image

    if not raw:
        raise BadRecord("empty", "empty")
    with _without_warnings():
        try:
            with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
                _check_size(image, raw, max_pixels)
                yield image
        except BadRecord:
            raise
        except Image.UnidentifiedImageError:
            raise BadRecord(f"no picture in a known format ({', '.join(FORMATS)})", "format") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise BadRecord(f"more than {max_pixels:,} pixels", "pixels") from None
        except BROKEN as error:
            raise _broken(error) from None


def _check_size(image: Any, raw: bytes, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise BadRecord(f"{image.width} x {image.height} are more than {max_pixels:,} pixels", "pixels")
    if image.format in ("JPEG", "MPO") and raw.count(_SCAN) > _MAX_SCANS:
        raise BadRecord(f"a JPEG of more than {_MAX_SCANS} scans", "scans")


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """What Pillow would warn of is either a reason to refuse a picture or none of the user's business."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


def _broken(error: BaseException) -> BadRecord:
    """Why, short, in one line, without the addresses of objects that some of Pillow's messages hold."""
    message = " ".join(str(error).split("<")[0].split()).strip(" :'\"")
    kind = "truncated" if "truncated" in message.lower() or isinstance(error, EOFError) else "corrupt"
    return BadRecord(f"{kind} picture: {message[:80]}" if message else f"{kind} picture", kind)


def channels(raw: bytes) -> int:
    """How many numbers of 8 bits a pixel has: 1, 3 or 4; 0 for palettes, 16 bits and what does not open."""
    try:
        with opened(raw) as image:
            return {"L": 1, "RGB": 3, "RGBA": 4}.get(image.mode, 0)
    except BadRecord:
        return 0


def upright(image: Any) -> Any:
    """Turned as its EXIF data say; a picture whose EXIF data are broken stays as it lies."""
    from PIL import ImageOps

    image.load()
    with contextlib.suppress(*BROKEN):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def in_mode(image: Any, mode: str) -> Any:
    """The picture in Pillow's mode "L" or "RGB"."""
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16 bits, some of them held in 32
        return _from_16_bits(image).convert(mode)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return _on_white(image.convert("RGBA")).convert(mode)
    if image.mode == "P":
        return image.convert("RGB").convert(mode)
    if image.mode not in _OPAQUE:
        raise BadRecord(f"pixels of mode {image.mode}, expected 8 or 16 bits of grey or colour", "mode")
    return image.convert(mode)


def _from_16_bits(image: Any) -> Any:
    from PIL import Image

    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 0xFFFF:
        raise BadRecord("pixels of 32 bits, expected 8 or 16", "mode")
    return Image.fromarray((levels >> 8).astype(np.uint8))


def _on_white(image: Any) -> Any:
    from PIL import Image

    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")
