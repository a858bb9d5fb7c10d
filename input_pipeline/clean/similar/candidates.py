"""Records that share a key, compared in full: from the partitions of the keyed exchange to who survives.

The rule: in the order of preference, a record is removed if and only if its true similarity to a SURVIVING record
before it reaches the threshold. So no removed record is below the threshold to the one that it is said to duplicate,
also along chains (A near B, B near C, A not near C: A and C stay). It is the greedy maximal independent set.

Comparing all pairs of a bucket would be quadratic. `compare` takes the first record of each bucket with every other,
sets aside those that are near to it, and goes on with the rest: n members of L families cost at most n L comparisons.
A record that was set aside may turn out to survive, since the one it is near to was itself removed through another
bucket; `resolve` compares such records again, until no new pair is found. Then no two survivors that share a bucket
are near, and every removed record has a survivor before it that is near. Only one set of survivors is like that, by
induction along the order: the one that all pairs of all buckets would give. So all that is missed is what shares no
band (`MinHash`: at most 1 % of the pairs at the threshold, fewer above it) and what lies beyond MOST_FAMILIES in one
bucket, which is counted.

Memory: a partition of M keys takes 16 bytes a key and about 100 at the peak of a round, and evidence of at most
`sketch.PIECE_NUMBERS` numbers at a time. A standing takes 10 bytes for each record of the collection.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt64

from input_pipeline.clean.similar import clusters

Similarities: TypeAlias = Callable[[Int64[np.ndarray, "P 2"]], Float64[np.ndarray, "P"]]
MOST_FAMILIES = 256  # in one bucket, that are unlike one another


class Standing(NamedTuple):
    """What is known of each of N records before a round of comparisons."""

    rank_N: Int64[np.ndarray, "N"]  # place in the order of preference: the least survives
    is_alive_N: Bool[np.ndarray, "N"]  # as far as is known
    is_open_N: Bool[np.ndarray, "N"]  # of a pair that is compared, one at least is open


class Compared(NamedTuple):
    """Pairs of one partition at or above the threshold."""

    edges_E2: Int64[np.ndarray, "E 2"]  # the preferred record first
    similarities_E: Float64[np.ndarray, "E"]
    num_uncompared: int  # members that MOST_FAMILIES others of their bucket did not resemble, and that were left


class Resolved(NamedTuple):
    """What became of N records."""

    original_N: Int64[np.ndarray, "N"]  # the survivor that a removed record is near to; a survivor's own number
    similarity_N: Float64[np.ndarray, "N"]  # to that one; 1 for a survivor
    edges_E2: Int64[np.ndarray, "E 2"]  # every pair found at or above the threshold, for `clusters.clusters`
    num_uncompared: int
    num_rounds: int


def compare(
    keys_M: UInt64[np.ndarray, "M"],
    numbers_M: Int64[np.ndarray, "M"],
    *,
    standing: Standing,
    similarities: Similarities,
    threshold: float,
) -> Compared:
    """One partition of the exchange, in any order: the near pairs that decide about its records."""
    order = np.flatnonzero(standing.is_alive_N[numbers_M])
    order = order[np.lexsort((standing.rank_N[numbers_M[order]], keys_M[order]))]
    keys, numbers = keys_M[order], numbers_M[order]
    edges, values = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for _ in range(MOST_FAMILIES):
        keys, numbers = _shared(keys, numbers)
        if not len(keys):
            break
        is_first, pairs = candidate_pairs(keys, numbers)
        near, similar = verify(_open(pairs, standing), similarities, threshold=threshold)
        edges.append(near)
        values.append(similar)
        is_left = ~is_first
        is_left[is_left] = ~_is_in(pairs, near, size=len(standing.rank_N))
        keys, numbers = keys[is_left], numbers[is_left]
    edges_E2, unique = np.unique(np.concatenate(edges), axis=0, return_index=True)
    return Compared(edges_E2, np.concatenate(values)[unique], len(_shared(keys, numbers)[0]))


def connect(
    keys_M: UInt64[np.ndarray, "M"],
    numbers_M: Int64[np.ndarray, "M"],
    *,
    standing: Standing,
    similarities: Similarities,
    threshold: float,
) -> Compared:
    """One partition of the exchange: near pairs by which every near pair lies in one family (`clusters.clusters`).

    For who removes nothing, and may tear no near pair apart. `compare` is not enough for that: it leaves out a pair of
    records each of which is near to another one. In a bucket of more than MOST_FAMILIES members, each is compared with
    the first and with as many that follow, and the members are counted as `num_uncompared`.
    """
    order = np.flatnonzero(standing.is_alive_N[numbers_M])
    order = order[np.lexsort((standing.rank_N[numbers_M[order]], keys_M[order]))]
    keys, numbers = _shared(keys_M[order], numbers_M[order])
    is_first, pairs = candidate_pairs(keys, numbers)
    edges, values = ([each] for each in verify(_open(pairs, standing), similarities, threshold=threshold))
    is_with_first = is_first.copy()
    is_with_first[~is_first] = _is_in(pairs, edges[0], size=len(standing.rank_N))
    for step in range(1, min(MOST_FAMILIES, len(keys))):
        is_pair = keys[step:] == keys[:-step]
        if not is_pair.any():
            break
        is_pair &= ~(is_with_first[step:] & is_with_first[:-step])
        pairs = np.stack([numbers[:-step][is_pair], numbers[step:][is_pair]], axis=1)
        near, similar = verify(_open(pairs, standing), similarities, threshold=threshold)
        edges.append(near)
        values.append(similar)
    edges_E2, unique = np.unique(np.concatenate(edges), axis=0, return_index=True)
    sizes = np.unique(keys, return_counts=True)[1]
    return Compared(edges_E2, np.concatenate(values)[unique], int(sizes[sizes > MOST_FAMILIES].sum()))


def candidate_pairs(
    keys_M: UInt64[np.ndarray, "M"], numbers_M: Int64[np.ndarray, "M"]
) -> tuple[Bool[np.ndarray, "M"], Int64[np.ndarray, "P 2"]]:
    """Which members are the first of their bucket, and the pair (first, member) for each other one, in order.

    Args:
      keys_M: sorted, so that equal ones, a bucket, stand together.
    """
    is_first = np.ones(len(keys_M), bool)
    np.not_equal(keys_M[1:], keys_M[:-1], out=is_first[1:])
    firsts = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    return is_first, np.stack([numbers_M[firsts], numbers_M], axis=1)[~is_first]


def verify(
    pairs_P2: Int64[np.ndarray, "P 2"], similarities: Similarities, *, threshold: float
) -> tuple[Int64[np.ndarray, "E 2"], Float64[np.ndarray, "E"]]:
    """The different pairs whose true similarity reaches the threshold, sorted, and the similarities."""
    pairs = np.unique(pairs_P2, axis=0)
    found = similarities(pairs)
    return pairs[found >= threshold], found[found >= threshold]


def resolve(
    compare_all: Callable[[Standing], Iterable[Compared]],
    *,
    rank_N: Int64[np.ndarray, "N"],
    is_alive_N: Bool[np.ndarray, "N"],
    num_old: int = 0,
) -> Resolved:
    """Who survives, of all records.

    Args:
      compare_all: `compare` of every partition, wherever that runs.
      rank_N: each record's place in the order of preference, a permutation (`clusters.preference`).
      is_alive_N: which records take part: exact duplicates were removed before.
      num_old: so many records at the beginning belong to an earlier release: they are not compared with one another
        and never removed, since they have the first ranks.
    """
    numbers = np.arange(len(rank_N))
    standing = Standing(rank_N, is_alive_N, numbers >= num_old)
    edges_E2, values_E = np.zeros((0, 2), np.int64), np.zeros(0)
    num_rounds, num_uncompared = 0, 0
    while True:
        compared = list(compare_all(standing))
        num_rounds += 1
        num_uncompared = max(num_uncompared, sum(part.num_uncompared for part in compared))
        num_known = len(edges_E2)
        edges_E2, unique = np.unique(
            np.concatenate([edges_E2, *(part.edges_E2 for part in compared)]), axis=0, return_index=True
        )
        values_E = np.concatenate([values_E, *(part.similarities_E for part in compared)])[unique]
        original_N, similarity_N = clusters.survivors(edges_E2, values_E, rank_N=rank_N)
        if len(edges_E2) == num_known:
            return Resolved(original_N, similarity_N, edges_E2, num_uncompared, num_rounds)
        is_alive = is_alive_N & (original_N == numbers)
        is_open = np.zeros(len(numbers), bool)
        is_open[edges_E2[:, 1]] = True  # once set aside
        standing = Standing(rank_N, is_alive, is_open & is_alive)


def _shared(keys: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The members of buckets that have more than one."""
    is_same = np.zeros(len(keys) + 1, bool)
    np.equal(keys[1:], keys[:-1], out=is_same[1:-1])
    is_kept = is_same[1:] | is_same[:-1]
    return keys[is_kept], numbers[is_kept]


def _open(pairs: np.ndarray, standing: Standing) -> np.ndarray:
    return pairs[standing.is_open_N[pairs].any(axis=1)]


def _is_in(pairs: np.ndarray, sorted_pairs: np.ndarray, *, size: int) -> np.ndarray:
    """Which of the pairs of numbers below `size` stand among the sorted ones."""
    ours, theirs = (each[:, 0] * size + each[:, 1] for each in (pairs, sorted_pairs))
    return np.isin(ours, theirs)
