"""Traces a few steps, and tells their costliest operations (config field `log.profile`).

The trace stays in the workdir's profile/ for XProf or TensorBoard; profile/ops.json has what was told, for the report.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
from jax.profiler import ProfileData, ProfileOptions

from train import trace
from train.clock import Clock
from train.trace import Costs

NUM_TOLD = 10


@dataclasses.dataclass(kw_only=True)
class Profile:
    """Asked before and after every step; a context manager, so that no trace is left open.

    The step before is waited for, and so are the traced ones; that wait is the steps' own time. Starting, writing and
    reading the trace is booked on the clock's part "profile". A step that is traced is a little slower.
    """

    steps: range  # empty: nothing is traced
    folder: Path
    program: Callable[[], str]  # the text of the compiled training step; asked for once it has run
    clock: Clock
    say: Callable[[str], None]

    def __post_init__(self):
        self._is_tracing = False

    def before(self, step: int, running: Any) -> None:
        """Begins at the first of the steps. `running` is what the step before returns, or None."""
        if self.steps and step == self.steps[0]:
            jax.block_until_ready(running)
            with self.clock.part("profile"):
                jax.profiler.start_trace(self.folder, profiler_options=_options())
            self._is_tracing = True

    def after(self, step: int, report: Any) -> None:
        """Ends after the last of the steps, and tells what it saw. `report` is what the step returns."""
        if self._is_tracing and step == self.steps[-1]:
            jax.block_until_ready(report)
            with self.clock.part("profile"):
                self._stop()
                self._tell()

    def _stop(self) -> None:
        self._is_tracing = False
        jax.profiler.stop_trace()

    def _tell(self) -> None:
        newest = max(self.folder.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
        text = self.program()
        runs = trace.executions(ProfileData.from_file(str(newest)), module=trace.module_name(text))
        try:
            costs = trace.costs(runs, num_steps=len(self.steps), text=text)
        except ValueError as error:
            self.say(f"warning: profile: {error} ({newest})")
            return
        told = in_words(costs, steps=self.steps)
        self.say(f"{told}\n{table(costs)}\ntrace: {newest}")
        operations = [dataclasses.asdict(operation) for operation in costs.operations[:NUM_TOLD]]
        kept = {"told": told, "step_ms": costs.step_ms, "covered": costs.covered, "operations": operations}
        (self.folder / "ops.json").write_text(json.dumps(kept, indent=2) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """A run that ends among the steps leaves a trace that is not whole; nothing is made of it."""
        if self._is_tracing:
            self._stop()
            self.say(f"warning: profile: the run ended before step {self.steps[-1]}; its trace is in {self.folder}")


def _options() -> ProfileOptions:
    """No Python calls: they slow the steps down, and fill the trace."""
    options = ProfileOptions()
    options.python_tracer_level = 0
    return options


def in_words(costs: Costs, *, steps: range) -> str:
    """What was traced, and how much of it operations account for."""
    return (
        f"steps {steps[0]} to {steps[-1]} traced: {costs.step_ms:.4g} ms a step, {costs.covered:.0%} of it in "
        f"{len(costs.operations):,} operations"
    )


def table(costs: Costs) -> str:
    """The costliest operations, a line each."""
    lines = [f"{'ms a step':>10}  {'share':>5}  {'kind':<16}  {'operation':<28}  from"]
    lines += [
        f"{each.ms_per_step:>10.3f}  {each.share:>5.1%}  {each.kind:<16}  {each.name:<28}  {each.source}"
        for each in costs.operations[:NUM_TOLD]
    ]
    return "\n".join(lines)
