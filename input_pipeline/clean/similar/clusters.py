"""Pairs of near-duplicates -> who survives, and families that a split must not tear apart."""

import numpy as np
from jaxtyping import Float64, Int64

PREFERENCES = ("first", "longest")


def preference(sizes_N: Int64[np.ndarray, "N"], prefer: str, *, num_old: int = 0) -> Int64[np.ndarray, "N"]:
    """Each record's place in the order of preference: those of an earlier release, then the first or the longest.

    Args:
      sizes_N: of each record: characters, pixels, samples.
      prefer: one of PREFERENCES; among records of one size the first one goes before.

    Raises:
      ValueError: no such preference.
    """
    if prefer not in PREFERENCES:
        raise ValueError(f"prefer: expected one of {', '.join(PREFERENCES)}; got {prefer!r}; write 'first'")
    rank_N = np.arange(len(sizes_N))
    if prefer == "longest":
        rank_N[num_old + np.argsort(-sizes_N[num_old:], kind="stable")] = np.arange(num_old, len(sizes_N))
    return rank_N


def survivors(
    edges_E2: Int64[np.ndarray, "E 2"], similarities_E: Float64[np.ndarray, "E"], *, rank_N: Int64[np.ndarray, "N"]
) -> tuple[Int64[np.ndarray, "N"], Float64[np.ndarray, "N"]]:
    """For each record the survivor that it duplicates, or its own number, and the similarity of the two.

    In the order of preference, a record is removed if and only if it has an edge to a survivor before it. The least
    of these is the one named. One pass over the edges, sorted: about 0.1 us each.
    """
    original_N, similarity_N = np.arange(len(rank_N)), np.ones(len(rank_N))
    earlier, later = edges_E2.T
    is_swapped = rank_N[earlier] > rank_N[later]
    earlier, later = np.where(is_swapped, later, earlier), np.where(is_swapped, earlier, later)
    order = np.lexsort((rank_N[earlier], rank_N[later]))
    is_removed = bytearray(len(rank_N))
    kept = []
    for place, one, other in zip(order.tolist(), earlier[order].tolist(), later[order].tolist(), strict=True):
        if not (is_removed[one] or is_removed[other]):
            is_removed[other] = True
            kept.append(place)
    original_N[later[kept]], similarity_N[later[kept]] = earlier[kept], similarities_E[kept]
    return original_N, similarity_N


def clusters(num_records: int, edges_E2: Int64[np.ndarray, "E 2"]) -> Int64[np.ndarray, "{num_records}"]:
    """For each record the least number of its family: all that edges connect, however many of them lie between."""
    from scipy.sparse import coo_array, csgraph

    graph = coo_array((np.ones(len(edges_E2), bool), tuple(edges_E2.T)), shape=(num_records, num_records))
    labels = csgraph.connected_components(graph, directed=False)[1]
    return np.unique(labels, return_index=True)[1][labels]
