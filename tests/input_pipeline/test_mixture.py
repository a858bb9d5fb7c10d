"""Mixtures: exact proportions, epochs of their own, and the same as a slow reading of what they promise."""

import collections
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from input_pipeline import hashing, mixture, order
from input_pipeline.mixture import CYCLE
from input_pipeline.order import Shuffled

WEIGHTS = {"code": 0.7, "prose": 0.2, "sums": 0.1}
ROWS = {"code": 1000, "prose": 33, "sums": 1}


def make(num_rows, *, weights, seed):
    return mixture.make({name: Shuffled(rows) for name, rows in num_rows.items()}, weights=weights, seed=seed)


def slowly(num_rows, weights, *, seed, count):
    """(part, row) of the first examples, one by one."""
    names = sorted(weights)
    quotas = {name: Fraction(weights[name]) * CYCLE / sum(map(Fraction, weights.values())) for name in names}
    shares = {name: math.floor(quota) for name, quota in quotas.items()}
    while sum(shares.values()) < CYCLE:
        shares[max(names, key=lambda name: quotas[name] - shares[name])] += 1
    taken = collections.Counter()
    for position in range(count):
        cycle, slot = divmod(position, CYCLE)
        [drawn] = order.shuffled(
            np.array([slot]), num_rows=CYCLE, key=hashing.key("parts", seed), epochs=np.array([cycle])
        )
        name = names[np.searchsorted(np.cumsum([shares[name] for name in names]), drawn, side="right")]
        epoch, place = divmod(taken[name], num_rows[name])
        taken[name] += 1
        key = hashing.key("rows", seed, name)
        [row] = order.shuffled(np.array([place]), num_rows=num_rows[name], key=key, epochs=np.array([epoch]))
        yield names.index(name), int(row)


@pytest.mark.parametrize(
    ("num_rows", "weights"),
    [
        pytest.param(ROWS, WEIGHTS, id="three parts"),
        pytest.param({"": 41}, {"": 1.0}, id="a single source"),
    ],
)
def test_it_is_what_a_slow_reading_gives(num_rows, weights):
    count = CYCLE + 300
    found = make(num_rows, weights=weights, seed=7).rows(0, count)
    expected = np.array(list(slowly(num_rows, weights, seed=7, count=count))).T
    np.testing.assert_array_equal(found, expected)


@pytest.mark.fast
def test_any_stretch_is_cut_from_the_same_sequence():
    mixed = make(ROWS, weights=WEIGHTS, seed=1)
    whole = np.stack(mixed.rows(0, 3 * CYCLE))
    for start, stop in ((0, 1), (5, 5), (CYCLE - 1, CYCLE + 1), (CYCLE, 2 * CYCLE), (100, 2 * CYCLE + 7)):
        np.testing.assert_array_equal(mixed.rows(start, stop), whole[:, start:stop])
    far = 10**12
    np.testing.assert_array_equal(mixed.rows(far, far + 9), np.stack(mixed.rows(far - 50, far + 50))[:, 50:59])


@pytest.mark.fast
def test_every_cycle_has_the_exact_proportions_and_no_prefix_strays():
    mixed = make(ROWS, weights=WEIGHTS, seed=3)
    assert dict(zip(mixed.names, mixed.counts, strict=True)) == {"code": 2867, "prose": 819, "sums": 410}
    orders = []
    for cycle in range(20):
        part, _ = mixed.rows(cycle * CYCLE, (cycle + 1) * CYCLE)
        assert tuple(np.bincount(part)) == mixed.counts
        orders.append(part.tobytes())
        for k, count in enumerate(mixed.counts):
            strayed = np.cumsum(part == k) - np.arange(1, CYCLE + 1) * count / CYCLE
            assert abs(strayed).max() <= count * (1 - count / CYCLE)
            assert abs(strayed).max() < 5 * math.sqrt(CYCLE) / 4
    assert len(set(orders)) == 20


@pytest.mark.fast
def test_each_part_has_epochs_of_its_own():
    mixed = make(ROWS, weights=WEIGHTS, seed=3)
    part, row = mixed.rows(0, 5 * CYCLE)
    for k, num_rows in enumerate(map(len, mixed.orders)):
        mine = row[part == k]
        epochs = [mine[i : i + num_rows] for i in range(0, len(mine) - num_rows, num_rows)]
        assert all(len(set(epoch)) == num_rows for epoch in epochs)
        assert num_rows == 1 or len({epoch.tobytes() for epoch in epochs}) == len(epochs)


@pytest.mark.fast
def test_a_part_keeps_its_order_whatever_stands_beside_it():
    def mine(num_rows, weights, name):
        mixed = make(num_rows, weights=weights, seed=5)
        part, row = mixed.rows(0, 3 * CYCLE)
        return row[part == mixed.names.index(name)]

    alone = mine({"code": 1000}, {"code": 3.0}, "code")
    beside = mine(ROWS, WEIGHTS, "code")
    np.testing.assert_array_equal(beside, alone[: len(beside)])
    assert (mine({"other": 1000}, {"other": 1.0}, "other") != alone).any()


@pytest.mark.fast
def test_the_order_of_names_and_the_scale_of_weights_do_not_matter():
    first = make(ROWS, weights=WEIGHTS, seed=5)
    for names in itertools.permutations(ROWS):
        weights = {name: 512 * WEIGHTS[name] for name in names}
        assert make({name: ROWS[name] for name in names}, weights=weights, seed=5) == first
    assert (first.rows(0, 99)[0] != make(ROWS, weights=WEIGHTS, seed=6).rows(0, 99)[0]).any()


@pytest.mark.fast
def test_counting_and_finding():
    mixed = make(ROWS, weights=WEIGHTS, seed=2)
    part, _ = mixed.rows(0, 3 * CYCLE)
    for count in (0, 1, 100, CYCLE, CYCLE + 1, 3 * CYCLE - 1):
        assert mixed.taken(count) == tuple(np.bincount(part[:count], minlength=3))
    for k in range(3):
        for index in (0, 1, 409, 410, 1000):
            assert mixed.position(k, index) == np.flatnonzero(part == k)[index]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 1366, "b": 1365, "c": 1365}),  # the tie goes by name
        ({"a": 0.1, "b": 0.2}, {"a": 1365, "b": 2731}),
        ({"a": 1e300, "b": 1e300}, {"a": 2048, "b": 2048}),
        ({"a": 4095.4, "b": 0.6}, {"a": 4095, "b": 1}),
    ],
)
def test_weights_are_rounded_by_largest_remainder(weights, expected):
    assert mixture.counts(weights) == expected


@pytest.mark.fast
def test_a_weight_that_rounds_to_nothing():
    with pytest.raises(ValueError, match=r"data.mixture.b.weight: expected a share of 1 in 4096 .*; write 0.0244, or"):
        mixture.counts({"a": 100.0, "b": 0.01})
    assert mixture.counts({"a": 100.0, "b": 0.0244})["b"] == 1


@pytest.mark.fast
def test_mixtures_are_frozen():
    """What a run reads at a position never changes. Where it must, `mixture.FORMAT` changes too."""
    assert mixture.FORMAT == "mixture 1, order 1"
    part, row = make(ROWS, weights=WEIGHTS, seed=0).rows(CYCLE - 4, CYCLE + 4)
    assert (part.tolist(), row.tolist()) == ([0, 0, 0, 0, 0, 0, 1, 0], [65, 716, 961, 293, 866, 929, 28, 815])
