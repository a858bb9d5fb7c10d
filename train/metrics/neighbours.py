"""Recall at k: whether a row's nearest neighbours are of its own class."""

import functools
import math
from typing import Literal

import flax.struct
import numpy as np
from jaxtyping import Float, Int, Real

from train.metrics.rows import Key, Rows, parts_of

Distance = Literal["cosine", "euclidean"]
CHUNK = 1 << 22  # similarities that are held together: 32 MB
TOLERANCE = 1e-12  # of the greatest similarity: products of equal embeddings differ by this much, as they are cut


def ranks_of_own_class(
    embeddings_BE: Real[np.ndarray, "B E"], labels_B: Int[np.ndarray, "B"], *, distance: Distance
) -> Float[np.ndarray, "B"]:
    """How many rows of other classes are as near to each row as the nearest other row of its own; infinite where there
    is none. Leave-one-out: no row is its own neighbour. Rows equally near stand with those of other classes first, so
    that embeddings that have collapsed to a point find nothing."""
    points_BE, offsets_B = _similarity(embeddings_BE.astype(np.float64), distance)
    slack = TOLERANCE * np.square(points_BE).sum(-1).max(initial=0.0)
    step = max(1, CHUNK // max(1, len(points_BE)))
    found = [np.zeros(0)]
    for low in range(0, len(points_BE), step):
        near_QB = points_BE[low : low + step] @ points_BE.T - offsets_B
        own_QB = labels_B[low : low + step, None] == labels_B
        queries_Q = np.arange(len(near_QB))
        near_QB[queries_Q, low + queries_Q] = -np.inf
        best_Q = np.where(own_QB, near_QB, -np.inf).max(-1, keepdims=True)
        others_Q = ((near_QB >= best_Q - slack) & ~own_QB).sum(-1)
        found.append(np.where(np.isneginf(best_Q[:, 0]), np.inf, others_Q))
    return np.concatenate(found)


def _similarity(points_BE: np.ndarray, distance: Distance) -> tuple[np.ndarray, np.ndarray]:
    """-> points and offsets such that `points @ points.T - offsets` falls along a row as the distance grows."""
    if distance == "cosine":
        norms_B = np.linalg.norm(points_BE, axis=-1, keepdims=True)
        return points_BE / np.where(norms_B == 0, 1.0, norms_B), np.zeros(len(points_BE))
    if distance == "euclidean":
        points_BE = points_BE - points_BE.mean(0)  # what all have in common would cost digits
        return points_BE, np.square(points_BE).sum(-1) / 2
    raise ValueError(f'distance: expected "cosine" or "euclidean", got {distance!r}')


@functools.lru_cache(maxsize=1)
def ranks(key: Key, distance: Distance) -> tuple[Float[np.ndarray, "B"], Float[np.ndarray, "B"]]:
    """-> the ranks of `ranks_of_own_class`, which serve every k, and the rows' weights."""
    parts = parts_of(key)
    embeddings_BE = np.concatenate([part.scores for part in parts])
    labels_B = np.concatenate([part.labels for part in parts])
    weights_B = np.concatenate([part.weights_B for part in parts])
    return ranks_of_own_class(embeddings_BE, labels_B, distance=distance), weights_B


@functools.cache
def recall_at(k: int, distance: Distance) -> type[Rows]:
    """The metric: the share of rows with one of their own class among their k nearest. A row that is alone in its class
    is a miss. Its rows' scores are embeddings [B, E]."""

    @flax.struct.dataclass
    class RecallAt(Rows):
        def compute(self) -> float:
            if not self.parts:
                return float("nan")
            ranks_B, weights_B = ranks(self.key(), distance)
            return math.fsum(weights_B[ranks_B < k]) / math.fsum(weights_B)  # exact sums know no order

    return RecallAt
