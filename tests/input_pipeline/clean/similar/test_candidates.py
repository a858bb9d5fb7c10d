"""Who survives, beside a greedy walk over all pairs; and how many comparisons that takes."""

import random

import numpy as np
import pytest
import slow_duplicates

from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import candidates, clusters
from input_pipeline.clean.similar.minhash import MinHash
from input_pipeline.clean.similar.sketch import Store, band_keys

pytestmark = pytest.mark.fast


def resolve(partitions, similarities, *, rank_N, num_old=0, threshold=0.5, is_alive_N=None):
    def compare_all(standing):
        return [
            candidates.compare(keys, numbers, standing=standing, similarities=similarities, threshold=threshold)
            for keys, numbers in partitions
        ]

    alive = np.ones(len(rank_N), bool) if is_alive_N is None else is_alive_N
    return candidates.resolve(compare_all, rank_N=rank_N, is_alive_N=alive, num_old=num_old)


def case(seed: int, count: int = 40) -> tuple[list, np.ndarray]:
    """Random similarities, and buckets in which every near pair of records stands at least once."""
    rng = np.random.default_rng(seed)
    similarity = np.triu(rng.random((count, count)) ** rng.integers(1, 6), 1)
    similarity += similarity.T
    members = [rng.choice(count, rng.integers(1, 12), replace=False) for _ in range(80)]
    keys = np.repeat(rng.choice(10_000, 80, replace=False), [len(one) for one in members]).astype(np.uint64)
    numbers = np.concatenate(members)
    return [(keys[keys % 3 == p], numbers[keys % 3 == p]) for p in range(3)], similarity


def expected_edges(partitions, similarity, *, num_old=0, threshold=0.5) -> dict:
    edges = {}
    for keys, numbers in partitions:
        for key in np.unique(keys):
            bucket = sorted(numbers[keys == key].tolist())
            for place, i in enumerate(bucket):
                for j in bucket[place + 1 :]:
                    if similarity[i, j] >= threshold and j >= num_old:
                        edges[i, j] = similarity[i, j]
    return edges


@pytest.mark.parametrize("num_old", [0, 15])
@pytest.mark.parametrize("prefer", clusters.PREFERENCES)
def test_survivors_are_those_of_a_greedy_walk_over_all_pairs_of_all_buckets(prefer, num_old):
    num_rounds = []
    for seed in range(60):
        partitions, similarity = case(seed)
        sizes = np.random.default_rng(seed).integers(0, 9, len(similarity))
        rank = clusters.preference(sizes, prefer, num_old=num_old)
        found = resolve(partitions, lambda pairs: similarity[tuple(pairs.T)], rank_N=rank, num_old=num_old)  # noqa: B023
        edges = expected_edges(partitions, similarity, num_old=num_old)
        numbers = np.arange(len(rank))
        removed = np.flatnonzero(found.original_N != numbers)
        expected = slow_duplicates.greedy(edges, np.argsort(rank).tolist())
        assert removed.tolist() == np.flatnonzero(expected != numbers).tolist()
        assert not np.isin(found.original_N[removed], removed).any()
        assert (rank[found.original_N[removed]] < rank[removed]).all()
        assert (removed >= num_old).all()
        assert (found.similarity_N[removed] >= 0.5).all()
        np.testing.assert_array_equal(found.similarity_N[removed], similarity[removed, found.original_N[removed]])
        num_rounds.append(found.num_rounds)
    assert max(num_rounds) > 2, "no case needed a record to be compared again"


def test_the_number_of_partitions_makes_no_difference():
    partitions, similarity = case(5)
    keys, numbers = (np.concatenate(each) for each in zip(*partitions, strict=True))
    found = [
        resolve(parts, lambda pairs: similarity[tuple(pairs.T)], rank_N=np.arange(40))
        for parts in (partitions, [(keys, numbers)], [(keys[::-1], numbers[::-1])])
    ]
    for other in found[1:]:
        for ours, theirs in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_records_that_are_gone_before_take_no_part():
    partitions, similarity = case(3)
    alive = np.arange(40) % 3 > 0
    found = resolve(partitions, lambda pairs: similarity[tuple(pairs.T)], rank_N=np.arange(40), is_alive_N=alive)
    assert (found.original_N[~alive] == np.flatnonzero(~alive)).all()
    assert alive[found.original_N[alive]].all()


def test_a_bucket_of_many_of_one_family_costs_one_comparison_each():
    num_compared = []

    def similarities(pairs):
        num_compared.append(len(pairs))
        return np.ones(len(pairs))

    partition = np.zeros(5000, np.uint64), np.random.default_rng(0).permutation(5000)
    found = resolve([partition], similarities, rank_N=np.arange(5000))
    assert (found.original_N == 0).all()
    assert sum(num_compared) == 4999


def test_families_beyond_the_limit_are_counted(monkeypatch):
    monkeypatch.setattr(candidates, "MOST_FAMILIES", 8)
    partition = np.zeros(40, np.uint64), np.arange(40)
    found = resolve([partition], lambda pairs: (pairs[:, 0] == pairs[:, 1] - 20) * 1.0, rank_N=np.arange(40))
    removed = np.flatnonzero(found.original_N != np.arange(40))
    assert removed.tolist() == list(range(20, 28))
    assert found.num_uncompared == 24


@pytest.mark.parametrize("num_old", [0, 15])
def test_every_near_pair_lies_in_one_family_where_none_is_removed(num_old):
    numbers, num_torn = np.arange(40), 0
    for seed in range(20):
        partitions, similarity = case(seed)
        standing = candidates.Standing(numbers, np.ones(40, bool), numbers >= num_old)
        given = dict(standing=standing, similarities=lambda pairs: similarity[tuple(pairs.T)], threshold=0.5)  # noqa: B023
        expected = expected_edges(partitions, similarity, num_old=num_old)
        families = clusters.clusters(40, np.array(list(expected)).reshape(-1, 2))
        found = [candidates.connect(keys, numbers, **given) for keys, numbers in partitions]
        edges = np.concatenate([part.edges_E2 for part in found])
        assert set(map(tuple, edges.tolist())) <= set(expected)
        np.testing.assert_array_equal(clusters.clusters(40, edges), families)
        assert all((part.similarities_E == similarity[tuple(part.edges_E2.T)]).all() for part in found)
        assert not any(part.num_uncompared for part in found)
        some = np.concatenate([candidates.compare(*part, **given).edges_E2 for part in partitions])
        num_torn += (clusters.clusters(40, some) != families).any()
    assert num_torn, "no case shows why `compare` is not enough"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_great_bucket_is_not_compared_in_all_pairs(monkeypatch, value):
    monkeypatch.setattr(candidates, "MOST_FAMILIES", 8)
    num_compared = []

    def similarities(pairs):
        num_compared.append(len(pairs))
        return np.full(len(pairs), value)

    keys, numbers = np.repeat([3, 5], [1000, 8]).astype(np.uint64), np.arange(1008)
    standing = candidates.Standing(numbers, np.ones(1008, bool), np.ones(1008, bool))
    found = candidates.connect(keys, numbers, standing=standing, similarities=similarities, threshold=0.5)
    assert found.num_uncompared == 1000
    assert sum(num_compared) <= (1006 if value else 8 * 1008)
    assert len(np.unique(clusters.clusters(1008, found.edges_E2))) == (2 if value else 1008)


def test_near_texts_are_found_as_by_brute_force():
    texts = slow_duplicates.texts(300, seed=7)
    near = MinHash()
    sketches = near.sketch([Record(str(i), text) for i, text in enumerate(texts)])
    store = Store([sketches.evidence])
    found = resolve(
        [band_keys(sketches, first=0)],
        lambda pairs: store.similarities(near, pairs),
        rank_N=np.arange(300),
        threshold=near.threshold,
    )
    sets = [slow_duplicates.shingles(text, 5) for text in texts]
    edges = slow_duplicates.near_pairs(sets, near.threshold)
    keys = sketches.bands_NK
    shared = [bool((keys[i] == keys[j]).any()) for i, j in edges]
    assert np.mean(shared) >= 0.95
    assert found.original_N.tolist() == slow_duplicates.greedy(edges, list(range(300)))
    for i in np.flatnonzero(found.original_N != np.arange(300)):
        value = slow_duplicates.jaccard(sets[i], sets[found.original_N[i]])
        assert found.similarity_N[i] == value >= near.threshold


def test_families_are_what_edges_connect():
    rng = random.Random(0)
    edges = np.array([(rng.randrange(50), rng.randrange(50)) for _ in range(30)])
    family = list(range(50))
    for _ in range(50):
        for i, j in edges:
            family[i] = family[j] = min(family[i], family[j])
    assert clusters.clusters(50, edges).tolist() == family
    assert clusters.clusters(3, np.zeros((0, 2), np.int64)).tolist() == [0, 1, 2]


def test_an_unknown_preference_is_told():
    with pytest.raises(ValueError, match="prefer: expected one of first, longest; got 'newest'"):
        clusters.preference(np.zeros(3, np.int64), "newest")
