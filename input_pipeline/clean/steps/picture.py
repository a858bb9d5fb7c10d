"""A picture while a line of operations is at work on it: its header, its pixels when they are first asked for."""

import contextlib
import io
from typing import Any, NamedTuple

from input_pipeline import images
from input_pipeline.clean.steps.media import Held

ORIENTATION = 0x0112  # EXIF 2.32, table 4
UPRIGHT = 1
_METADATA = ("exif", "xmp", "XML:com.adobe.xmp", "icc_profile", "comment", "photoshop")
LOSSLESS = "png"
# Level 4 of zlib: against 6, files are 4 % larger and written in three quarters of the time. No format writes a time or
# a version, so equal pixels are equal bytes.
_SAVED: dict[str, dict[str, Any]] = {"png": dict(compress_level=4), "jpeg": {}, "webp": dict(method=4)}
FORMATS = tuple(_SAVED)
_WRITABLE = {"png": ("1", "L", "LA", "P", "RGB", "RGBA"), "jpeg": ("L", "RGB"), "webp": ("RGB", "RGBA")}


class Header(NamedTuple):
    """What a file says of itself before a pixel is decoded."""

    format: str
    width: int
    height: int
    mode: str  # of Pillow
    num_frames: int


class Picture(Held):
    """One payload. Its image is decoded once, stands upright, and of several frames is the first.

    Attributes:
      max_pixels: the greatest width times height that is decoded.
      orientation: what EXIF said of the pixels as they lay in the file, 1 for upright.
      metadata: names of what the file holds beside its picture.
    """

    def __init__(self, payload: bytes) -> None:
        self.max_pixels = images.MAX_PIXELS
        self._description = ""
        self._take(payload)

    def _take(self, payload: bytes) -> None:
        self.payload_bytes, self.is_changed = payload, False
        self._header: Header | None = None
        self._image: Any = None
        self.orientation = UPRIGHT
        self.metadata: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self._description

    @property
    def header(self) -> Header:
        """Of the payload as it came, or as it was last encoded."""
        if self._header is None:
            with images.opened(self.payload_bytes, max_pixels=images.GREATEST_MAX_PIXELS) as image:
                self._read(image)
        assert self._header
        return self._header

    def _read(self, image: Any) -> None:
        self._header = _header(image)
        self._description = self._description or "{}, {} x {}, {}".format(*self._header)
        image.seek(0)  # counting the frames has moved it

    def verify(self) -> None:
        """Raises a BadRecord if a checksum of a PNG is wrong: Pillow decodes on, and shows what is not there."""
        with images.opened(self.payload_bytes, max_pixels=self.max_pixels) as image:
            image.verify()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as the file has them until the image is decoded."""
        return self._image.size if self._image else (self.header.width, self.header.height)

    @property
    def image(self) -> Any:
        """A `PIL.Image`, decoded, not to be changed in place."""
        if self._image is None:
            with images.opened(self.payload_bytes, max_pixels=self.max_pixels) as image:
                self._read(image)
                self.metadata = _metadata(image)
                self.orientation = _orientation(image)
                self._image = images.upright(image)
            kept = self._image.info.get("transparency")
            self._image.info = {} if kept is None else {"transparency": kept}
        return self._image

    def become(self, image: Any) -> None:
        """Takes the place of what was decoded."""
        self._image, self.is_changed = image, True

    def luma(self) -> Any:
        """A `PIL.Image` of mode L, what is transparent on white: luma of ITU-R BT.601-2."""
        return images.in_mode(self.image, "L")

    def payload(self) -> bytes:
        if self.is_changed:
            self.encode(LOSSLESS)
        return self.payload_bytes

    def encode(self, format: str, **how: Any) -> None:
        """Writes the image without metadata. What follows sees the picture as a reader of these bytes will."""
        image, file = self.image, io.BytesIO()
        if image.mode not in _WRITABLE[format] or ("transparency" in image.info and format == "jpeg"):
            image = images.in_mode(image, "RGB")
        image.save(file, format, **_SAVED[format], **how)
        self._take(file.getvalue())


def _header(image: Any) -> Header:
    # A camera's MPO is a JPEG with previews behind it, which no reader takes for a film.
    is_film = getattr(image, "is_animated", False) and image.format != "MPO"
    format = "JPEG" if image.format == "MPO" else image.format
    return Header(format, image.width, image.height, image.mode, image.n_frames if is_film else 1)


def _metadata(image: Any) -> tuple[str, ...]:
    found = [name for name in _METADATA if image.info.get(name)]
    return (*found, "text") if getattr(image, "text", None) else tuple(found)


def _orientation(image: Any) -> int:
    """1 to 8; one that is broken is none."""
    image.load()  # behind which PNG may have its EXIF data
    with contextlib.suppress(*images.BROKEN):
        found = image.getexif().get(ORIENTATION, UPRIGHT)
        return found if found in range(1, 9) else UPRIGHT
    return UPRIGHT
