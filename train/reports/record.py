"""Everything that a run's page shows, read from its workdir while the run goes on or long after."""

import dataclasses
import datetime
import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from etils import epath

from train.reports import findings, workdir
from train.reports.findings import Finding
from train.reports.workdir import Workdir

T = TypeVar("T")
ENTRY = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)([+-]\d{4})  (.*)")  # train/writer.py, RunLog
QUIET_S = 120.0  # a run that has written nothing for so long, and for five lines' time, is taken for dead
SAVED = re.compile(r"\w+: saved step \d+ of \d+")
TELLING = re.compile(
    r"warning|error|damaged|skipped|changed since|going on from|saved step|out of memory", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """Something that run.log says; `text` may have several lines."""

    time: datetime.datetime
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """A workdir's files, as they were when they were read."""

    run: Workdir
    samples: list[dict[str, Any]]
    log: list[Entry]
    findings: list[Finding]  # of the last step's evaluations, by evaluator
    operations: Mapping[str, Any]  # profile/ops.json; {} without a profile
    checkpoints: list[int]  # ascending steps
    damaged: list[str]  # what stands in damaged_checkpoints/
    files: list[str]  # what stands in the workdir
    absent: list[str]  # what is missing or cannot be read, each in words
    written: datetime.datetime | None  # the last sign of life

    @property
    def num_steps(self) -> int:
        """Of the whole run, as its last session planned it; 0 where nothing says so."""
        last = self.run.sessions[-1] if self.run.sessions else {}
        return int(last.get("num_steps") or section(self.run.config, "train").get("num_steps") or 0)

    @property
    def last_step(self) -> int:
        measured = int(self.run.metrics[-1]["step"]) if self.run.metrics else 0
        return max([measured, *self.checkpoints])

    def telling(self) -> list[Entry]:
        """What run.log says of warnings, skipped steps, changes, resumes and stops."""
        return [entry for entry in self.log if TELLING.search(entry.text.split("\n")[0])]


def read(path: str) -> Record:
    """All that there is; what is missing or broken is named in `absent`.

    Raises:
      ValueError: there is no such folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ValueError(f"--workdir: expected a run's folder, got {path!r}, which is none; write --workdir=runs/a")
    absent: list[str] = []
    nothing: dict[str, Any] = {}

    def read_one(name: str, reader: Callable[[], T], otherwise: T) -> T:
        if not (folder / name).exists():
            absent.append(f"{name} is not there")
            return otherwise
        try:
            return reader()
        except (ValueError, OSError, KeyError, TypeError) as error:
            absent.append(f"{name} cannot be read: {error}")
            return otherwise

    kept = read_one("config.json", lambda: workdir.read_config(folder), nothing)
    run = Workdir(
        path=epath.Path(folder).resolve(),
        config=kept.get("config", {}),
        derived=kept.get("derived", {}),
        provenance=kept.get("provenance", {}),
        metrics=read_one("metrics.jsonl", lambda: workdir.read_metrics(folder), []),
        sessions=read_one("sessions.jsonl", lambda: workdir.read_sessions(folder), []),
    )
    return Record(
        run=run,
        samples=_samples(folder, run.config, read_one),
        log=read_one("run.log", lambda: _entries((folder / "run.log").read_text(errors="replace")), []),
        findings=_findings(folder, read_one),
        operations=_operations(folder, read_one),
        checkpoints=sorted(int(name) for name in _names(folder / "checkpoints") if name.isdigit()),
        damaged=sorted(_names(folder / "damaged_checkpoints")),
        files=sorted(_names(folder)),
        absent=absent,
        written=_last_written(folder),
    )


def _samples(folder: Path, config: Mapping[str, Any], read_one: Callable[..., Any]) -> list[dict[str, Any]]:
    """A run that is asked for no text writes none, so that none is nothing to report."""
    file = folder / "samples.jsonl"
    is_owed = config.get("sample", {}).get("num_tokens") != 0
    return read_one(file.name, lambda: _objects(file), []) if is_owed or file.exists() else []


def _operations(folder: Path, read_one: Callable[..., Any]) -> Mapping[str, Any]:
    """A run has a profile if it was asked for one, so that none is nothing to report."""
    name = "profile/ops.json"
    return read_one(name, lambda: dict(json.loads((folder / name).read_text())), {}) if (folder / name).exists() else {}


def _findings(folder: Path, read_one: Callable[..., Any]) -> list[Finding]:
    found = [
        read_one(f"evaluations/{file.name}", functools.partial(findings.read, file), None)
        for file in findings.files(folder)
    ]
    return [finding for finding in found if finding]


def _objects(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; the last line may still be being written."""
    text = path.read_text(errors="replace")
    return [dict(json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]


def _entries(text: str) -> list[Entry]:
    entries: list[Entry] = []
    for line in text.split("\n"):
        if found := ENTRY.fullmatch(line):
            time = datetime.datetime.strptime(found[1] + found[2], "%Y-%m-%d %H:%M:%S%z")
            entries.append(Entry(time, found[3]))
        elif entries:
            entries[-1] = Entry(entries[-1].time, f"{entries[-1].text}\n{line}")
    return entries


def _names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()] if folder.is_dir() else []


def _last_written(folder: Path) -> datetime.datetime | None:
    times = [path.stat().st_mtime for name in ("metrics.jsonl", "run.log") if (path := folder / name).exists()]
    return datetime.datetime.fromtimestamp(max(times), datetime.UTC) if times else None


def section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of a config, empty where there is none."""
    section = config.get(name)
    return section if isinstance(section, Mapping) else {}


@dataclasses.dataclass(frozen=True)
class State:
    """How a run stands."""

    name: str  # one of "finished", "stopped", "failed", "running", "interrupted", "empty"
    told: str


def state(record: Record, *, now: datetime.datetime) -> State:
    """What the files say of a run, with the time in which it should have written something."""
    last, planned = record.last_step, record.num_steps
    of = f"step {last:,} of {planned:,}" if planned else f"step {last:,}"
    if not record.written:
        return State("empty", "nothing was measured yet")
    if planned and last >= planned:
        return State("finished", f"all {planned:,} steps")
    quiet_s = (now - record.written).total_seconds()
    ended = str(record.run.sessions[-1].get("exit") or "") if record.run.sessions else ""
    last_words = record.log[-1].text if record.log else ""
    if ": " in ended:  # the name of an exception, and what it says
        return State("failed", f"{ended.removeprefix('NotFinite: ')}; {of}")
    if ended or SAVED.match(last_words):
        return State("stopped", f"on request, saved at {of}")
    if "not finite; skipped" in last_words and quiet_s > QUIET_S:
        return State("failed", f"the last steps were not finite; {of}")
    if quiet_s <= max(QUIET_S, 5 * _line_s(record)):
        return State("running", of)
    return State("interrupted", f"no word since {record.written:%Y-%m-%d %H:%M} UTC; {of}; the same line goes on")


def _line_s(record: Record) -> float:
    """Seconds from one line of metrics to the next, evaluations included, as they last were."""
    steps = [int(row["step"]) for row in record.run.metrics[-2:]]
    step_s = next((row["train/step_time_s"] for row in reversed(record.run.metrics) if "train/step_time_s" in row), 0.0)
    other_s = max((row.get("train/eval_s", 0.0) for row in record.run.metrics[-50:]), default=0.0)
    line_s = step_s * (steps[-1] - (steps[0] if len(steps) > 1 else 0)) + other_s if steps else 0.0
    return line_s if math.isfinite(line_s) else 0.0
