"""Schedules against optax's, and against formulas with their source."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train.optimizer.schedules import READS, SCHEDULES, Schedule

STEPS = np.arange(45)


def values(schedule: Schedule, num_steps: int = 40):
    return np.asarray(jax.jit(schedule.shape(num_steps))(STEPS))


EQUALS = [
    (Schedule(name="constant"), optax.constant_schedule(1.0)),
    (Schedule(final=0.0), optax.cosine_decay_schedule(1.0, 40)),
    (Schedule(final=0.1), optax.cosine_decay_schedule(1.0, 40, alpha=0.1)),
    (Schedule(name="linear", final=0.2), optax.linear_schedule(1.0, 0.2, 40)),
    (Schedule(name="polynomial", final=0.2, power=2.5), optax.polynomial_schedule(1.0, 0.2, 2.5, 40)),
    (
        Schedule(name="piecewise", boundaries=(5, 20), factors=(0.5, 0.1)),
        optax.piecewise_constant_schedule(1.0, {5: 0.5, 20: 0.1}),
    ),
    (
        Schedule(name="wsd", decay_steps=10, final=0.1),
        optax.join_schedules([optax.constant_schedule(1.0), optax.linear_schedule(1.0, 0.1, 10)], [30]),
    ),
    # Zhai et al., 2021, section 3.5: sqrt(timescale / (timescale + step)).
    (Schedule(name="rsqrt", timescale_steps=16), lambda step: (16 / (16 + step)) ** 0.5),
    # Hägele et al., 2024, section 3: 1 - sqrt((n - (N - n_decay)) / n_decay).
    (
        Schedule(name="wsd", decay_share=0.5, decay_shape="sqrt"),
        lambda step: 1 - jnp.sqrt(jnp.clip((step - (40 - 20)) / 20, 0, 1)),
    ),
]


@pytest.mark.parametrize(("schedule", "expected"), EQUALS, ids=lambda value: getattr(value, "name", ""))
def test_each_equals_its_formula(schedule, expected):
    wanted = np.broadcast_to(jax.jit(expected)(STEPS), STEPS.shape)
    np.testing.assert_allclose(values(schedule), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.fast
def test_each_is_compared_and_says_what_it_reads():
    assert {schedule.name for schedule, _ in EQUALS} == set(SCHEDULES) == set(READS)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "piecewise"])
def test_warmup_rises_evenly_to_the_peak_and_joins_what_follows(name):
    """What follows lasts as long as the rest of the run."""
    fields = dict(name=name, final=0.1, timescale_steps=7, power=3.0, decay_steps=8)
    found = values(Schedule(warmup_steps=9, **fields), 40)
    np.testing.assert_allclose(found[:10], np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_allclose(found[9:], values(Schedule(**fields), 31)[: 45 - 9], rtol=1e-5)


def test_boundaries_are_steps_of_the_run():
    found = values(Schedule(name="piecewise", warmup_steps=4, boundaries=(6, 20), factors=(0.5, 0.5)))
    assert (found[4:6] == 1).all()
    assert (found[6:20] == 0.5).all()
    assert (found[20:] == 0.25).all()


def test_a_share_of_the_decay_is_of_the_whole_run():
    found = values(Schedule(name="wsd", warmup_steps=20, decay_share=0.25))
    assert (found[20:31] == 1).all()
    assert found[31] == pytest.approx(0.9)
    assert (found[40:] == 0).all()


def test_inverse_square_root_is_vaswanis_where_the_timescale_is_the_warmup():
    """warmup**0.5 * step**-0.5 (https://arxiv.org/abs/1706.03762, section 5.3)."""
    found = values(Schedule(name="rsqrt", warmup_steps=10, timescale_steps=10))
    np.testing.assert_allclose(found[10:], (10 / STEPS[10:]) ** 0.5, rtol=1e-6)


@pytest.mark.fast
def test_fields_that_are_not_read():
    assert Schedule(name="cosine", final=0.1, warmup_steps=3).unread() == {}
    assert Schedule(name="constant", final=0.1, warmup_steps=3).unread() == {"final": 0.1}
    assert Schedule(name="wsd", decay_tokens=5, decay_share=0.2, decay_shape="sqrt").unread() == {}
    assert Schedule(name="rsqrt", timescale_steps=5, boundaries=(1,), factors=(0.5,)).unread().keys() == {
        "boundaries",
        "factors",
    }
    assert Schedule(name="linear", power=2.0, decay_steps=3).unread() == {"power": 2.0, "decay_steps": 3}


@pytest.mark.fast
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (dict(name="cosin"), "name: expected one of constant, cosine"),
        (dict(warmup_steps=-1), "warmup_steps: expected 0 or more, got -1"),
        (dict(final=2.0), "final: expected a share"),
        (dict(decay_share=1.5), "decay_share: expected a share"),
        (dict(decay_shape="cube"), "decay_shape: expected one of linear, sqrt, got 'cube'"),
        (dict(power=0.0), "power: expected a number above 0"),
        (dict(timescale_steps=0), "timescale_steps: expected one of timescale_steps, timescale_tokens"),
        (dict(name="piecewise"), "boundaries: piecewise expects some, got none"),
        (dict(boundaries=(1, 2), factors=(0.5,)), "factors: expected one for each of the 2 boundaries, got 1"),
        (dict(boundaries=(2, 1), factors=(0.5, 0.5)), "boundaries: expected rising steps"),
        (dict(boundaries=(1,), factors=(-0.5,)), "factors: expected 0 or more each"),
    ],
)
def test_wrong_schedules(fields, says):
    with pytest.raises(ValueError, match=f"optimizer.schedule.{says}"):
        Schedule(**fields)
