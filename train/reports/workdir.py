"""What a workdir's files say: the one reader for pictures, reports and comparisons. Imports nothing of ours.

config.json      {"config": ..., "derived": ..., "provenance": {"train.num_steps": "command line", ...}}
metrics.jsonl    one object a line: {"step": 200, "train/loss": 2.41, ...}
sessions.jsonl   one object a line: {"session": 1, "started": "...", "start_step": 0, "code": {...}, ...}
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from typing import Any

from etils import epath

Row = dict[str, float]  # "step", and metrics by name; nan where the run had no number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workdir:
    """A run's files as they were when they were read."""

    path: epath.Path
    config: dict[str, Any]
    derived: dict[str, Any]  # what followed from the config, its devices and its data
    provenance: dict[str, str]  # dotted path of a field -> where its value came from; {} in runs older than that
    metrics: list[Row]  # one row a step, ascending
    sessions: list[dict[str, Any]]  # oldest first; [] in runs older than that

    @property
    def name(self) -> str:
        return self.path.name

    def series(self, key: str) -> list[tuple[int, float]]:
        """(step, value) wherever the metric was measured."""
        return [(int(row["step"]), row[key]) for row in self.metrics if key in row]


def read(path: str | os.PathLike[str]) -> Workdir:
    """All of a workdir's files; one that the run has not written yet is empty.

    Raises:
      ValueError: it is no workdir, or a line in it is broken.
    """
    folder = epath.Path(path)
    kept = read_config(folder)
    return Workdir(
        path=folder.resolve(),
        config=kept["config"],
        derived=kept.get("derived", {}),
        provenance=kept.get("provenance", {}),
        metrics=read_metrics(folder),
        sessions=read_sessions(folder),
    )


def read_config(workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """The whole of config.json: `config`, `derived`, `provenance`.

    Raises:
      ValueError: there is none, or it is not a run's.
    """
    path = epath.Path(workdir) / "config.json"
    if not path.exists():
        raise ValueError(f"{os.fspath(workdir)}: expected a run's folder with config.json, got none; train first")
    kept = _parse(path.read_text(), place=str(path))
    if not isinstance(kept.get("config"), dict):
        raise ValueError(f'{path}: expected an object with a "config", got {", ".join(kept) or "an empty one"}')
    return kept


def read_metrics(workdir: str | os.PathLike[str]) -> list[Row]:
    """The rows of metrics.jsonl by step; lines of one step are merged, a null becomes nan, a missing file []."""
    rows: dict[int, Row] = {}
    for line in _lines(epath.Path(workdir) / "metrics.jsonl"):
        row = {key: math.nan if value is None else value for key, value in line.items()}
        rows[line["step"]] = rows.get(line["step"], {}) | row
    return [rows[step] for step in sorted(rows)]


def read_sessions(workdir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The sessions in sessions.jsonl, oldest first: lines of one session are merged, the later ones on top."""
    sessions: dict[int, dict[str, Any]] = {}
    for line in _lines(epath.Path(workdir) / "sessions.jsonl"):
        sessions[line["session"]] = sessions.get(line["session"], {}) | line
    return list(sessions.values())


def _lines(path: epath.Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; the last one may still be being written, and is left out then."""
    text = path.read_text() if path.exists() else ""
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        yield _parse(line, place=f"{path}, line {number}")


def _parse(text: str, *, place: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{place}: expected JSON, got {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{place}: expected a JSON object, got {type(found).__name__}")
    return found
