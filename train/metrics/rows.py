"""Evaluated rows, kept as they came."""

import dataclasses
import weakref
from typing import Self

import flax.struct
import numpy as np
from clu import metrics
from jaxtyping import Float, Real, Shaped


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Rows that came together. Equal to itself alone."""

    scores: np.ndarray
    labels: np.ndarray
    weights_B: np.ndarray


@flax.struct.dataclass
class Rows(metrics.Metric):
    """All rows, in as many parts as were merged: merging copies nothing.

    What is computed from them may depend neither on the order of the parts nor on where they were cut.
    """

    parts: tuple[Part, ...] = flax.struct.field(pytree_node=False)

    @classmethod
    def of(
        cls, scores: Real[np.ndarray, "B ..."], labels: Shaped[np.ndarray, "B ..."], weights_B: Float[np.ndarray, "B"]
    ) -> Self:
        return cls(parts=(Part(scores, labels, weights_B),) if len(weights_B) else ())

    @classmethod
    def sharing(cls, rows: "Rows") -> Self:
        """The same rows as another metric."""
        return cls(parts=rows.parts)

    @classmethod
    def empty(cls) -> Self:
        return cls(parts=())

    def merge(self, other: Self) -> Self:
        return type(self)(parts=self.parts + other.parts)

    def key(self) -> "Key":
        """Stands for the rows in a cache of results that several metrics share, without keeping the rows alive."""
        return tuple(map(weakref.ref, self.parts))


Key = tuple[weakref.ref[Part], ...]


def parts_of(key: Key) -> list[Part]:
    parts = [part for reference in key if (part := reference())]
    assert len(parts) == len(key), "rows live while a metric of theirs computes"
    return parts
