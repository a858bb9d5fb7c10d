"""Cadences: which steps something is due at."""

import pytest

from train.cadence import due


@pytest.mark.parametrize(
    ("every", "last", "steps"),
    [
        (3, 10, [3, 6, 9, 10]),
        (5, 10, [5, 10]),
        (1, 3, [1, 2, 3]),
        (0, 4, [4]),
        (100, 7, [7]),
    ],
)
def test_due_at_multiples_and_at_the_last_step(every, last, steps):
    assert [step for step in range(last + 1) if due(step, every=every, last=last)] == steps


def test_a_run_of_no_steps_is_at_its_last_step_at_once():
    assert due(0, every=5, last=0)


def test_a_negative_cadence_is_refused():
    with pytest.raises(AssertionError, match="got -1"):
        due(1, every=-1, last=10)
