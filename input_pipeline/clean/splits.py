"""Which split a record belongs to: by the hash of its group, by time, or in exact shares of each stratum.

By hash alone a record's place follows from its group and the seed: what joins later moves nothing. Exact shares and
time are quantiles, so there a record near a border may move when others join.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64, UInt64

from input_pipeline import hashing

NAMES = ("train", "val", "test")
NOWHERE = -1


def by_hash(groups_N: UInt64[np.ndarray, "N"], shares: Sequence[float], *, seed: int) -> Int8[np.ndarray, "N"]:
    """The number of each record's split, or NOWHERE past the last share; `shares`: of the splits, in order."""
    return _placed(_draw(groups_N, seed), shares)


def by_stratum(
    groups_N: UInt64[np.ndarray, "N"], strata_N: UInt64[np.ndarray, "N"], shares: Sequence[float], *, seed: int
) -> Int8[np.ndarray, "N"]:
    """As `by_hash`, with each share kept in every stratum as exactly as its groups allow.

    The groups of a stratum stand in the order of their hashes, and a group's place is that of its middle record. A
    group that has records in several strata counts for that of its first.
    """
    first_N, whole_N = _firsts(groups_N)
    strata_N = strata_N[first_N]
    order_N = np.lexsort((whole_N, _draw(groups_N, seed), strata_N))
    starts_S = np.flatnonzero(_begins(strata_N[order_N]))
    sizes_S = np.diff(np.append(starts_S, len(order_N)))
    within_N = np.arange(len(order_N)) - np.repeat(starts_S, sizes_S)
    share_N = np.empty(len(order_N))
    share_N[order_N] = (within_N + 0.5) / np.repeat(sizes_S, sizes_S)
    return _placed(_middle(share_N, whole_N), shares)


def by_time(times_N: Float64[np.ndarray, "N"], shares: Sequence[float]) -> Int8[np.ndarray, "N"]:
    """The earliest to the first split, the latest to the last; records of one time stay together."""
    values, whole_N, counts = np.unique(times_N, return_inverse=True, return_counts=True)
    middles = (np.cumsum(counts) - counts / 2) / max(1, len(times_N))
    assert len(values) == len(middles)
    return _placed(middles[whole_N], shares)


def least(groups_N: UInt64[np.ndarray, "N"], families_N: Int64[np.ndarray, "N"]) -> UInt64[np.ndarray, "N"]:
    """For each record the least group in its family; families are numbers below N.

    What joins a family moves it only if its group is less than all others there.
    """
    least_N = groups_N.copy()
    np.minimum.at(least_N, families_N, groups_N)
    return least_N[families_N]


def straddling(places_N: Int8[np.ndarray, "N"], pairs_P2: Int64[np.ndarray, "P 2"]) -> Bool[np.ndarray, "P"]:
    """Which pairs lie in two different splits."""
    one_P, other_P = places_N[pairs_P2[:, 0]], places_N[pairs_P2[:, 1]]
    return (one_P != other_P) & (one_P != NOWHERE) & (other_P != NOWHERE)


def _draw(groups_N: np.ndarray, seed: int) -> Float64[np.ndarray, "N"]:
    """A number in [0, 1) for each group, of 53 bits."""
    return (hashing.mix(groups_N ^ hashing.key("split", seed)) >> np.uint64(11)) * 2.0**-53


def _placed(drawn_N: np.ndarray, shares: Sequence[float]) -> Int8[np.ndarray, "N"]:
    ends = np.cumsum(shares)
    ends[np.abs(ends - 1) < 1e-9] = 1.0
    places_N = np.searchsorted(ends, drawn_N, side="right").astype(np.int8)
    places_N[places_N == len(ends)] = NOWHERE
    return places_N


def _firsts(groups_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the number of the first record of each record's group, the group's own number)."""
    _, firsts, whole_N = np.unique(groups_N, return_index=True, return_inverse=True)
    return firsts[whole_N], whole_N


def _begins(sorted_N: np.ndarray) -> np.ndarray:
    return np.concatenate([[True], sorted_N[1:] != sorted_N[:-1]]) if len(sorted_N) else np.zeros(0, bool)


def _middle(share_N: np.ndarray, whole_N: np.ndarray) -> np.ndarray:
    """The mean of a group's shares, for each of its records."""
    counts = np.bincount(whole_N)
    return (np.bincount(whole_N, share_N) / counts)[whole_N]
