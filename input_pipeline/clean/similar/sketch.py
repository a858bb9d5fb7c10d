"""What is kept of a record so that duplicates are found: a digest, band keys, and evidence for the true similarity."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from input_pipeline.clean.record import Record

PIECE_NUMBERS = 1 << 24  # of evidence in memory at a time: 128 MB


class Evidence(NamedTuple):
    """What `Near.similarities` compares, for N records: two arrays, so that either may be a memory-mapped .npy file."""

    flat: UInt64[np.ndarray, "E"]
    offsets: Int64[np.ndarray, "N+1"]  # record n has flat[offsets[n]:offsets[n+1]], which may be empty


class Sketches(NamedTuple):
    """Of N records, in their order."""

    exact_N2: UInt64[np.ndarray, "N 2"]  # equal for exact duplicates alone
    bands_NK: UInt64[np.ndarray, "N K"]  # two records that agree in any band are candidates
    evidence: Evidence  # a record whose evidence is empty takes part in exact deduplication alone


class Near(Protocol):
    """A kind of near-duplicate: a frozen dataclass whose repr tells it from every other."""

    @property
    def threshold(self) -> float:
        """The least similarity of near-duplicates, in (0, 1]."""

    def sketch(self, records: Sequence[Record]) -> Sketches:
        """The sketches of these records, each of which depends on its record alone."""

    def similarities(self, evidence: Evidence, pairs_P2: Int64[np.ndarray, "P 2"]) -> Float64[np.ndarray, "P"]:
        """The true similarity of each pair of records, in [0, 1]; 0 where one has no evidence."""


def band_keys(sketches: Sketches, *, first: int) -> tuple[UInt64[np.ndarray, "M"], Int64[np.ndarray, "M"]]:
    """What goes into the keyed exchange: each band key of each record that has evidence, and the record's number.

    Args:
      sketches: of records whose numbers are `first`, `first` + 1, ...
    """
    has_evidence = np.flatnonzero(np.diff(sketches.evidence.offsets))
    bands_NK = sketches.bands_NK[has_evidence]
    return bands_NK.reshape(-1), np.repeat(has_evidence + first, bands_NK.shape[1])


def offsets_of(sizes_N: Int64[np.ndarray, "N"]) -> Int64[np.ndarray, "N+1"]:
    """Where each of N neighbouring pieces starts, and the end of the last."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes_N, dtype=np.int64)])


def places(starts_N: Int64[np.ndarray, "N"], sizes_N: Int64[np.ndarray, "N"]) -> Int64[np.ndarray, "S"]:
    """The places start, start + 1, ... of all pieces, one piece after the other."""
    shifts = np.asarray(starts_N) - offsets_of(sizes_N)[:-1]
    return np.repeat(shifts, sizes_N) + np.arange(int(np.sum(sizes_N)))


def cuts(sizes_N: Int64[np.ndarray, "N"], most: int) -> Iterator[tuple[int, int]]:
    """Neighbours (start, end) whose sizes together are at most `most`, or a single one."""
    start, sums = 0, offsets_of(sizes_N)
    while start < len(sizes_N):
        end = max(start + 1, int(np.searchsorted(sums, sums[start] + most, side="right")) - 1)
        yield start, end
        start = end


def take(evidence: Evidence, numbers: Int64[np.ndarray, "N"]) -> Evidence:
    """The evidence of these records alone, in memory."""
    starts, ends = evidence.offsets[numbers], evidence.offsets[numbers + 1]
    return Evidence(np.asarray(evidence.flat[places(starts, ends - starts)]), offsets_of(ends - starts))


def join(parts: Sequence[Evidence]) -> Evidence:
    """The evidence of the records of all parts, in order."""
    sizes = [np.diff(part.offsets) for part in parts]
    flat = [np.zeros(0, np.uint64), *(part.flat[part.offsets[0] : part.offsets[-1]] for part in parts)]
    return Evidence(np.concatenate(flat), offsets_of(np.concatenate([np.zeros(0, np.int64), *sizes])))


class Store:
    """The evidence of many blocks of records, memory-mapped or not, by the number of a record through all blocks."""

    def __init__(self, blocks: Sequence[Evidence]):
        self._blocks = list(blocks)
        self._firsts = offsets_of(np.array([len(block.offsets) - 1 for block in blocks], np.int64))

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def take(self, numbers: Int64[np.ndarray, "N"]) -> Evidence:
        """The evidence of these records, which rise, read into memory: 8 bytes for each number of it."""
        owner = np.searchsorted(self._firsts, numbers, side="right") - 1
        return join([take(self._blocks[i], numbers[owner == i] - self._firsts[i]) for i in np.unique(owner)])

    def similarities(self, near: Near, pairs_P2: Int64[np.ndarray, "P 2"]) -> Float64[np.ndarray, "P"]:
        """The true similarity of each pair of records, given by their numbers through all blocks.

        At most PIECE_NUMBERS numbers of evidence are in memory at a time, or those of one pair.
        """
        found = [np.zeros(0)]
        for start, end in cuts(self._sizes(pairs_P2), PIECE_NUMBERS):
            numbers, local = np.unique(pairs_P2[start:end], return_inverse=True)
            found.append(near.similarities(self.take(numbers), local.reshape(-1, 2)))
        return np.concatenate(found)

    def _sizes(self, pairs_P2: Int64[np.ndarray, "P 2"]) -> Int64[np.ndarray, "P"]:
        """How many numbers of evidence the two records of each pair have together."""
        numbers, local = np.unique(pairs_P2, return_inverse=True)
        owner, sizes = np.searchsorted(self._firsts, numbers, side="right") - 1, np.empty_like(numbers)
        for i in np.unique(owner):
            offsets, local_numbers = self._blocks[i].offsets, numbers[owner == i] - self._firsts[i]
            sizes[owner == i] = offsets[local_numbers + 1] - offsets[local_numbers]
        return sizes[local].reshape(-1, 2).sum(axis=1)
