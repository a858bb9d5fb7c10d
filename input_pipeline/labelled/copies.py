"""Inputs copied out of files that give no record alone: end to end in a file of the cache, mapped into memory."""

import bisect
import functools
import itertools
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Copies:
    """Inputs of some files, in order. Pickles as its paths and sizes."""

    paths: tuple[pathlib.Path, ...]
    sizes: tuple[tuple[int, ...], ...]  # in bytes, of the inputs of each file

    def __post_init__(self) -> None:
        """Raises ValueError: a file that is not as long as its inputs are together."""
        for path, sizes in zip(self.paths, self.sizes, strict=True):
            if (found := path.stat().st_size) != sum(sizes):
                raise ValueError(f"expected {sum(sizes)} bytes in {path}, found {found}; delete it to make it again")

    def read(self, indices_B: np.ndarray) -> list[bytes]:
        """Inputs by number."""
        return [self._read(i) for i in indices_B.tolist()]

    def _read(self, i: int) -> bytes:
        file = bisect.bisect_right(self._ends, i)
        row = i - (self._ends[file - 1] if file else 0)
        start, end = self._edges[file][row : row + 2].tolist()
        return self._mapped[file][start:end].tobytes()

    @functools.cached_property
    def _ends(self) -> Sequence[int]:
        return list(itertools.accumulate(map(len, self.sizes)))

    @functools.cached_property
    def _edges(self) -> Sequence[np.ndarray]:
        return [np.cumsum([0, *sizes]) for sizes in self.sizes]

    @functools.cached_property
    def _mapped(self) -> Sequence[np.ndarray]:
        return [np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8) for path in self.paths]

    def __reduce__(self):
        return Copies, (self.paths, self.sizes)
