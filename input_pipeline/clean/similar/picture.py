"""Near-duplicate pictures: 64 signs of a discrete cosine transform, and where the colours lie.

C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1, as the library
pHash has it: luma at 32 x 32, its DCT, of this the 8 x 8 lowest frequencies but for those that are constant along a
side, and of each a bit: whether it is above their median.

All pairs of pictures that differ in at most d bits share a key. The bits lie in d + `agree` blocks; d bits change d
blocks at most, so `agree` of them are the same, and each choice of so many blocks is a key (G. Manku, A. Jain, A. Das
Sarma, "Detecting Near-Duplicates for Web Crawling", WWW 2007, section 3).
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, UInt8, UInt64

from input_pipeline import hashing, images
from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import exact
from input_pipeline.clean.similar.sketch import Evidence, Sketches, offsets_of
from input_pipeline.documents import BadRecord

BITS = 64
_SIDE, _LOWEST = 32, 8
_DRAFT = 4 * _SIDE  # a JPEG is decoded at the least eighth, quarter or half of its size that is no smaller
_MIN_STD = 4.0  # of luma at 32 x 32, 0 to 255: below, noise decides about the signs
_MAX_DISTANCE = 8  # beyond, blocks are so short that most pictures share one
_CELLS = 4  # a side, for colours
_LUMA = np.array([299, 587, 114])  # thousandths, ITU-R BT.601-2


class _Look(NamedTuple):
    """What is kept of a picture."""

    hash: int
    colours: UInt8[np.ndarray, "32"]


@dataclass(frozen=True)
class PerceptualHash:
    """Two pictures are near-duplicates if their 64 bits agree by a share of `threshold` and their colours by `colours`.

    A picture that is nearly even has no bits, and takes part in exact deduplication alone: so blank pictures do not
    fall into one. So does one that cannot be decoded. Files of equal pixels are equal after the step `encode('png')`.

    Attributes:
      colours: how far blue less luma and red less luma may differ in any of 4 x 4 cells, of 255; 255 looks at luma
        alone, as Zauner does, to whom the flags of France and Italy are one.
      agree: blocks in a key. 1 means few keys of few bits: 5 of 12, where 4 bits may differ; 2 means 15 of 21 bits,
        which tell millions of pictures apart; 3 means 35 of 27 bits.
      threshold: 0.9375 lets 4 of 64 bits differ. At least 0.875.
    """

    colours: int = 24
    agree: int = 2
    _: KW_ONLY
    threshold: float = 0.9375

    def __post_init__(self) -> None:
        if not 1 - _MAX_DISTANCE / BITS <= self.threshold <= 1:
            least = 1 - _MAX_DISTANCE / BITS
            raise ValueError(
                f"threshold: expected {least} to 1, got {self.threshold}; write 0.9375, which is 4 of 64 bits"
            )
        if not 0 <= self.colours <= 255:
            raise ValueError(f"colours: expected 0 to 255, got {self.colours}")
        if not 1 <= self.agree <= 3:
            raise ValueError(f"agree: expected 1, 2 or 3, got {self.agree}")

    @property
    def distance(self) -> int:
        """How many of the 64 bits may differ."""
        return math.floor((1 - self.threshold) * BITS + 1e-9)

    def sketch(self, records: Sequence[Record]) -> Sketches:
        """Digests of payloads, the keys, and as evidence five numbers: the hash and the colours.

        Memory: that of one decoded picture.
        """
        looks = [_look(record.payload) for record in records]
        hashes_N = np.array([look.hash if look else 0 for look in looks], np.uint64)
        flat = [np.zeros(0, np.uint64)]
        for look in filter(None, looks):
            flat += [np.array([look.hash], np.uint64), look.colours.view(np.uint64)]
        return Sketches(
            exact_N2=exact.digests(records, part="payload"),
            bands_NK=self.keys(hashes_N),
            evidence=Evidence(
                np.concatenate(flat), offsets_of(np.array([5 if look else 0 for look in looks], np.int64))
            ),
        )

    def keys(self, hashes_N: UInt64[np.ndarray, "N"]) -> UInt64[np.ndarray, "N K"]:
        """A key for each choice of `agree` blocks."""
        masks_K = _masks(self.distance + self.agree, self.agree)
        seeds_K = hashing.fold(hashing.key("perceptual_hash", self.distance, self.agree), np.arange(len(masks_K)))
        return hashing.fold(seeds_K[None], hashes_N[:, None] & masks_K[None])

    def similarities(self, evidence: Evidence, pairs_P2: Int64[np.ndarray, "P 2"]) -> Float64[np.ndarray, "P"]:
        """The share of equal bits of each pair; 0 where the colours are unlike, or one has no evidence."""
        if not len(evidence.flat):
            return np.zeros(len(pairs_P2))
        sizes_N = np.diff(evidence.offsets)
        is_real = sizes_N[pairs_P2].all(axis=1)
        looks_N5 = np.asarray(evidence.flat).reshape(-1, 5)[
            np.minimum(evidence.offsets[:-1], len(evidence.flat) - 5) // 5
        ]
        one_P5, other_P5 = looks_N5[pairs_P2.T]
        differing = np.bitwise_count(one_P5[:, 0] ^ other_P5[:, 0]).astype(np.int64)
        colours = [np.ascontiguousarray(each[:, 1:]).view(np.uint8).astype(np.int16) for each in (one_P5, other_P5)]
        is_like = (2 * np.abs(colours[0] - colours[1]) <= self.colours).all(axis=1) | (self.colours == 255)
        return np.where(is_real & is_like, 1 - differing / BITS, 0.0)


def perceptual_hash(luma_SS: np.ndarray) -> int:
    """The 64 bits of a picture's luma [32, 32], whole numbers of any scale; the lowest frequency is the lowest bit.

    Sums of whole numbers, so that every machine finds the same bits, and a symmetry leaves true zeros.
    """
    cosines_KS = _cosines()
    transformed = cosines_KS @ np.asarray(luma_SS, np.int64) @ cosines_KS.T
    bits = transformed.reshape(-1) > np.median(transformed)
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


def _look(payload: bytes) -> _Look | None:
    """None: it cannot be decoded, or is too even."""
    from PIL import Image

    try:
        with images.opened(payload, max_pixels=images.GREATEST_MAX_PIXELS) as image:
            image.draft("RGB", (_DRAFT, _DRAFT))  # JPEG alone heeds it
            # By whole pixels (BOX), a copy of half the size would differ in six times as many bits.
            small = images.in_mode(images.upright(image), "RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    except BadRecord:
        return None
    pixels_SS3 = np.asarray(small).astype(np.int64)
    luma_SS = pixels_SS3 @ _LUMA
    if luma_SS.std() < 1000 * _MIN_STD:
        return None
    return _Look(perceptual_hash(luma_SS), _colours(pixels_SS3, luma_SS))


def _colours(pixels_SS3: Int64[np.ndarray, "S S 3"], luma_SS: Int64[np.ndarray, "S S"]) -> UInt8[np.ndarray, "32"]:
    """Blue less luma and red less luma, in steps of two from 0 (-256) to 255, mean of each cell."""
    differences = 1000 * pixels_SS3[..., ::2] - luma_SS[..., None]
    width = _SIDE // _CELLS
    sums = differences.reshape(_CELLS, width, _CELLS, width, 2).sum((1, 3))
    return (sums // (2000 * width * width) + 128).astype(np.uint8).reshape(-1)


@functools.cache
def _cosines() -> Int64[np.ndarray, "8 32"]:
    """Rows 1 to 8 of the DCT, in 16,384ths."""
    angles = np.pi / (2 * _SIDE) * np.outer(np.arange(1, _LOWEST + 1), 2 * np.arange(_SIDE) + 1)
    return np.rint(np.cos(angles) * (1 << 14)).astype(np.int64)


@functools.cache
def _masks(num_blocks: int, agree: int) -> UInt64[np.ndarray, "K"]:
    """For each choice of blocks, their bits."""
    edges = np.rint(np.linspace(0, BITS, num_blocks + 1)).astype(int).tolist()
    blocks = [(1 << end) - (1 << start) for start, end in itertools.pairwise(edges)]
    return np.array([sum(chosen) for chosen in itertools.combinations(blocks, agree)], np.uint64)
