"""Parts of a source: `train[:90%]` by a hash of each document's name, or by a range of bytes of a single
document.

A document's place depends on its name alone, so documents that are added later never move the ones that
were there. Complementary ranges share out the source without loss or overlap.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from input_pipeline.documents import Documents, Parted, Source

_EXPRESSION = re.compile(r"train(?:\[(?:(\d+(?:\.\d+)?)%)?:(?:(\d+(?:\.\d+)?)%)?\])?")


def parse_split(expression: str, *, field: str = "split") -> tuple[Fraction, Fraction]:
    """`train`, `train[:90%]`, `train[90%:95.5%]`, `train[90%:]` -> the range as exact fractions of the
    whole.
    """
    match = _EXPRESSION.fullmatch(expression)
    if match:
        low, high = Fraction(match[1] or 0) / 100, Fraction(match[2] or 100) / 100
        if 0 <= low < high <= 1:
            return low, high
    raise ValueError(
        f"data.{field}: expected 'train' or a range of it that grows, got {expression!r}; write "
        "'train[:90%]', 'train[90%:95%]' or 'train[95%:]'"
    )


def split(source: Source, expression: str, *, by: str) -> Source:
    """The part of `source` that `expression` names; `by` is a key of `SPLITTERS`. Some sources have their own parts.

    Raises:
      ValueError: a malformed expression, a source that cannot be split this way, or nothing in the part.
    """
    if isinstance(source, Parted):
        return source.part(expression)
    low, high = parse_split(expression)
    if (low, high) == (0, 1):
        return source
    return SPLITTERS[by](source, low, high)


def by_document(source: Source, low: Fraction, high: Fraction) -> Source:
    """The documents whose hash, as a fraction of all hashes, lies in [low, high)."""
    if len(source) == 1:
        raise ValueError(
            f"data.split_by: expected 'bytes' for a source of one document ({source.name(0)}), got "
            "'document'; write --config.data.split_by=bytes"
        )
    first, last = int(low * 2**64), int(high * 2**64)
    members = [i for i in range(len(source)) if first <= name_hash(source.name(i)) < last]
    if not members:
        raise ValueError(
            f"data: expected documents in train[{_percent(low)}:{_percent(high)}], but none of {len(source)} "
            "falls there; write a wider range, or bring more documents"
        )
    return Subset(source, np.array(members, np.int64))


def by_bytes(source: Source, low: Fraction, high: Fraction) -> Source:
    """The bytes of the one document from int(n * low) to int(n * high), each moved on to the start of a
    character.
    """
    if len(source) != 1:
        raise ValueError(
            f"data.split_by: expected 'document' for a source of {len(source)} documents, got 'bytes'; "
            "write --config.data.split_by=document"
        )
    text = source.read(0)
    start, stop = (_character_start(text, int(len(text) * fraction)) for fraction in (low, high))
    if start == stop:
        raise ValueError(
            f"data: expected text in train[{_percent(low)}:{_percent(high)}], but that part of {len(text)} bytes "
            "is empty; write a wider range, or bring a longer text"
        )
    return ByteRange(source, start, stop)


SPLITTERS: dict[str, Callable[[Source, Fraction, Fraction], Source]] = {
    "document": by_document,
    "bytes": by_bytes,
}


def name_hash(name: str) -> int:
    """A number below 2**64 that will always be this name's."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest())


def _character_start(text: bytes, position: int) -> int:
    """The first position from here on that is not inside a UTF-8 character."""
    while position < len(text) and text[position] & 0xC0 == 0x80:
        position += 1
    return position


def _percent(fraction: Fraction) -> str:
    return f"{float(fraction * 100):g}%"


@dataclass(frozen=True, eq=False)
class Subset(Documents):
    """Some documents of another source, in its order."""

    whole: Source
    members: np.ndarray  # int64

    def __len__(self) -> int:
        return len(self.members)

    def name(self, i: int) -> str:
        return self.whole.name(self.members[i])

    def num_bytes(self, i: int) -> int:
        return self.whole.num_bytes(self.members[i])

    def digest(self, i: int) -> bytes:
        return self.whole.digest(self.members[i])

    def read(self, i: int) -> bytes:
        return self.whole.read(self.members[i])

    def lines(self, members: np.ndarray) -> Iterator[bytes]:
        return self.whole.lines(self.members[members])


@dataclass(frozen=True)
class ByteRange(Documents):
    """Bytes [start, stop) of a source of one document."""

    whole: Source
    start: int
    stop: int

    def __len__(self) -> int:
        return 1

    def name(self, i: int) -> str:
        return f"{self.whole.name(0)}[{self.start}:{self.stop}]"

    def num_bytes(self, i: int) -> int:
        return self.stop - self.start

    def read(self, i: int) -> bytes:
        return self.whole.read(0)[self.start : self.stop]
