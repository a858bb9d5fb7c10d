"""Rows of several token stores in one batch."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from input_pipeline import batch, cache
from input_pipeline.packing import Rows


@dataclass(frozen=True, eq=False)
class Joined:
    """All rows of these, one after another: rows like any other to who reads them in order."""

    parts: Sequence[Rows]

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def fingerprint(self) -> str:
        """Hex; of all parts, in order."""
        return cache.key(*(part.fingerprint for part in self.parts))

    @property
    def contract(self) -> batch.Contract:
        """What a batch is."""
        return self.parts[0].contract

    @property
    def num_tokens(self) -> int:
        """Targets of weight 1 in all rows together."""
        return sum(part.num_tokens for part in self.parts)

    @property
    def num_bytes(self) -> int:
        """Bytes of source text behind these targets."""
        return sum(part.num_bytes for part in self.parts)

    @functools.cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([len(part) for part in self.parts])

    def read(self, indices_B: Int64[np.ndarray, "B"]) -> batch.Batch:
        """Rows by number, in this order."""
        part_B = np.searchsorted(self._ends, indices_B, side="right")
        first_B = np.concatenate([[0], self._ends])[part_B]
        return gather(part_B, lambda part, places: self.parts[part].read((indices_B - first_B)[places]))


def gather(part_B: Int64[np.ndarray, "B"], read: Callable[[int, np.ndarray], batch.Batch]) -> batch.Batch:
    """One batch from several parts: `read(part, places)` gives a part's rows for these places of the batch."""
    present = np.flatnonzero(np.bincount(part_B))
    if len(present) <= 1:
        return read(int(present.max(initial=0)), np.arange(len(part_B)))
    places = [np.flatnonzero(part_B == part) for part in present]
    pieces = [read(int(part), here) for part, here in zip(present, places, strict=True)]
    back_B = np.argsort(np.concatenate(places))
    return {key: np.concatenate([piece[key] for piece in pieces])[back_B] for key in pieces[0]}
