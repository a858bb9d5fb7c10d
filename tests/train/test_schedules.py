"""Schedules against optax's."""

import numpy as np
import optax
import pytest

from train.schedules import Schedule


def values(schedule: Schedule, num_steps: int):
    shape = schedule.shape(num_steps)
    return np.array([float(shape(np.int32(step))) for step in range(num_steps + 5)])


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_equals_optax(final):
    expected = optax.cosine_decay_schedule(1.0, 40, alpha=final)
    np.testing.assert_allclose(
        values(Schedule(final=final), 40), [expected(step) for step in range(45)], rtol=1e-5, atol=1e-7
    )


def test_warmup_rises_evenly_to_the_peak_and_joins_the_decay():
    found = values(Schedule(warmup_steps=9, final=0.1), 49)
    np.testing.assert_allclose(found[:10], np.arange(1, 11) / 10, rtol=1e-6)
    expected = optax.cosine_decay_schedule(1.0, 40, alpha=0.1)
    np.testing.assert_allclose(found[9:49], [expected(step) for step in range(40)], rtol=1e-5)


def test_constant_stays():
    np.testing.assert_array_equal(values(Schedule(name="constant", warmup_steps=3), 10)[3:], 1)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (dict(name="cosin"), "optimizer.schedule.name: expected one of constant, cosine"),
        (dict(warmup_steps=-1), "optimizer.schedule.warmup_steps: expected 0 or more, got -1"),
        (dict(final=2.0), "optimizer.schedule.final: expected a share"),
    ],
)
def test_wrong_schedules(fields, says):
    with pytest.raises(ValueError, match=says):
        Schedule(**fields)
