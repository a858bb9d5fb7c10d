"""What is gathered from training rows in one pass. No result depends on the order of rows or on where blocks are cut.

Moments, extents and counts are exact. A sample is exact as long as all rows fit into it.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np
from jaxtyping import Float64

from input_pipeline.clean.record import Record
from input_pipeline.clean.tabular.blocks import Block

MAX_CELLS = 1 << 25  # of a sample: 256 MB
LEAST_ROWS = 1_000  # of a sample, however many columns there are
MAX_DISTINCT = 100_000  # different values of a column of text
_SHIFT = 1126  # every float64 is an integer times 2**-1126: 1073 below the point, and 53 of a mantissa
_DIGITS = 64  # bits of a root


class Summary(Protocol):
    """Grows by blocks of rows."""

    def add(self, block: Block) -> None:
        """Takes a block in."""


def gather(blocks: Iterable[Block], *summaries: Summary) -> int:
    """Feeds all blocks to all summaries -> the number of rows.

    Raises:
      ValueError: there are no rows.
    """
    num_rows = 0
    for block in blocks:
        num_rows += len(block.records)
        for summary in summaries:
            summary.add(block)
    if not num_rows:
        raise ValueError("expected training rows to fit, but the operations before removed all of them")
    return num_rows


class Moments:
    """Means and standard deviations, exact: sums are integers, as in U. Kulisch, "Computer Arithmetic and Validity",
    2013, chapter 8 (a long accumulator), so that no order of the rows rounds otherwise.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._sums: dict[str, tuple[int, int, int]] = dict.fromkeys(names, (0, 0, 0))

    def add(self, block: Block) -> None:
        numbers_NF = block.of(self.names)
        for place, name in enumerate(self.names):
            column = numbers_NF[:, place]
            count, total, squares = self._sums[name]
            more = _sums(column[~np.isnan(column)])
            self._sums[name] = (count + more[0], total + more[1], squares + more[2])

    def mean(self, name: str) -> float:
        """NaN without any value."""
        count, total, _ = self._sums[name]
        return float(Fraction(total, count << _SHIFT)) if count else math.nan

    def std(self, name: str) -> float:
        """Of the population (divided by the count); NaN without any value."""
        count, total, squares = self._sums[name]
        return _root(Fraction(count * squares - total * total, (count << _SHIFT) ** 2)) if count else math.nan


def _sums(values_N: np.ndarray) -> tuple[int, int, int]:
    """-> (count, sum times 2**_SHIFT, sum of squares times 2**(2 * _SHIFT)), by groups of one exponent."""
    mantissas_N, exponents_N = np.frexp(values_N)
    wholes_N = np.ldexp(mantissas_N, 53).astype(np.int64)
    total = squares = 0
    for exponent in np.unique(exponents_N).tolist():
        group = wholes_N[exponents_N == exponent].tolist()
        shift = exponent - 53 + _SHIFT
        total += sum(group) << shift
        squares += sum(whole * whole for whole in group) << 2 * shift
    return len(values_N), total, squares


def _root(square: Fraction) -> float:
    """The square root, to a float64's precision, also where the square is above or below what a float64 holds."""
    if not square:
        return 0.0
    shift = max(0, _DIGITS - (square.numerator.bit_length() - square.denominator.bit_length()) // 2)
    return float(Fraction(math.isqrt((square.numerator << 2 * shift) // square.denominator), 1 << shift))


class Sample:
    """Columns of numbers in memory: all rows, or those with the least hashes of their ids, at most MAX_CELLS cells.

    A quantile of k sampled rows has a rank that is off by at most sqrt(log(2 / p) / 2k) but for chance p (P. Massart,
    "The Tight Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality", 1990): 0.2 % of the rows for a million, p = .001.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._capacity = max(LEAST_ROWS, MAX_CELLS // max(1, len(names)))
        self._places = {name: i for i, name in enumerate(names)}
        self._keys = [np.zeros(0, ">u8")]
        self._rows = [np.zeros((0, len(names)))]
        self._held = 0

    def __len__(self) -> int:
        """The number of rows that are kept."""
        return min(self._held, self._capacity)

    def add(self, block: Block) -> None:
        if not self.names:
            return
        self._keys.append(_keys(block.records))
        self._rows.append(block.of(self.names))
        self._held += len(block.records)
        if self._held > 2 * self._capacity:
            self._shrink()

    def _shrink(self) -> None:
        keys, rows = np.concatenate(self._keys), np.concatenate(self._rows)
        least = np.argsort(keys, kind="stable")[: self._capacity]
        self._keys, self._rows, self._held = [keys[least]], [rows[least]], len(least)

    def values(self) -> Float64[np.ndarray, "N F"]:
        """The rows, ordered by the hashes of their ids."""
        self._shrink()
        return self._rows[0]

    def column(self, name: str) -> np.ndarray:
        """The values of a column that are not missing, in ascending order."""
        if len(self._rows) > 1:
            self._shrink()
        column = self._rows[0][:, self._places[name]]
        return np.sort(column[~np.isnan(column)])


def _keys(records: Sequence[Record]) -> np.ndarray:
    digests = (
        hashlib.blake2b(record.id.encode("utf-8", "surrogatepass"), digest_size=8).digest() for record in records
    )
    return np.frombuffer(b"".join(digests), ">u8")


class Extent:
    """How many values a column has, and the least and greatest of its numbers, or some of its texts."""

    def __init__(self, names: tuple[str, ...], texts: tuple[str, ...] = ()) -> None:
        self.counts = dict.fromkeys((*names, *texts), 0)
        self.least, self.greatest = dict.fromkeys(names, math.inf), dict.fromkeys(names, -math.inf)
        self.values: dict[str, set[str]] = {name: set() for name in texts}

    def add(self, block: Block) -> None:
        names = tuple(self.least)
        numbers_NF = block.of(names)
        present = ~np.isnan(numbers_NF)
        low = np.where(present, numbers_NF, np.inf).min(axis=0, initial=np.inf).tolist()
        high = np.where(present, numbers_NF, -np.inf).max(axis=0, initial=-np.inf).tolist()
        for name, count, least, most in zip(names, present.sum(axis=0).tolist(), low, high, strict=True):
            self.counts[name] += count
            self.least[name] = min(self.least[name], least)
            self.greatest[name] = max(self.greatest[name], most)
        for name, values in self.values.items():
            found = [value for value in block.texts[name] if value is not None]
            self.counts[name] += len(found)
            if len(values) < 2:
                values.update(sorted(set(found))[:2])

    def is_constant(self, name: str) -> bool:
        """Whether all values are one, or there are none."""
        return len(self.values[name]) < 2 if name in self.values else self.least[name] >= self.greatest[name]


class Counts:
    """How often each value of columns of text stands there.

    Raises ValueError where one has more than MAX_DISTINCT.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.values: dict[str, Counter[str]] = {name: Counter() for name in names}

    def add(self, block: Block) -> None:
        for name, counted in self.values.items():
            counted.update(value for value in block.texts[name] if value is not None)
            if len(counted) > MAX_DISTINCT:
                raise ValueError(
                    f"expected at most {MAX_DISTINCT} values in column {name!r}, got more: it is no category; write "
                    f"drop({name!r}) in steps"
                )
