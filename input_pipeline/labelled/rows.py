"""Some labelled examples as the loader reads them: rows by number."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from input_pipeline import batch, transforms
from input_pipeline.batch import Batch, Contract, Field
from input_pipeline.labelled.examples import Examples
from input_pipeline.transforms import Transform

_TRIED = 8  # rows that are sent through the transforms before a run


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows 0, 1, ... are these members of `examples`. Before its transforms, an input may be of any kind and shape."""

    examples: Examples
    members: Int64[np.ndarray, "M"]
    shape: tuple[int, ...]  # of an input after its transforms

    def __len__(self) -> int:
        return len(self.members)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hex; the same for rows of the same names, contents and labels."""
        return self.examples.fingerprint(self.members)

    @property
    def contract(self) -> Contract:
        """What a batch is after the transforms."""
        labels = self.examples.labels
        return batch.labelled(self.shape, labels=Field(labels.dtype, labels.shape[1:]))

    def name(self, row: int) -> str:
        """What the example in this row is called."""
        return self.examples.names[self.members[row]]

    def read(self, indices_B: Int64[np.ndarray, "B"]) -> Batch:
        """Rows by number, in this order, before any transform."""
        chosen_B = self.members[indices_B]
        return {
            "inputs": self.examples.reader.read(chosen_B),
            "labels": self.examples.labels[chosen_B],
            "weights": np.ones(len(chosen_B), np.float32),
        }

    def try_out(self, operations: Sequence[Transform], *, field: str) -> None:
        """Sends a few rows, from the first to the last, through the transforms, which stand in `field`.

        Raises:
          ValueError: one of them does not suit a row, or what comes out is no array of `shape` and numbers.
        """
        for row in np.unique(np.linspace(0, len(self) - 1, _TRIED).astype(np.int64)).tolist():
            self._try_row(row, operations, field=field)

    def _try_row(self, row: int, operations: Sequence[Transform], *, field: str) -> None:
        place_B = np.array([row])
        try:
            rows = transforms.apply(operations, self.read(place_B), positions_B=place_B, seed=0)
        except ValueError as error:
            raise ValueError(f"{field}: {error} (tried on {self.name(row)})") from error
        came = rows["inputs"]
        if not isinstance(came, np.ndarray):
            raise ValueError(f"{field}: expected it to begin with decode, since {self.name(row)} is not decoded yet")
        if came.dtype != np.float32:
            raise ValueError(f"{field}: expected numbers (float32) at its end, got {came.dtype}; write normalize")
        if came.shape[1:] != self.shape:
            raise ValueError(
                f"data.shape: expected {came.shape[1:]}, the shape of {self.name(row)} after {field}, got {self.shape}"
            )
