"""Inputs copied out of files that give no record alone: end to end in a file of the cache, mapped into memory."""

import functools
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
        file_B, start_B, end_B = self._places[:, indices_B].tolist()
        return [
            self._mapped[file][start:end].tobytes() for file, start, end in zip(file_B, start_B, end_B, strict=True)
        ]

    @functools.cached_property
    def _places(self) -> np.ndarray:
        """int64 [3, inputs]: the number of the file, and where in it an input begins and ends."""
        files = np.repeat(np.arange(len(self.sizes)), [len(sizes) for sizes in self.sizes])
        ends = np.concatenate([np.cumsum(sizes, dtype=np.int64) for sizes in self.sizes])
        return np.stack([files, ends - np.concatenate(self.sizes).astype(np.int64), ends])

    @functools.cached_property
    def _mapped(self) -> Sequence[np.ndarray]:
        return [np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8) for path in self.paths]

    def __reduce__(self):
        return Copies, (self.paths, self.sizes)
