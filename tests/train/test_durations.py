"""Durations in four units, and cadences that do not drift, against slow references."""

import dataclasses
import random
from fractions import Fraction

import pytest
import tiny_runs as runs

from train import config_flags, durations, fields, spec
from train.durations import Cadence, Every, Pace

PACE = Pace(step_examples=16, example_tokens=64, epoch_examples=1000)


def steps_one_by_one(amount: Fraction, per_step: Fraction) -> int:
    """Steps until so much is consumed, counted."""
    step, consumed = 0, Fraction(0)
    while consumed < amount:
        step, consumed = step + 1, consumed + per_step
    return step


@pytest.mark.fast
@pytest.mark.parametrize("unit", durations.UNITS)
def test_a_duration_is_the_least_number_of_steps_that_reaches_it(unit):
    chosen = random.Random(unit)
    for _ in range(200):
        pace = Pace(
            step_examples=chosen.randint(1, 64),
            example_tokens=chosen.randint(1, 128),
            epoch_examples=chosen.randint(1, 500),
        )
        rows = Fraction(pace.step_examples)
        per_step = {
            "steps": Fraction(1),
            "tokens": rows * pace.example_tokens,
            "examples": rows,
            "epochs": rows / pace.epoch_examples,
        }[unit]
        amount = round(chosen.uniform(0, 20), 2) if unit == "epochs" else chosen.randint(0, 3000)
        assert pace.steps({unit: amount}) == steps_one_by_one(Fraction(str(amount)), per_step)


@pytest.mark.fast
def test_a_decimal_is_what_is_written():
    """0.1 as a float is a little more than a tenth, and 0.7 * 1000 is a little less than 700."""
    pace = Pace(step_examples=10, example_tokens=1, epoch_examples=1000)
    assert [pace.steps({"epochs": tenths / 10}) for tenths in range(1, 11)] == list(range(10, 101, 10))
    assert pace.steps({"epochs": 1e-05}) == 1


@pytest.mark.fast
@pytest.mark.parametrize(
    ("period", "last", "steps"),
    [
        (3, 10, [3, 6, 9, 10]),
        (5, 10, [5, 10]),
        (1, 3, [1, 2, 3]),
        (Fraction(1, 3), 3, [1, 2, 3]),
        (0, 4, [4]),
        (100, 7, [7]),
        (Fraction(5, 2), 11, [3, 5, 8, 10, 11]),
        (5, 0, [0]),
    ],
)
def test_due_at_multiples_and_at_the_last_step(period, last, steps):
    assert [step for step in range(last + 1) if Cadence(Fraction(period)).due(step, last=last)] == steps


@pytest.mark.fast
def test_cadences_do_not_drift():
    """Multiple k is due at the first step at or past it, however far the run has come."""
    chosen = random.Random(0)
    for _ in range(50):
        period = Fraction(chosen.randint(1, 400), chosen.randint(1, 60))
        multiples = {-(-period * k // 1) for k in range(1, int(999 / period) + 1)}
        found = [step for step in range(1, 1000) if Cadence(period).due(step, last=10**6)]
        assert found == sorted(multiples), period


@pytest.mark.fast
@pytest.mark.parametrize(
    ("cadence", "steps"),
    [
        (Every(every=20), 20),
        (Every(every_examples=40), Fraction(5, 2)),
        (Every(every_tokens=1024), 1),
        (Every(every_epochs=0.04), Fraction(5, 2)),
        (Every(), 0),
    ],
)
def test_a_cadence_in_every_unit(cadence, steps):
    assert PACE.cadence(cadence).period == steps


@pytest.mark.fast
def test_all_units_of_a_duration():
    assert PACE.in_all_units({"steps": 125}) == {"steps": 125, "tokens": 128_000, "examples": 2000, "epochs": 2}
    assert PACE.in_all_units({"tokens": 2560}) == {"steps": 2.5, "tokens": 2560, "examples": 40, "epochs": 0.04}
    unread = dataclasses.replace(PACE, epoch_examples=0)
    assert unread.in_all_units({"steps": 1}) == {"steps": 1, "tokens": 1024, "examples": 16}
    assert unread.in_all_units({"epochs": 2.5}) == {"epochs": 2.5}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fall:
    """A section that nobody has told durations.py of."""

    name: str = "linear"
    decay_steps: int = 0
    decay_tokens: int = 0
    decay_examples: int = 0
    decay_epochs: float = 0.0
    num_tokens: int = 7  # no duration: it has no siblings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole(Every):
    fall: Fall = Fall()
    falls: dict = dataclasses.field(default_factory=dict)


@pytest.mark.fast
def test_groups_are_found_by_their_names_wherever_they_lie():
    whole = Whole(every_tokens=1000, fall=Fall(decay_tokens=1025), falls={"late": Fall(decay_epochs=0.5)})
    assert durations.all_given(whole) == {
        "every": {"tokens": 1000},
        "fall.decay_steps": {"tokens": 1025},
        "falls.late.decay_steps": {"epochs": 0.5},
    }
    expected = Whole(every_tokens=1000, fall=Fall(decay_steps=2), falls={"late": Fall(decay_steps=32)})
    assert durations.in_steps(whole, PACE) == expected


@pytest.mark.fast
def test_every_duration_of_a_config_has_all_units():
    paths = fields.flat(runs.config())
    in_steps = [path for path in paths if path.endswith(("_steps", ".every"))]
    assert {"train.num_steps", "optimizer.schedule.warmup_steps", "eval.val.every", "log.every"} <= set(in_steps)
    for path in in_steps:
        stem = path.removesuffix("_steps")
        assert {f"{stem}_{unit}" for unit in durations.UNITS[1:]} <= paths.keys(), path


@pytest.mark.fast
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(train__num_tokens=-5), "train.num_tokens: expected 0 or more, got -5"),
        (dict(train__num_epochs=float("nan")), "train.num_epochs: expected 0 or more, got nan"),
        (
            dict(train__num_tokens=1000),
            "train: expected one of num_steps, num_tokens, num_examples, num_epochs, got num_steps=40 and "
            "num_tokens=1000; write 0 for all but one",
        ),
        (dict(train__num_steps=0), "train.num_steps: expected one of num_steps, .*, got none; write train.num_steps="),
        (dict(log__every=0), "log.every: expected one of every, every_tokens, .*, got none; write log.every=1000"),
        (dict(eval={"val": {"every": 1, "every_epochs": 0.5}}), "eval.val: expected one of every, .* got every=1 and"),
        (dict(checkpoint__every_tokens=9), "checkpoint: expected one of every, .*, got every=10 and every_tokens=9"),
        (dict(optimizer__schedule={"warmup_epochs": -1.0}), "optimizer.schedule.warmup_epochs: expected 0 or more"),
        (
            dict(eval={"t": {"split": "test", "every_tokens": 5}}, data__test_split="train[90%:]", data__val_split=""),
            "eval.t.every: the test split is read once, at the end, got 5 tokens",
        ),
    ],
)
def test_mistakes(change, says):
    with pytest.raises(ValueError, match=says):
        spec.read(runs.config(**change))


@pytest.mark.fast
def test_an_engine_has_its_run_in_steps():
    """What is compiled for absent chips needs no data: an epoch is assumed."""
    changes = dict(train__num_steps=0, optimizer__schedule={"warmup_examples": 33})
    run = runs.engine(**changes, train__num_tokens=1025).run
    assert (run.train.num_steps, run.train.num_tokens, run.optimizer.schedule.warmup_steps) == (3, 0, 3)
    run = spec.read(runs.config(**changes, train__num_epochs=0.5))
    assert run.lengths_in_epochs == ["train.num_steps"]
    assert durations.in_steps(run, run.pace(1000)).train.num_steps == 32
    assert runs.engine(**changes, train__num_epochs=0.5).run.train.num_steps == 500_000 // 16


@pytest.mark.fast
def test_a_default_gives_way_to_what_a_file_says():
    config = config_flags.load(f"{runs.CONFIGS / 'lm_tiny.py'}:tiny")
    run = spec.read(spec.complete({**config, "log": {"every_tokens": 4096}}))
    assert (run.log.every, run.log.every_tokens) == (0, 4096)
