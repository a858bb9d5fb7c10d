"""An order in which rows of one class stand together, for losses that compare rows: P classes of K rows in a batch.

A. Hermans, L. Beyer, B. Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017, section 2
(https://arxiv.org/abs/1703.07737) draw batches so; here an epoch is a pass over all rows all the same. The rows of each
class are shuffled and cut into groups of K, and the groups of all classes are shuffled. Where K does not divide a
class, its last group is filled up from the class's own first rows; so each row comes once, and of each class at
most K - 1 rows come twice (a class of fewer than K rows repeats itself).
"""

import functools
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int, Int64

from input_pipeline import hashing, order

# Part of the fingerprint of a run's data: changes whenever any position would get another row.
FORMAT = "together 1"


@dataclass(frozen=True, eq=False)
class Together:
    """Groups of `size` rows of one class. Its `repr` is a part of the fingerprint; the classes are that of the rows."""

    classes_N: Int[np.ndarray, "N"] = field(repr=False)  # of each row
    size: int
    format: str = FORMAT

    def __len__(self) -> int:
        return int(self._ends[-1]) * self.size

    def rows(
        self, positions: Int64[np.ndarray, "P"], *, key: np.ndarray, epochs: Int64[np.ndarray, "P"]
    ) -> Int64[np.ndarray, "P"]:
        """The row at each position of an epoch; the arguments are those of `order.shuffled`."""
        keys = hashing.fold(key, np.arange(1 + len(self._counts)))  # of the groups, and of each class
        groups_P, places_P = np.divmod(positions, self.size)
        groups_P = order.shuffled(groups_P, num_rows=int(self._ends[-1]), key=keys[:1], epochs=epochs)
        class_P = np.searchsorted(self._ends, groups_P, side="right")
        first_P = np.append(0, self._ends)[class_P]
        counts_P = self._counts[class_P]
        nth_P = ((groups_P - first_P) * self.size + places_P) % counts_P
        nth_P = order.shuffled(nth_P, num_rows=counts_P, key=keys[1:][class_P], epochs=epochs)
        return self._by_class[self._starts[class_P] + nth_P]

    @functools.cached_property
    def _by_class(self) -> np.ndarray:
        """Rows, class by class."""
        return np.argsort(self.classes_N, kind="stable")

    @functools.cached_property
    def _counts(self) -> np.ndarray:
        """The number of rows of each class that there is."""
        return np.unique(self.classes_N, return_counts=True)[1]

    @functools.cached_property
    def _starts(self) -> np.ndarray:
        """Where each class begins in `_by_class`."""
        return np.cumsum(self._counts) - self._counts

    @functools.cached_property
    def _ends(self) -> np.ndarray:
        """The number of groups up to the end of each class."""
        return np.cumsum(-(-self._counts // self.size))
