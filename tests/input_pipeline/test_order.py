"""The shuffle is a permutation, as uniform as numpy's, and frozen for ever."""

import numpy as np
import pytest
import scipy.stats

from input_pipeline import hashing, order

NUM_SHUFFLES = 20_000
PEER = np.random.default_rng(5)
SIGNIFICANT = 1e-5  # seeds are fixed: a test that passes once passes always


def shuffle(num_rows: int, *, epoch: int = 0, seed: int = 0) -> np.ndarray:
    places = np.arange(num_rows)
    key = hashing.key("test", seed)
    return order.shuffled(places, num_rows=num_rows, key=key, epochs=np.full(num_rows, epoch))


def shuffles(num_rows: int) -> np.ndarray:
    """int64 [NUM_SHUFFLES, num_rows]: one shuffle a row, each of its own epoch, all in one call."""
    epochs, places = np.divmod(np.arange(NUM_SHUFFLES * num_rows), num_rows)
    found = order.shuffled(places, num_rows=num_rows, key=hashing.key("many"), epochs=epochs)
    return found.reshape(NUM_SHUFFLES, num_rows)


def peer(num_rows: int) -> np.ndarray:
    return np.stack([PEER.permutation(num_rows) for _ in range(NUM_SHUFFLES)])


@pytest.mark.fast
@pytest.mark.parametrize("num_rows", [*range(1, 40), 64, 65, 255, 1000, 4096, 4097, 100_003])
def test_a_shuffle_is_a_permutation(num_rows):
    for epoch in (0, 1, 2**40):
        np.testing.assert_array_equal(np.sort(shuffle(num_rows, epoch=epoch)), np.arange(num_rows))


@pytest.mark.fast
def test_every_epoch_and_every_seed_has_an_order_of_its_own():
    orders = [tuple(shuffle(100, epoch=epoch, seed=seed)) for epoch in range(20) for seed in range(20)]
    assert len(set(orders)) == 400


@pytest.mark.fast
@pytest.mark.parametrize("num_rows", [2**32 + 15, 2**40 - 1, 2**40])
def test_more_rows_than_any_table_holds(num_rows):
    """No two of a million places share a row, and the rows lie everywhere."""
    places = np.concatenate([np.arange(500_000), num_rows - 1 - np.arange(500_000)])
    found = order.shuffled(places, num_rows=num_rows, key=hashing.key(3), epochs=np.zeros(len(places), np.int64))
    assert len(np.unique(found)) == len(places)
    assert 0 <= found.min() < found.max() < num_rows
    counts = np.bincount((found * 64 // num_rows).astype(np.int64), minlength=64)
    assert scipy.stats.chisquare(counts).pvalue > SIGNIFICANT


@pytest.mark.fast
def test_several_sets_of_rows_at_once():
    sizes = [1, 2, 7, 16, 17, 4097]
    counts = np.repeat(sizes, sizes)
    places = np.concatenate([np.arange(size) for size in sizes])
    keys = np.repeat(np.concatenate([hashing.key("test", size) for size in sizes]), sizes)
    found = order.shuffled(places, num_rows=counts, key=keys, epochs=np.full(len(places), 3))
    alone = [shuffle(size, epoch=3, seed=size) for size in sizes]
    np.testing.assert_array_equal(found, np.concatenate(alone))


@pytest.mark.fast
def test_any_places_of_any_epochs_at_once():
    epochs, places = np.divmod(np.random.default_rng(0).integers(0, 700, 5000), 7)
    together = order.shuffled(places, num_rows=7, key=hashing.key("test", 0), epochs=epochs)
    alone = [shuffle(7, epoch=epoch)[place] for epoch, place in zip(epochs, places, strict=True)]
    np.testing.assert_array_equal(together, alone)
    none = np.zeros(0, np.int64)
    assert order.shuffled(none, num_rows=7, key=hashing.key(0), epochs=none).shape == (0,)


@pytest.mark.parametrize("num_rows", [2, 3, 4, 5])
def test_every_permutation_of_few_rows_comes_equally_often(num_rows):
    codes = shuffles(num_rows) @ num_rows ** np.arange(num_rows)
    counts = np.unique(codes, return_counts=True)[1]
    assert len(counts) == scipy.special.factorial(num_rows)
    assert scipy.stats.chisquare(counts).pvalue > SIGNIFICANT


@pytest.mark.parametrize("num_rows", [7, 8, 12, 16, 33])
def test_no_statistic_tells_it_from_numpys(num_rows):
    ours, theirs = shuffles(num_rows), peer(num_rows)
    for one, other in ((0, 1), (0, num_rows // 2), (num_rows - 2, num_rows - 1)):  # two places together
        counts = np.zeros((num_rows, num_rows))
        np.add.at(counts, (ours[:, one], ours[:, other]), 1)
        assert not counts.diagonal().any()
        assert scipy.stats.chisquare(counts[~np.eye(num_rows, dtype=bool)]).pvalue > SIGNIFICANT
    for place in range(num_rows):
        assert scipy.stats.chisquare(np.bincount(ours[:, place], minlength=num_rows)).pvalue > SIGNIFICANT
    statistics = {
        "fixed points": lambda rows: (rows == np.arange(num_rows)).sum(1),
        "followers": lambda rows: (np.diff(rows, axis=1) == 1).sum(1),
        "descents": lambda rows: (np.diff(rows, axis=1) < 0).sum(1),
        "parity": lambda rows: np.round(np.linalg.det(np.eye(num_rows)[rows])) > 0,
    }
    for name, statistic in statistics.items():
        table = [np.bincount(statistic(side).astype(int), minlength=num_rows + 1) for side in (ours, theirs)]
        table = np.array(table)[:, np.sum(table, axis=0) >= 10]
        assert scipy.stats.chi2_contingency(table).pvalue > SIGNIFICANT, name


@pytest.mark.fast
def test_orders_are_frozen():
    """What a run reads at a position never changes. Where it must, `order.FORMAT` changes too."""
    assert order.FORMAT == "order 1"
    assert hashing.key("rows", 7, "code").tolist() == [9157803480610150364]
    assert hashing.fold(hashing.key("rows", 7, "code"), np.arange(2)).tolist() == [
        6461311197270134664,
        10031197487459628713,
    ]
    assert shuffle(10).tolist() == [1, 3, 6, 0, 5, 4, 2, 9, 7, 8]
    assert shuffle(10, epoch=1).tolist() == [8, 1, 7, 0, 2, 9, 3, 5, 6, 4]
    assert shuffle(1000, seed=3)[:8].tolist() == [197, 840, 367, 39, 471, 689, 622, 886]
    places = np.array([0, 1, 2**39])
    found = order.shuffled(places, num_rows=2**40, key=hashing.key("test", 0), epochs=np.array([0, 5, 2**33]))
    assert found.tolist() == [313413486256, 25824760660, 792143218176]


@pytest.mark.fast
def test_splitmix64_is_the_published_one():
    """Seed 1234567, from https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert hashing.fold(np.array([1234567], np.uint64), np.arange(5)).tolist() == published


@pytest.mark.fast
def test_uniform_numbers():
    found = hashing.uniform(hashing.fold(hashing.key("u"), np.arange(300)), 100)
    assert found.shape == (300, 100)
    assert 0 <= found.min() < found.max() < 1
    assert scipy.stats.kstest(found.ravel(), "uniform").pvalue > SIGNIFICANT
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.2
