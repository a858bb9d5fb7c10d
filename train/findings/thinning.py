"""Fewer points of a curve that look the same."""

import heapq

import numpy as np
from jaxtyping import Float, Int

MAX_POINTS = 200


def thinned(
    x_T: Float[np.ndarray, "T"], y_T: Float[np.ndarray, "T"], *, most: int = MAX_POINTS
) -> Int[np.ndarray, "_"]:
    """The places of at most so many points to draw: both ends, and again and again the point that lies farthest from
    the line through its neighbours so far (Douglas and Peucker, 1973). Corners come first; points on the line never.
    """
    kept = {0, len(x_T) - 1}
    gaps = [_farthest(x_T, y_T, 0, len(x_T) - 1)]
    while len(kept) < most and gaps[0][0] < 0:
        _, point, low, high = heapq.heappop(gaps)
        kept.add(point)
        heapq.heappush(gaps, _farthest(x_T, y_T, low, point))
        heapq.heappush(gaps, _farthest(x_T, y_T, point, high))
    return np.array(sorted(kept))


def _farthest(x_T: np.ndarray, y_T: np.ndarray, low: int, high: int) -> tuple[float, int, int, int]:
    """-> minus the distance, the point between `low` and `high` that lies so far from their line, and the two."""
    if high - low < 2:
        return 0.0, low, low, high
    across, up = x_T[high] - x_T[low], y_T[high] - y_T[low]
    right, above = x_T[low + 1 : high] - x_T[low], y_T[low + 1 : high] - y_T[low]
    length = np.hypot(across, up)
    distances = np.abs(across * above - up * right) / length if length else np.hypot(right, above)
    point = int(distances.argmax())
    return -float(distances[point]) if distances[point] > 1e-12 else 0.0, low + 1 + point, low, high
