"""One page about a run, whole in itself: no network, no engine, nothing but the files of its workdir."""

import datetime
import math
import os
from collections.abc import Callable
from pathlib import Path

from train.reports import evaluations, frame, numbers, sections
from train.reports.frame import HERE, Tile
from train.reports.markup import Markup, element, join
from train.reports.plots import smooth
from train.reports.record import Record, State, read, section, state

SCRIPT = "\n".join((HERE / name).read_text() for name in ("page.js", "matrix.js"))


def write(workdir: str | os.PathLike[str]) -> Path:
    """Writes `report/index.html` into the workdir. -> its path.

    Raises:
      ValueError: there is no such folder.
    """
    record = read(os.fspath(workdir))
    text = render(record, now=datetime.datetime.now(datetime.UTC))
    path = Path(workdir).resolve() / "report" / "index.html"
    return frame.put(text, path)


def render(record: Record, *, now: datetime.datetime) -> str:
    """The page's HTML."""
    how = state(record, now=now)
    shown = [(name, title, content) for name, title, make in SECTIONS if (content := make(record))]
    return frame.render(
        f"{record.run.name}: {how.name}",
        top=_top(record, how),
        shown=shown,
        footer=_footer(record, now),
        script=SCRIPT,
    )


def _top(record: Record, how: State) -> list[Markup | None]:
    """The name, how the run stands, what it is, its numbers, and what is missing."""
    pill = element("span", how.name, class_=f"state {how.name}")
    done = min(record.last_step / record.num_steps, 1.0) if record.num_steps else 0.0
    absent = element("p", f"Not on this page: {'; '.join(record.absent)}.", class_="absent") if record.absent else None
    return [
        element("div", element("h1", record.run.name), pill, element("span", how.told, class_="soft"), class_="title"),
        element("p", _about(record), class_="about"),
        element("div", element("i", style=f"width:{100 * done:.1f}%"), class_="progress", aria_hidden="true"),
        frame.tiles(tiles(record)),
        absent,
    ]


def _about(record: Record) -> str:
    """The model, its size and the devices, as far as the config says."""
    config, derived = record.run.config, record.run.derived
    names = [section(config, part).get("name") for part in ("model", "objective", "optimizer")]
    told = [str(name) for name in names if name]
    if "num_params" in derived:
        told.append(f"{numbers.count(derived['num_params'])} parameters")
    if source := section(config, "data").get("source"):
        told.append(f"data: {source}")
    if "num_devices" in derived:
        told.append(f"{derived['num_devices']} device{'s' * (derived['num_devices'] != 1)}")
    return ", ".join(told)


def tiles(record: Record) -> list[Tile]:
    """The numbers that one looks for first; what was not measured is left out."""
    run = record.run
    made = [_steps(record)]
    losses = [key for key in dict.fromkeys(key for row in run.metrics for key in row) if key.endswith("/loss")]
    if "train/loss" in losses:
        points = run.series("train/loss")
        mean = smooth([value for _, value in points])[-1]
        made.append(("train/loss", numbers.number(mean), f"mean of the last lines; {_least(points)}"))
    evaluated = sorted(
        ((key, run.series(key)) for key in losses if key != "train/loss"), key=lambda each: -len(each[1])
    )
    evaluated = [each for each in evaluated if len(each[1]) > 1 or each[0] == "test/loss"] or evaluated[:1]
    made += [(key, numbers.number(points[-1][1]), _least(points)) for key, points in evaluated]
    for unit in ("tokens", "examples"):
        if rate := _last(record, f"train/{unit}_per_s"):
            step_s = _last(record, "train/step_time_s") or math.nan
            made.append((f"{unit}/s", numbers.count(rate), f"a step takes {numbers.duration(step_s)}"))
    if (mfu := _last(record, "train/mfu")) is not None:
        made.append(("MFU", numbers.percent(mfu), "of the chips' bf16 peak"))
    if whole_s := sum(sections.spent_s(record).values()):
        eta_s = _last(record, "train/eta_s")
        left = f"{numbers.duration(eta_s)} to go" if eta_s else "all sessions together"
        made.append(("time", numbers.duration(whole_s), left))
    return made


def _steps(record: Record) -> Tile:
    per_step = record.run.derived.get("tokens_per_step", 0)
    of = f"of {record.num_steps:,}; " if record.num_steps else ""
    tokens = f"{numbers.count(record.last_step * per_step)} tokens seen" if per_step else ""
    return "steps", f"{record.last_step:,}", f"{of}{tokens}".removesuffix("; ")


def _least(points: list[tuple[int, float]]) -> str:
    finite = [point for point in points if math.isfinite(point[1])]
    if not finite:
        return "never finite"
    step, value = min(finite, key=lambda point: point[1])
    return f"least {numbers.number(value)} at step {step:,}"


def _last(record: Record, key: str) -> float | None:
    return next((row[key] for row in reversed(record.run.metrics) if key in row), None)


def _footer(record: Record, now: datetime.datetime) -> Markup:
    files = [join(element("a", name, href=f"../{name}"), " ") for name in record.files if name != "report"]
    told = f"Written {now:%Y-%m-%d %H:%M} UTC from the files of {record.run.path}: "
    return element("footer", told, *files)


SECTIONS: tuple[tuple[str, str, Callable[[Record], Markup | None]], ...] = (
    ("curves", "Curves", sections.charts),
    ("evaluations", "Evaluations", evaluations.section),
    ("samples", "Samples", sections.samples),
    ("data", "Data", sections.data),
    ("time", "Time", sections.timings),
    ("operations", "Operations", sections.operations),
    ("sessions", "Sessions", sections.sessions),
    ("events", "Events", sections.events),
    ("config", "Config", sections.config),
)
