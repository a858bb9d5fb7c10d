"""The one loop: batch, step, and between steps what is due: a line of metrics, an evaluation, a checkpoint, a stop."""

import dataclasses
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import jax

from train.checkpoint import Checkpoints
from train.clock import Clock
from train.durations import Cadence
from train.evaluate import Evaluator, Reading
from train.guard import StopRequests
from train.profile import Profile
from train.state import State
from train.step import Batch, Report
from train.writer import Writer


class NotFinite(RuntimeError):
    """Too many steps in a row were not finite."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How long, how much, and when."""

    num_steps: int
    batch_size: int  # global, in rows
    step_amount: int  # what a step trains on: tokens, or examples
    log: Cadence
    checkpoint: Cadence
    max_skipped: int  # steps in a row


@dataclasses.dataclass(kw_only=True)
class Loop:
    """Trains from a state to the last step, or to a request to stop. Steps run one ahead of what is told of them."""

    plan: Plan
    train_step: Callable[[State, Batch, Any], tuple[State, Report]]
    batches: Callable[[int], Iterator[Batch]]  # from the number of examples consumed
    constants: Any
    evaluators: Mapping[str, Evaluator]
    cursor: Callable[[int], dict[str, Any]]  # of the number of examples consumed
    config: Mapping[str, Any]
    writer: Writer
    clock: Clock
    checkpoints: Checkpoints
    stop: StopRequests
    profile: Profile
    on_first_step: Callable[[Report], None]  # of this session, once it has been sent to the devices

    def __post_init__(self):
        self._skipped_in_a_row = 0
        self._told_step = 0  # the last step with a line of metrics

    def __call__(self, state: State, *, start: int, examples: int) -> tuple[State, str]:
        """Trains on from `start` finished steps and `examples` consumed examples.

        Returns:
          the state, and the name of the request that stopped it, or "" at the last step.

        Raises:
          NotFinite: more than `max_skipped` steps in a row were skipped.
        """
        self._told_step = start
        batches = self.batches(examples)
        running: Report | None = None  # of the step before, told while this one runs
        for step in range(start + 1, self.plan.num_steps + 1):
            with self.clock.part("data"):
                batch = next(batches)
            examples += self.plan.batch_size
            self.profile.before(step, running)
            with self.clock.part("compile") if step == start + 1 else nullcontext():
                state, report = self.train_step(state, batch, self.constants)
            jax.copy_to_host_async(report)
            if step == start + 1:
                self.on_first_step(report)
            self.profile.after(step, report)
            if running is not None:
                self._tell(step - 1, running)
            running = report
            request = self.stop.at(step)
            if request or self._pauses_after(step):
                self._tell(step, running)
                running = None
                self._pause(step, state, examples, request)
            if request:
                return state, request
        return state, ""

    def _pauses_after(self, step: int) -> bool:
        cadences = [self.plan.checkpoint, *(evaluator.cadence for evaluator in self.evaluators.values())]
        return any(cadence.due(step, last=self.plan.num_steps) for cadence in cadences)

    def _tell(self, step: int, report: Report) -> None:
        """Waits for a step's numbers, counts it if it was skipped, and writes its line if one is due."""
        report = jax.device_get(report)
        self._watch(step, report)
        if self.plan.log.due(step, last=self.plan.num_steps):
            amount = self.plan.step_amount * (step - self._told_step)
            self._told_step = step
            totals, counts, _ = report.sums
            means = {f"train/{name}": total / (counts[name] or 1) for name, total in totals.items()}
            told = {"train/grad_norm": report.grad_norm, "train/learning_rate": report.learning_rate}
            told |= {"train/skipped_steps": report.num_skipped}
            if report.zero_fraction is not None:
                told["train/zero_fraction"] = report.zero_fraction
            timings = self.clock.report(step, amount=amount)
            self.writer.write(step, {name: float(value) for name, value in (means | told | timings).items()})

    def _watch(self, step: int, report: Report) -> None:
        self._skipped_in_a_row = 0 if report.is_finite else self._skipped_in_a_row + 1
        if not report.is_finite:
            self.writer.say(
                f"step {step}: the loss or its gradient is not finite; skipped ({report.num_skipped} so far)"
            )
        if self._skipped_in_a_row > self.plan.max_skipped:
            raise NotFinite(
                f"{self._skipped_in_a_row} steps in a row were not finite, the last one step {step}; "
                "write a smaller optimizer.learning_rate, or look at the data; guard.max_skipped allows more"
            )

    def _pause(self, step: int, state: State, examples: int, request: str) -> None:
        """Evaluations, then the checkpoint: what was measured is durable before the state that it describes."""
        metrics: dict[str, float] = {}
        due = {name: one for name, one in self.evaluators.items() if one.cadence.due(step, last=self.plan.num_steps)}
        if any(evaluator.split == "test" for evaluator in due.values()):
            self.writer.record(test_read_step=step)  # before it is read: a kill between the two hides nothing
        with self.clock.part("eval"):
            for name, evaluator in due.items():
                reading = evaluator(state)
                metrics |= {f"{name}/{key}": value for key, value in reading.metrics.items()}
                if step == self.plan.num_steps:
                    self._keep(name, evaluator, reading)
        if metrics:
            self.writer.write(step, metrics)
        if request or self.plan.checkpoint.due(step, last=self.plan.num_steps):
            self.writer.flush()
            with self.clock.part("checkpoint"):
                self.checkpoints.save(
                    step, state, cursor=self.cursor(examples), config=dict(self.config), metrics=metrics
                )

    def _keep(self, name: str, evaluator: Evaluator, reading: Reading) -> None:
        """What an evaluator's last reading found: on disk before the last checkpoint, so that no run ends without.

        A fault in what is drawn for people must not cost the checkpoint: it is told, and the run ends as it should.
        """
        if jax.process_index():
            return
        try:
            if found := evaluator.found(reading, step=self.plan.num_steps):
                self.writer.write_found(name, found)
        except Exception:
            self.writer.say(f"warning: evaluations/{name} is not written, by this fault:\n{traceback.format_exc()}")
