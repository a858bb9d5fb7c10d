"""Rows of one class stand together, and an epoch is still a pass over all rows."""

import collections

import numpy as np
import pytest

from input_pipeline import hashing, loader, mixture
from input_pipeline.labelled.examples import Examples
from input_pipeline.labelled.rows import Rows
from input_pipeline.labelled.together import Together
from input_pipeline.loader import Part

pytestmark = pytest.mark.fast

CLASSES = np.array([3, 0, 0, 3, 1, 3, 0, 3, 3, 0, 3, 5] * 9 + [2])  # none of class 4, one row of class 2
SIZE = 4


def epoch(number, classes=CLASSES, *, seed=0, size=SIZE):
    together = Together(classes, size)
    key = hashing.key("rows", seed, "")
    return together.rows(np.arange(len(together)), key=key, epochs=np.full(len(together), number))


@pytest.mark.parametrize("number", range(5))
def test_groups_are_of_one_class_and_no_row_is_left_out(number):
    rows = epoch(number)
    assert (CLASSES[rows].reshape(-1, SIZE) == CLASSES[rows][::SIZE, None]).all()
    times = collections.Counter(rows.tolist())
    assert set(times) == set(range(len(CLASSES)))
    for each in np.unique(CLASSES):
        members = np.flatnonzero(each == CLASSES)
        again = sum(times[row] - 1 for row in members.tolist())
        assert again == -len(members) % SIZE
        assert max(times[row] for row in members.tolist()) <= max(2, SIZE // len(members))


def test_rows_of_a_class_meet_others_in_each_epoch_and_stand_elsewhere():
    partners = [{frozenset(group) for group in epoch(number).reshape(-1, SIZE).tolist()} for number in range(4)]
    assert len(set.union(*partners)) > 3.5 * len(partners[0])
    first = [CLASSES[epoch(number)[0]] for number in range(200)]
    share = np.mean(np.array(first) == 3)
    assert abs(share - 14 / 30) < 0.12, "14 of 30 groups are of class 3"
    assert (epoch(0, seed=1) != epoch(0)).any()


def test_groups_of_one_are_a_shuffle():
    assert sorted(epoch(3, size=1)) == list(range(len(CLASSES)))
    assert len(np.unique(np.diff(CLASSES[epoch(3, size=1)]) == 0)) == 2


def test_every_stretch_is_cut_from_the_same_sequence():
    together = Together(CLASSES, SIZE)
    mixed = mixture.make({"": together}, weights={"": 1.0}, seed=0)
    whole = np.concatenate([epoch(number) for number in range(3)])
    np.testing.assert_array_equal(mixed.rows(0, len(whole))[1], whole)
    np.testing.assert_array_equal(mixed.rows(101, 251)[1], whole[101:251])
    together = Together(np.tile(CLASSES, 50), SIZE)  # an epoch of more than a cycle
    mixed = mixture.make({"": together}, weights={"": 1.0}, seed=0)
    whole = epoch(0, np.tile(CLASSES, 50))
    np.testing.assert_array_equal(mixed.rows(4000, 4200)[1], whole[4000:4200])


def test_they_are_frozen():
    """What a run reads at a position never changes. Where it must, `together.FORMAT` changes too."""
    assert repr(Together(CLASSES, SIZE)) == "Together(size=4, format='together 1')"
    assert epoch(0)[:8].tolist() == [82, 17, 55, 24, 77, 91, 20, 12]


def test_a_run_holds_to_it():
    rows = Rows(Examples.of(np.zeros((len(CLASSES), 2), np.float32), CLASSES), np.arange(len(CLASSES)), (2,))
    prints = {loader.fingerprint([Part("", rows, order=order)]) for order in (None, Together(CLASSES, 2))}
    assert loader.fingerprint([Part("", rows, order=Together(CLASSES, 4))]) not in prints
    assert len(prints) == 2
