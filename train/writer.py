"""What a run leaves behind, and what it says while it runs. Process 0 does both; the others stay silent.

    metrics.jsonl           a line for each step that was measured: {"step": 200, "train/loss": 2.41, ...}
    events.out.tfevents.*   the same for TensorBoard
    evaluations/            what evaluators found at the last step: <evaluator>.json, and pictures of mistakes
    samples.jsonl           a line for each text that the model wrote: {"step": 500, "prompt": "def ", "text": ...}
    sessions.jsonl          what is known of each session: {"session": 1, "started": ..., "code": {...}, ...}
    run.log                 everything that was said, with the time, over all sessions of the run

A bucket (gs://...) cannot be appended to: such a workdir's files are kept here and copied at each flush.
"""

import json
import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from train.console import Bar, Lines, Sink, progress_line
from train.findings import kept
from train.findings.kept import Found
from train.mirror import Mirror
from train.reports import workdir as workdirs

if TYPE_CHECKING:
    from etils import epath
    from rich.console import Console


class Writer:
    """Writes metrics and words to all places at once; a context manager, closed at the end of the run.

    Args:
      workdir: folder of the run, made if it is missing, or the URL of one.
      process_index: of `jax.process_index()`; only process 0 writes and speaks.
      total_steps: steps of the whole run.
      resume_step: the step of the checkpoint from which this session goes on; what was written of later
        steps is cut away. None or 0 begins the metrics anew.
      console: where to speak: a progress bar on a terminal, else plain lines.

    Raises:
      ValueError: the workdir is a URL of a kind that nothing installed can reach.
    """

    def __init__(
        self,
        workdir: str | os.PathLike[str],
        *,
        process_index: int = 0,
        total_steps: int,
        resume_step: int | None = None,
        console: "Console",
    ):
        self._sinks: list[Sink] = []
        if process_index == 0:
            self._open(str(workdir), total_steps, resume_step or 0, console)

    def _open(self, workdir: str, total_steps: int, resume_step: int, console: "Console") -> None:
        mirrors = [Mirror(workdir)] if "://" in workdir else []
        self._folder = mirrors[0].folder if mirrors else Path(workdir)
        self._folder.mkdir(parents=True, exist_ok=True)
        files = [
            MetricsFile(self._folder / "metrics.jsonl", resume_step=resume_step),
            SamplesFile(self._folder / "samples.jsonl", resume_step=resume_step),
            EventFiles(self._folder, resume_step=resume_step),
            SessionLog(self._folder),
            RunLog(self._folder / "run.log", total_steps),
        ]
        screen = Bar(console, total_steps, resume_step) if console.is_terminal else Lines(console, total_steps)
        self._sinks = [screen, *files, *mirrors]  # closed in this order: the terminal is free at once

    @property
    def folder(self) -> Path:
        """Where process 0 keeps the files on this machine: the workdir itself, unless that is a URL."""
        return self._folder

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Records what was measured after `step` finished steps. Calls for one step add up to one line.

        Steps never go back, and no key comes twice at a step. A flush ends the line of its step: what is
        still to be measured there, such as an evaluation, comes before the checkpoint.
        """
        for sink in self._sinks:
            sink.write(step, metrics)

    def write_samples(self, step: int, records: list[dict[str, Any]]) -> None:
        """Records texts of the model of `step`, all of them at once."""
        for sink in self._sinks:
            sink.write_samples(step, records)

    def write_found(self, name: str, found: Found) -> None:
        """Keeps what an evaluator found, in place of what it found before."""
        if self._sinks:
            kept.write(self._folder / "evaluations", name, found)

    def say(self, text: str) -> None:
        """Tells the user, here and in run.log."""
        for sink in self._sinks:
            sink.say(text)

    def record(self, **facts: Any) -> None:
        """Adds facts about this session, which are durable at once. Those of an earlier call may be given anew."""
        for sink in self._sinks:
            sink.record(facts)

    def flush(self) -> None:
        """Makes all that was written durable. Called before a checkpoint of the same step is saved."""
        for sink in self._sinks:
            sink.flush()

    def close(self) -> None:
        """Flushes, and gives the terminal and the files back."""
        for sink in self._sinks:
            sink.close()
        self._sinks = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MetricsFile(Sink):
    """metrics.jsonl, without a gap or a repeat over any number of sessions.

    Numbers that JSON does not have (nan, inf) become null: every parser reads it, pandas as NaN.
    """

    def __init__(self, path: Path, *, resume_step: int):
        self._last_step = resume_step or -1  # of the lines in the file; a new file may begin with step 0
        self._line: dict[str, float | None] = {}  # of the step that is still being measured
        cut_back(path, last_step=self._last_step)
        self._file = path.open("ab", buffering=0)  # one write(2) a line: kill -9 breaks the last one at most

    def write(self, step: int, metrics: dict[str, float]) -> None:
        if self._line.get("step") != step:
            self._end_line()
            assert step > self._last_step, f"step {step} is written after the line of step {self._last_step}"
            self._line = {"step": step}
        repeated = sorted(self._line.keys() & metrics.keys())
        assert not repeated, f"written twice at step {step}: {repeated}"
        self._line |= {key: _as_json(value) for key, value in metrics.items()}

    def _end_line(self) -> None:
        if self._line:
            self._file.write(json.dumps(self._line, allow_nan=False).encode() + b"\n")
            self._last_step = int(self._line["step"] or 0)
            self._line = {}

    def flush(self) -> None:
        self._end_line()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self.flush()
        self._file.close()


class SamplesFile(Sink):
    """samples.jsonl: the lines of a step are written together, and again only in place of the old ones."""

    def __init__(self, path: Path, *, resume_step: int):
        self._path = path
        if path.exists():
            cut_back(path, last_step=resume_step or -1)

    def write_samples(self, step: int, records: list[dict[str, Any]]) -> None:
        cut_back(self._path, last_step=step - 1)
        with self._path.open("ab", buffering=0) as file:
            file.write("".join(json.dumps(record) + "\n" for record in records).encode())
            os.fsync(file.fileno())


def has_samples(path: "Path | epath.Path", *, step: int, num_samples: int) -> bool:
    """Whether a samples.jsonl holds all texts of a step."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [_step_of(line) for line in lines].count(step) == num_samples


class SessionLog(Sink):
    """sessions.jsonl: a line whenever something is known of a session. Whoever reads it merges those of one."""

    def __init__(self, folder: Path):
        path = folder / "sessions.jsonl"
        _keep_lines(path, lambda line: line.endswith(b"\n"))  # the last one may have been broken off
        self._number = 1 + len(workdirs.read_sessions(folder))
        self._file = path.open("ab", buffering=0)

    def record(self, facts: dict[str, Any]) -> None:
        self._file.write(json.dumps({"session": self._number, **facts}).encode() + b"\n")
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def cut_back(path: Path, *, last_step: int) -> None:
    """Leaves the whole lines up to `last_step`, byte for byte, atomically; a missing file becomes empty."""
    _keep_lines(path, lambda line: _step_of(line) <= last_step)


def _keep_lines(path: Path, is_kept: Callable[[bytes], bool]) -> None:
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.writelines(line for line in lines if is_kept(line))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync_folder(path.parent)


def _step_of(line: bytes) -> float:
    """The step of a line; infinite if the line was broken off, so that it comes after every step."""
    try:
        return json.loads(line)["step"] if line.endswith(b"\n") else math.inf
    except (ValueError, TypeError, KeyError):
        return math.inf


def _sync_folder(folder: Path) -> None:
    """A rename is durable once its folder is (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _as_json(value: float) -> float | None:
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None


class EventFiles(Sink):
    """TensorBoard's event files. A session tells it to forget what earlier ones wrote of later steps."""

    def __init__(self, folder: Path, *, resume_step: int):
        from tensorboardX import SummaryWriter

        logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)  # it warns of each nan; we show them
        self._events = SummaryWriter(
            str(folder),
            purge_step=resume_step + 1 if resume_step else 0,
            filename_suffix=f".{resume_step:09}",  # two sessions may begin in one second; this orders them
        )

    def write(self, step: int, metrics: dict[str, float]) -> None:
        for key, value in metrics.items():
            self._events.add_scalar(key, float(value), step)

    def flush(self) -> None:
        self._events.flush()

    def close(self) -> None:
        self._events.close()


class RunLog(Sink):
    """run.log: what was said, each entry with the time. `logging` keeps the file, and reads the time."""

    def __init__(self, path: Path, total_steps: int):
        self._total_steps = total_steps
        self._handler = logging.FileHandler(path, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S%z"))

    def write(self, step: int, metrics: dict[str, float]) -> None:
        self.say(progress_line(step, self._total_steps, metrics))

    def say(self, text: str) -> None:
        self._handler.emit(logging.makeLogRecord({"msg": text}))

    def close(self) -> None:
        self._handler.close()
