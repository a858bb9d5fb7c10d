"""Operations on pictures: what cannot be used is removed, what remains becomes alike.

A line such as "decodable(50_000_000)|upright|min_size(32)|mode('RGB')|shrink_to(1024)|encode('png')" decodes and
encodes each picture once (`media.Line`). Changed pictures are written as PNG where the line has no `encode`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, UInt8

from input_pipeline import images
from input_pipeline.clean.record import CHANGED
from input_pipeline.clean.steps import picture
from input_pipeline.clean.steps.media import Finding, Operation
from input_pipeline.clean.steps.picture import Picture

_MODES = ("L", "RGB")


class OnPicture(Operation):
    """An operation whose payloads are pictures."""

    hold: ClassVar[type[Any]] = Picture


@dataclass(frozen=True)
class Decodable(OnPicture):
    """Removes what is empty, in no known format, truncated, corrupt, or larger than `max_pixels`.

    The size is read from the header, before any pixel is decoded. Decoding takes up to 4 bytes a pixel, and the
    operations that follow up to twice as much again. What a picture's length in frames may be is not limited: the
    first alone is decoded.
    """

    max_pixels: int = images.MAX_PIXELS

    def __post_init__(self) -> None:
        if not 1 <= self.max_pixels <= images.GREATEST_MAX_PIXELS:
            expected = f"1 to {images.GREATEST_MAX_PIXELS:,}, the most that Pillow opens"
            raise ValueError(f"max_pixels: expected {expected}, got {self.max_pixels}")

    def on(self, held: Picture) -> Finding | None:
        held.max_pixels = self.max_pixels
        num_pixels = held.header.width * held.header.height
        if num_pixels > self.max_pixels:
            return Finding("decodable.pixels", num_pixels, self.max_pixels)
        held.verify()
        _ = held.image  # decodes it, or raises
        return None


@dataclass(frozen=True)
class MinSize(OnPicture):
    """Removes pictures whose shorter side has fewer pixels than `side`.

    The default is that of OBELICS, H. Laurençon et al. 2023, and of MMC4, W. Zhu et al. 2023: 150.
    """

    side: int = 150

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"side: expected 1 or more pixels, got {self.side}")

    def on(self, held: Picture) -> Finding | None:
        shorter = min(held.size)
        return Finding("min_size.side", shorter, self.side) if shorter < self.side else None


@dataclass(frozen=True)
class MaxAspect(OnPicture):
    """Removes pictures whose longer side is more than `ratio` times the shorter.

    The default is that of OBELICS, H. Laurençon et al. 2023, and of MMC4, W. Zhu et al. 2023: 2.
    """

    ratio: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.ratio < np.inf:
            raise ValueError(f"ratio: expected 1 or more, got {self.ratio}")

    def on(self, held: Picture) -> Finding | None:
        ratio = max(held.size) / min(held.size)
        return Finding("max_aspect.ratio", ratio, self.ratio) if ratio > self.ratio else None


@dataclass(frozen=True)
class FirstFrame(OnPicture):
    """Of an animation, or of a file of several pages, the first picture stays."""

    def on(self, held: Picture) -> Finding | None:
        if held.header.num_frames == 1:
            return None
        found = Finding("first_frame.frames", held.header.num_frames, 1, CHANGED)
        held.become(held.image)
        return found


@dataclass(frozen=True)
class Upright(OnPicture):
    """Turns and mirrors the pixels as the EXIF orientation says, so that readers who ignore it see the same picture."""

    def on(self, held: Picture) -> Finding | None:
        image = held.image
        if held.orientation == picture.UPRIGHT:
            return None
        held.become(image)  # it stands upright already
        return Finding("upright.orientation", held.orientation, picture.UPRIGHT, CHANGED)


@dataclass(frozen=True)
class Mode(OnPicture):
    """Makes pictures grey ("L", luma of ITU-R BT.601-2) or coloured ("RGB"), 8 bits a channel.

    Palettes, CMYK, 1 and 16 bits are converted; what is transparent comes to lie on white. Colour profiles are not
    applied. Pixels of 32 bits, whose black and white nobody knows, fall to `decodable.mode`.
    """

    mode: str = "RGB"

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ValueError(f"mode: expected {' or '.join(map(repr, _MODES))}, got {self.mode!r}")

    def on(self, held: Picture) -> Finding | None:
        before = held.image.mode + (" with transparency" if "transparency" in held.image.info else "")
        if before == self.mode:
            return None
        held.become(images.in_mode(held.image, self.mode))
        return Finding("mode.mode", before, self.mode, CHANGED)


@dataclass(frozen=True)
class NotBlank(OnPicture):
    """Removes pictures of nearly one colour, as they look on white: no channel spreads by `min_std` or more.

    Values are 0 to 255. The default of 2 lies above the noise of a camera or of JPEG on an even surface, about 1,
    and below a picture that is even but for a spot: black on white, that is one pixel in 16,000.
    """

    min_std: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.min_std <= 127.5:
            raise ValueError(f"min_std: expected a number above 0, 127.5 at most, got {self.min_std}")

    def on(self, held: Picture) -> Finding | None:
        image = held.image if held.image.mode == "L" else images.in_mode(held.image, "RGB")
        std = float(spread(np.array(image.histogram()).reshape(-1, 256)).max())
        return Finding("not_blank.std", std, self.min_std) if std < self.min_std else None


def spread(counts_C256: np.ndarray) -> Float64[np.ndarray, "C"]:
    """The standard deviation of each channel, from how often each of the values 0 to 255 occurs."""
    values, total_C = np.arange(256), counts_C256.sum(1)
    mean_C = counts_C256 @ values / total_C
    return np.sqrt((counts_C256 * (values - mean_C[:, None]) ** 2).sum(1) / total_C)


@dataclass(frozen=True)
class NotBlurred(OnPicture):
    """Removes pictures without sharp edges: the variance of the Laplacian of their luma is below `min_variance`.

    J. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study", ICPR 2000 (LAPV). They
    compare pictures of one scene and name no threshold; the default of 100, for pictures about 500 pixels wide, is that
    of A. Rosebrock, "Blur detection with OpenCV", 2015. So that it means the same for every camera, a picture
    whose longer side exceeds `side` is first brought to it by averaging. Few edges count as soft ones do: a flag or a
    drawing of large even fields falls too, so this is a rule for photographs.
    """

    min_variance: float = 100.0
    side: int = 512

    def __post_init__(self) -> None:
        if not 0 < self.min_variance < np.inf:
            raise ValueError(f"min_variance: expected a number above 0, got {self.min_variance}")
        if self.side < 3:
            raise ValueError(f"side: expected 3 or more pixels, got {self.side}")

    def on(self, held: Picture) -> Finding | None:
        from PIL import Image

        luma = held.luma()
        if max(luma.size) > self.side:
            luma = luma.resize(_within(luma.size, self.side), Image.Resampling.BOX)
        variance = float(laplacian(np.asarray(luma)).var())
        return Finding("not_blurred.variance", variance, self.min_variance) if variance < self.min_variance else None


def laplacian(luma_HW: UInt8[np.ndarray, "H W"]) -> Float64[np.ndarray, "H W"]:
    """The sum of the four neighbours less four times the pixel; beyond an edge, pixels repeat."""
    x = np.pad(luma_HW.astype(np.int32), 1, mode="edge")
    middle = x[1:-1, 1:-1]
    return (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:] - 4 * middle).astype(np.float64)


@dataclass(frozen=True)
class ShrinkTo(OnPicture):
    """Brings a longer side above `side` down to it, keeping proportions (Lanczos). Nothing is enlarged.

    Palettes and the like become RGB on the way, since their values cannot be averaged.
    """

    side: int = 1024

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"side: expected 1 or more pixels, got {self.side}")

    def on(self, held: Picture) -> Finding | None:
        from PIL import Image

        longer = max(held.size)
        if longer <= self.side:
            return None
        image = held.image if held.image.mode in _MODES else images.in_mode(held.image, "RGB")
        # Averaged to thrice the size first: as good to the eye, and several times as fast for large pictures.
        small = image.resize(_within(image.size, self.side), Image.Resampling.LANCZOS, reducing_gap=3.0)
        held.become(small)
        return Finding("shrink_to.side", longer, self.side, CHANGED)


def _within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height in the same proportion, the longer of them `side`."""
    longer = max(size)
    width, height = (max(1, (2 * x * side + longer) // (2 * longer)) for x in size)
    return width, height


@dataclass(frozen=True)
class Encode(OnPicture):
    """Writes pictures in one format, "png", "jpeg" or "webp", without metadata: EXIF may hold a place and a name.

    PNG is written anew in any case, so that equal pixels are equal bytes and exact duplicates, whoever wrote them
    before, as long as the version of Pillow is the same. A JPEG or WebP that holds nothing but the picture stays as it
    is, if it is to be one and nothing has changed, since it would lose by being written again.

    Attributes:
      quality: of jpeg and webp, 1 to 100.
    """

    format: str = "png"
    quality: int = 95

    def __post_init__(self) -> None:
        if self.format not in picture.FORMATS:
            raise ValueError(f"format: expected one of {', '.join(map(repr, picture.FORMATS))}, got {self.format!r}")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality: expected 1 to 100, got {self.quality}")

    def on(self, held: Picture) -> Finding | None:
        was_changed, before = held.is_changed, held.payload_bytes
        _ = held.image
        format, metadata = held.header.format.lower(), ", ".join(held.metadata)
        if was_changed or metadata or format != self.format or self.format == picture.LOSSLESS:
            held.encode(self.format, **({} if self.format == picture.LOSSLESS else {"quality": self.quality}))
        if format != self.format:
            return Finding("encode.format", format, self.format, CHANGED)
        if metadata:
            return Finding("encode.metadata", metadata, "", CHANGED)
        is_same = was_changed or held.payload_bytes == before
        return None if is_same else Finding("encode.bytes", len(before), len(held.payload_bytes), CHANGED)


IMAGE: Mapping[str, Callable[..., OnPicture]] = {
    "decodable": Decodable,
    "first_frame": FirstFrame,
    "upright": Upright,
    "min_size": MinSize,
    "max_aspect": MaxAspect,
    "mode": Mode,
    "not_blank": NotBlank,
    "not_blurred": NotBlurred,
    "shrink_to": ShrinkTo,
    "encode": Encode,
}
