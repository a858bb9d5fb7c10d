"""A trace of real steps on this machine: what is told of them, and that nothing else is disturbed."""

import json

import jax
import jax.numpy as jnp
import pytest

from train import spec
from train.clock import Clock
from train.profile import Profile

START_TRACE = jax.profiler.start_trace


@jax.jit
def train_step(x):
    """Nearly all of its time is the product in `costly`."""
    return costly(x) * 1e-3 + 1


def costly(x):
    return jnp.einsum("IJ,JK->IK", x, x)


class Run:
    """Steps of `train_step` under a profile, and what was said."""

    def __init__(self, folder, steps: range):
        self.said: list[str] = []
        self.seconds = 0.0  # they pass while a trace is started and read, and never else
        self.clock = Clock(total_steps=100, now=lambda: self.seconds)
        self.x = jnp.ones((400, 400))
        train_step(self.x).block_until_ready()  # compiled
        self.profile = Profile(
            steps=steps,
            folder=folder / "profile",
            program=self.program,
            clock=self.clock,
            say=self.said.append,
        )

    def program(self) -> str:
        self.seconds += 5
        return train_step.lower(self.x).compile().as_text()

    def start_trace(self, *arguments, **options) -> None:
        self.seconds += 3
        START_TRACE(*arguments, **options)

    def train(self, steps: range) -> dict[str, float]:
        """-> the clock's report."""
        report = None
        with self.profile:
            for step in steps:
                self.profile.before(step, report)
                self.x = report = train_step(self.x)
                self.profile.after(step, report)
        return self.clock.report(steps[-1], amount=1)


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run = Run(folder, range(3, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.profiler, "start_trace", run.start_trace)
        return folder, run, run.train(range(1, 8))


def test_the_costliest_operation_and_the_line_that_asked_for_it(traced):
    folder, run, _ = traced
    kept = json.loads((folder / "profile" / "ops.json").read_text())
    first = kept["operations"][0]
    assert first["share"] > 0.5
    assert first["source"].startswith("IJ,JK->IK/dot_general at ")
    assert "train/test_profile.py:" in first["source"]
    assert sum(each["ms_per_step"] for each in kept["operations"]) == pytest.approx(kept["covered"] * kept["step_ms"])
    assert 0.5 < kept["covered"] <= 1 + 1e-9
    [said] = run.said
    assert said.startswith("steps 3 to 5 traced: ")
    assert f"{first['ms_per_step']:.3f}" in said
    assert first["name"] in said
    assert list((folder / "profile").rglob("*.xplane.pb"))


def test_its_time_is_not_the_steps(traced):
    _, _, report = traced
    assert report["train/profile_s"] == 3 + 5
    assert report["train/step_time_s"] < 1e-6


def test_a_run_that_ends_among_the_steps_says_so(tmp_path):
    run = Run(tmp_path, range(2, 9))
    run.train(range(1, 4))
    assert run.said == [f"warning: profile: the run ended before step 8; its trace is in {tmp_path / 'profile'}"]
    assert not (tmp_path / "profile" / "ops.json").exists()
    jax.profiler.start_trace(tmp_path / "another")  # none is left open
    jax.profiler.stop_trace()


@pytest.mark.parametrize("steps", [range(0), range(2, 4)])
def test_nothing_is_traced_past_the_steps_or_without_any(tmp_path, steps):
    run = Run(tmp_path, steps)
    report = run.train(range(5, 8))
    assert run.said == []
    assert not (tmp_path / "profile").exists()
    assert "train/profile_s" not in report


@pytest.mark.fast
@pytest.mark.parametrize(
    ("text", "steps"), [("", range(0)), ("20", range(20, 23)), ("20:25", range(20, 25)), ("1:2", range(1, 2))]
)
def test_steps_by_a_word(text, steps):
    assert spec.Log(profile=text).profiled_steps == steps


@pytest.mark.fast
@pytest.mark.parametrize("text", ["0", "x", "20:", ":25", "25:20", "5:5", "-3", "1:2:3"])
def test_other_words_are_refused(text):
    with pytest.raises(ValueError, match=r"log.profile: expected a step such as '20'"):
        spec.Log(profile=text)
