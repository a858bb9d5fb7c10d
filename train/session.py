"""One session of a run: from the command line to a trained model, or from where the last session ended.

Exit codes: 0 done, 2 a mistake of the user's, 3 too many steps in a row were not finite, 75 stopped by request and
saved: run the same line again.
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import jax
from etils import epath
from rich.console import Console

from train import allocator, chips, command_line, experiment, feeds, history, hosts, inference, overview, spec
from train.checkpoint import Checkpoints, Restored
from train.clock import Clock, Laps
from train.damage import Damaged
from train.ema import PARAMS
from train.feeds import Feed
from train.feeds.text import TextFeed
from train.guard import STOPPED, stop_requests
from train.inference import Author
from train.loop import NotFinite
from train.profile import Profile
from train.reports import page, pictures, plots
from train.reports.workdir import read_sessions
from train.step import Report
from train.writer import Writer, has_samples

NOT_FINITE = 3
WRONG_USE = 2


def main(argv: Sequence[str], *, began_s: float | None = None) -> int:
    """Trains, goes on training, or says that there is nothing left to do. Returns the exit code.

    `began_s`: when the process began, by `time.perf_counter`; None: now.
    """
    # A notebook's kernel claims to be a terminal, through FORCE_COLOR, and is none.
    console = Console(highlight=False, force_terminal=None if sys.stdout.isatty() else False)
    try:
        try:
            session = Session(console, argv, Laps(began_s=began_s))
            if session.command.flags["print_config"]:
                return session.print_config()
        except ValueError as error:
            return _refuse(error, WRONG_USE)
        with session.checkpoints:
            try:
                start = session.prepare()
            except ValueError as error:
                return _refuse(error, WRONG_USE)
            return session.train(start) if start else session.make_up()
    except NotFinite as error:
        return _refuse(error, NOT_FINITE)
    except KeyboardInterrupt:
        print("interrupted; run the same line again to go on", file=sys.stderr)
        return STOPPED


def _refuse(error: Exception, exit_code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return exit_code


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a session begins: its data, and the checkpoint that it goes on from."""

    feed: Feed
    restored: Restored | None

    @property
    def step(self) -> int:
        return self.restored.step if self.restored else 0

    @property
    def examples(self) -> int:
        return self.restored.cursor["examples"] if self.restored else 0


class Session:
    """What a session holds while it lasts. What is wrong in the command is a ValueError here, or in `prepare`."""

    def __init__(self, console: Console, argv: Sequence[str], laps: Laps):
        laps.end("imports")
        self.console = console
        self.laps = laps  # to the first step
        self.command = command_line.command(argv, workdir="", print_config=False)
        self.config = self.command.config
        if not self.command.flags["workdir"] and not self.command.flags["print_config"]:
            raise ValueError("--workdir: expected a folder for this run, got none; write --workdir=runs/a")
        self.workdir = epath.Path(self.command.flags["workdir"])
        run = spec.read(self.config)
        laps.end("config")
        allocator.keep_freed_pages()
        hosts.join()
        hosts.use_compilation_cache()
        devices = jax.devices()
        laps.end("devices")
        self.engine = experiment.engine(run, devices)
        self.run = run if run.lengths_in_epochs else self.engine.run  # the others wait for the data
        self.checkpoints = Checkpoints(
            self.workdir / "checkpoints", self.run.checkpoint, warn=lambda text: self._tell(f"warning: {text}")
        )

    def prepare(self) -> Start | None:
        """The data and the newest good checkpoint; None where the run is finished. Writes nothing to the workdir.

        Raises:
          ValueError: files that match nothing, a model or data that is not the checkpoint's, a test split that was
            read at another end.
        """
        feed = None
        if self.run.lengths_in_epochs:
            feed = self._feed()
            self.engine = experiment.engine(self.run, jax.devices(), epoch_examples=feed.epoch_examples)
            self.run = self.engine.run
        if self._is_finished():
            return None
        history.check_test_split(self.run, read_sessions(self.workdir))
        self.laps.end("model")
        feed = feed or self._feed()
        self.laps.end("data")
        restored = self.checkpoints.restore_newest_good(self.engine.abstract_state)
        if restored:
            feed.check_cursor(restored.cursor, self.workdir)
            self.laps.end("restore")
        return Start(feed, restored)

    def train(self, start: Start) -> int:
        """-> the exit code."""
        with self._writer(start.step) as writer, self._recorded(writer, start.step):
            self._describe(start.feed, writer)
            for line in overview.resumed(start.restored, self.run, self.config) if start.restored else ():
                writer.say(line)
            clock = self._clock(start.step)
            with jax.set_mesh(self.engine.mesh), stop_requests() as stop, self._profile(writer, clock) as profile:
                loop = experiment.loop(
                    self.engine,
                    start.feed,
                    config=self.config,
                    writer=writer,
                    clock=clock,
                    checkpoints=self.checkpoints,
                    stop=stop,
                    profile=profile,
                    on_first_step=partial(self._say_startup, writer),
                )
                self.laps.end("overview")
                restored = start.restored
                initial = self.engine.resumed_state(restored.state) if restored else self.engine.fresh_state()
                self.laps.end("state")
                final, request = loop(initial, start=start.step, examples=start.examples)
                self.checkpoints.wait()
            writer.record(end_step=int(final["step"]), exit=request or "done")
            if request:
                at = f"step {int(final['step'])} of {self.run.train.num_steps}"
                writer.say(f"{request}: saved {at}; run the same line again to go on")
                return STOPPED
            self._sample(final[PARAMS[self.run.sample.params]], int(final["step"]), start.feed, writer)
        return self.report()

    def _say_startup(self, writer: Writer, first: Report) -> None:
        """Says where the seconds to the first step went. The step that is compiled waits for its first batch."""
        self.laps.end("compile")
        jax.block_until_ready(first)
        self.laps.end("first step")
        writer.record(startup_s=self.laps.seconds)
        writer.say(f"first step after {sum(self.laps.seconds.values()):.1f} s: {self.laps}")

    def make_up(self) -> int:
        """Writes the samples of a finished run that was killed before it wrote them. -> the exit code."""
        step, sample = max(self.checkpoints.steps()), self.run.sample
        file = self.workdir / "samples.jsonl"
        is_owed = sample.num_tokens and not has_samples(file, step=step, num_samples=len(sample.prompts))
        if is_owed and jax.process_count() == 1:
            author = inference.load(self.workdir, step=step, params=sample.params)
            with self._writer(step) as writer:
                author.write_samples(self.run.sample, seed=self.run.seed, writer=writer)
        return self.report()

    def print_config(self) -> int:
        """Says what would run. -> the exit code 0."""
        self._tell(overview.config(self.command, overview.derived(self.run, self.engine)))
        return 0

    def report(self) -> int:
        """Draws the pictures, writes the page, and says where everything lies. -> the exit code 0."""
        is_here = pathlib.Path(self.workdir, "metrics.jsonl").exists()
        if jax.process_index() == 0 and is_here:
            workdir = pathlib.Path(self.workdir)
            self._tell(f"loss curve: {plots.loss_curve(workdir)}")
            self._tell(f"report: {page.write(workdir)}")
            pictures.draw(workdir)
        elif not is_here and (self.workdir / "metrics.jsonl").exists():
            self._tell(
                "no report: it is written from files on this machine; copy the workdir, then scripts/write_report.py"
            )
        for name in ("config.json", "metrics.jsonl", "sessions.jsonl", "checkpoints", "run.log"):
            self._tell(f"{name}: {self.workdir / name}")
        return 0

    def _is_finished(self) -> bool:
        """Whether the last step is saved. Its record and files are looked at, its arrays are not."""
        last, num_steps = max(self.checkpoints.steps(), default=0), self.run.train.num_steps
        if last < num_steps:
            return False
        try:
            self.checkpoints.read_metadata(last)
        except Damaged:
            return False  # what restores sets it aside
        self._tell(f"finished already: step {last} of {num_steps}")
        return True

    def _tell(self, text: str) -> None:
        if jax.process_index() == 0:
            self.console.print(text, markup=False, soft_wrap=True)

    def _writer(self, start: int) -> Writer:
        return Writer(
            str(self.workdir),
            process_index=jax.process_index(),
            total_steps=self.run.train.num_steps,
            resume_step=start,
            console=self.console,
        )

    def _recorded(self, writer: Writer, start: int) -> AbstractContextManager[None]:
        devices = self.engine.mesh.devices.flatten().tolist()
        return history.recorded(writer, self.run, start_step=start, devices=devices, overrides=self.command.overrides)

    def _clock(self, start: int) -> Clock:
        device_stats = jax.local_devices()[0].memory_stats
        return Clock(
            total_steps=self.run.train.num_steps,
            step=start,
            device_stats=device_stats,
            unit=self.run.data.unit,
            flops_per_unit=overview.flops_per_unit(self.run, self.engine),
            peak_flops_per_s=chips.peak_flops_per_s(self.engine.mesh.devices.flatten().tolist()),
        )

    def _profile(self, writer: Writer, clock: Clock) -> Profile:
        """Process 0 traces its devices, the others none; a run that ends sooner is traced to its end."""
        steps = range(0)
        if jax.process_index() == 0:
            asked = self.run.log.profiled_steps
            steps = range(asked.start, min(asked.stop, self.run.train.num_steps + 1))
        folder = writer.folder / "profile" if steps else pathlib.Path()
        return Profile(steps=steps, folder=folder, program=self.engine.train_program, clock=clock, say=writer.say)

    def _feed(self) -> Feed:
        """The data, with what is being done shown while it lasts."""
        with self.console.status("preparing data") as status:

            def progress(label: str, done: int, total: int) -> None:
                status.update(f"{label} {done}/{total}")
                if done == total and not self.console.is_terminal:
                    self.console.print(f"{label} {done}/{total}", markup=False)

            return feeds.prepare(self.run, progress=progress)

    def _describe(self, feed: Feed, writer: Writer) -> None:
        """Writes config.json; says what the run is."""
        derived = overview.derived(self.run, self.engine, feed)
        if jax.process_index() == 0:
            self.workdir.mkdir(parents=True, exist_ok=True)
            kept = {"config": self.config, "derived": derived, "provenance": self.command.origins}
            (self.workdir / "config.json").write_text(json.dumps(kept, indent=2) + "\n")
            feed.save(self.workdir)
        for text in (overview.config(self.command, derived), *overview.parts(self.engine, feed)):
            writer.say(text)
        for line in feed.warnings():
            writer.say(f"warning: {line}")

    def _sample(self, params: Any, step: int, feed: Feed, writer: Writer) -> None:
        if not (self.run.sample.num_tokens and isinstance(feed, TextFeed)):
            return
        if jax.process_count() > 1:  # no process holds the whole model
            writer.say(f"for a sample: python scripts/sample.py --workdir={self.workdir}")
            return
        model = inference.on_one_device(self.engine.definition, params)
        author = Author(model=model, tokenizer=feed.tokenizer, step=step)
        author.write_samples(self.run.sample, seed=self.run.seed, writer=writer)
