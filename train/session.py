"""One session of a run: from the command line to a trained model, or from where the last session ended.

Exit codes: 0 done, 2 a mistake of the user's, 3 too many steps in a row were not finite, 75 stopped by request and
saved: run the same line again.
"""

import json
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from etils import epath
from rich.console import Console

from input_pipeline import tokenizer
from models import count
from train import allocator, config_flags, experiment, hosts, inference, optimizer, spec, state
from train.checkpoint import Checkpoints, Restored
from train.clock import Clock
from train.experiment import Engine, Feed
from train.guard import STOPPED, stop_requests
from train.loop import NotFinite
from train.parallel import rules
from train.reports import plots
from train.writer import Writer

NOT_FINITE = 3
WRONG_USE = 2


def main(argv: Sequence[str]) -> int:
    """Trains, goes on training, or says that there is nothing left to do. Returns the exit code."""
    console = Console(highlight=False)
    try:
        config, flags = config_flags.parse(argv, workdir="")
        if not flags["workdir"]:
            raise config_flags.UsageError("--workdir: expected a folder for this run, got none; write --workdir=runs/a")
        run = spec.read(config)
        allocator.keep_freed_pages()
        hosts.join()
        use_compilation_cache()
        engine = experiment.engine(run, jax.devices())
        return Session(console, config, engine, epath.Path(flags["workdir"]))()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_USE
    except NotFinite as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_FINITE
    except KeyboardInterrupt:
        print("interrupted; run the same line again to go on", file=sys.stderr)
        return STOPPED


def use_compilation_cache() -> None:
    """Compiled programs are kept between sessions, unless JAX_COMPILATION_CACHE_DIR says where or how."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        home = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        jax.config.update("jax_compilation_cache_dir", str(home / "meshwright" / "compiled"))


class Session:
    """What a session holds while it lasts."""

    def __init__(self, console: Console, config: Mapping[str, Any], engine: Engine, workdir: epath.Path):
        self.console = console
        self.config = config
        self.engine = engine
        self.run = engine.run
        self.workdir = workdir

    def __call__(self) -> int:
        """-> the exit code."""
        warn = lambda message: self.console.print(f"warning: {message}", markup=False, soft_wrap=True)
        with Checkpoints(self.workdir / "checkpoints", self.run.checkpoint, warn=warn) as checkpoints:
            last = max(checkpoints.steps(), default=0)
            if last >= self.run.train.num_steps:
                return self._is_finished(last)
            feed = self._prepare()
            restored = checkpoints.restore_newest_good(self.engine.abstract_state)
            start = restored.step if restored else 0
            with self._writer(start) as writer:
                self._describe(feed, writer)
                examples = self._check_cursor(restored, feed, writer) if restored else 0
                with jax.set_mesh(self.engine.mesh), stop_requests() as stop:
                    loop = experiment.loop(
                        self.engine,
                        feed,
                        config=self.config,
                        writer=writer,
                        clock=self._clock(start),
                        checkpoints=checkpoints,
                        stop=stop,
                    )
                    final, request = loop(self._state(restored), start=start, examples=examples)
                    checkpoints.wait()
                if request:
                    at = f"step {int(final['step'])} of {self.run.train.num_steps}"
                    writer.say(f"{request}: saved {at}; run the same line again to go on")
                    return STOPPED
                self._sample(final["params"], feed, writer)
        self._report()
        return 0

    def _writer(self, start: int) -> Writer:
        return Writer(
            str(self.workdir),
            process_index=jax.process_index(),
            total_steps=self.run.train.num_steps,
            resume_step=start,
            console=self.console,
        )

    def _clock(self, start: int) -> Clock:
        device_stats = jax.local_devices()[0].memory_stats
        return Clock(total_steps=self.run.train.num_steps, step=start, device_stats=device_stats)

    def _is_finished(self, step: int) -> int:
        self.console.print(f"finished already: step {step} of {self.run.train.num_steps}", soft_wrap=True)
        self._report()
        return 0

    def _prepare(self) -> Feed:
        """The data, with what is being done shown while it lasts."""
        with self.console.status("preparing data") as status:

            def progress(label: str, done: int, total: int) -> None:
                status.update(f"{label} {done}/{total}")
                if done == total and not self.console.is_terminal:
                    self.console.print(f"{label} {done}/{total}", markup=False)

            return experiment.feed(self.run, progress=progress)

    def _describe(self, feed: Feed, writer: Writer) -> None:
        """Writes config.json; prints the model, where each leaf lies, and the data."""
        from clu import parameter_overview

        derived = self.run.derive(len(self.engine.mesh.devices.flat)) | feed.facts()
        derived["num_params"] = count.num_params(self.run.model)
        derived["train_flops_per_token"] = count.train_flops(self.run.model, seq_len=self.run.data.seq_len)
        if jax.process_index() == 0:
            self.workdir.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"config": self.config, "derived": derived}, indent=2)
            (self.workdir / "config.json").write_text(text + "\n")
            tokenizer.save(feed.tokenizer, self.workdir)
        writer.say(parameter_overview.get_parameter_overview(self.engine.definition.shapes, include_stats=False))
        writer.say(rules.table(self.engine.abstract_state))
        mesh = " x ".join(f"{axis}={size}" for axis, size in self.engine.mesh.shape.items())
        writer.say(f"mesh {mesh}; state {state.num_bytes(self.engine.abstract_state):,} bytes over all devices")
        for name, rows in feed.rows.items():
            writer.say(
                f"{name}: {len(rows):,} rows of {rows.seq_len}, {rows.num_tokens:,} tokens, {rows.num_bytes:,} bytes"
            )

    def _check_cursor(self, restored: Restored, feed: Feed, writer: Writer) -> int:
        """Says where the run goes on and what differs in its config; the examples that were consumed.

        Raises:
          ValueError: the training data is not what the run began with.
        """
        expected, came = restored.cursor["fingerprint"], feed.cursor(0)["fingerprint"]
        if expected != came:
            raise ValueError(
                f"--workdir={self.workdir}: expected the data it was trained on ({expected[:12]}), got other data "
                f"({came[:12]}); give back the old files, tokenizer and seq_len, or write another --workdir"
            )
        writer.say(f"going on from step {restored.step} of {self.run.train.num_steps}, in {self.workdir}")
        for line in differences(restored.config, self.config):
            writer.say(f"changed since step {restored.step}: {line}")
        return restored.cursor["examples"]

    def _state(self, restored: Restored | None) -> state.State:
        if restored is None:
            return self.engine.fresh_state()
        opt_state = optimizer.with_hyperparameters(restored.state["opt_state"], self.run.optimizer)
        return {**restored.state, "opt_state": opt_state}

    def _sample(self, params: Any, feed: Feed, writer: Writer) -> None:
        """Prints generated text."""
        sample = self.run.sample
        if not sample.num_tokens or jax.process_count() > 1:
            return
        author = inference.Author(self.engine.definition.module(jax.device_get(params)), feed.tokenizer)
        text = author.stream(
            sample.prompt, num_tokens=sample.num_tokens, temperature=sample.temperature, seed=self.run.seed
        )
        writer.say(f"a sample at temperature {sample.temperature:g}:\n{sample.prompt}{''.join(text)}")

    def _report(self) -> None:
        """Draws the loss curve, and says where everything lies."""
        if jax.process_index() == 0 and "://" not in str(self.workdir):
            picture = plots.loss_curve(pathlib.Path(self.workdir))
            self.console.print(f"loss curve: {picture}", soft_wrap=True)
        for name in ("config.json", "metrics.jsonl", "checkpoints", "run.log"):
            self.console.print(f"{name}: {self.workdir / name}", soft_wrap=True)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """The fields in which two configs differ: "train.num_steps: 100 -> 200"."""
    lines = []
    for name in sorted(before.keys() | now.keys()):
        one, other = before.get(name), now.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            lines += differences(one, other, f"{path}{name}.")
        elif json.dumps(one) != json.dumps(other):
            lines.append(f"{path}{name}: {one!r} -> {other!r}")
    return lines
