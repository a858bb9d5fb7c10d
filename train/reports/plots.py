"""Pictures of a run, drawn from the files in its workdir. Draws with matplotlib."""

import contextlib
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate, cycle
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from train.reports.workdir import Row, read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with every kind of colour vision: https://jfly.uni-koeln.de/color/
TRAIN_COLOUR = "#0072B2"
EVAL_COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, PALE = "#333333", "#DDDDDD"

RATE = "train/learning_rate"

Points = list[tuple[int, float]]  # (step, value); nan where the run had no number


@contextlib.contextmanager
def names_as_they_are() -> Iterator[None]:
    """Nothing that is drawn is a formula: a class may be called `$5`."""
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False}):
        yield


@names_as_they_are()
def loss_curve(workdir: str | os.PathLike[str]) -> Path:
    """Draws the losses in `metrics.jsonl`, of training and of every evaluation, to `report/loss.png`.

    Raises:
      ValueError: there is no loss to draw.
    """
    workdir = Path(workdir).resolve()
    rows = read_metrics(workdir)
    losses = losses_of(rows)
    if not losses:
        raise ValueError(f"{workdir / 'metrics.jsonl'}: expected lines with train/loss, found none; train first")
    unit = "loss (nats per token)" if any("train/tokens_per_s" in row for row in rows) else "loss"
    return save(_draw(losses, name=workdir.name, unit=unit), workdir / "report" / "loss.png")


@names_as_they_are()
def learning_rate_curve(workdir: str | os.PathLike[str]) -> Path | None:
    """Draws the learning rate in `metrics.jsonl` to `report/learning_rate.png`; None where there is none."""
    from matplotlib.figure import Figure

    workdir = Path(workdir).resolve()
    points = [(int(row["step"]), row[RATE]) for row in read_metrics(workdir) if RATE in row]
    if not points:
        return None
    figure = Figure(figsize=(8, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    steps, values = zip(*points, strict=True)
    axes.plot(steps, values, color=TRAIN_COLOUR, linewidth=1.8, marker="o" if len(steps) == 1 else "")
    axes.set_ylim(bottom=0)
    _scale(axes, list(steps))
    dress(axes, workdir.name, across="steps", up="learning rate")
    return save(figure, workdir / "report" / "learning_rate.png")


def losses_of(rows: Sequence[Row]) -> dict[str, Points]:
    """Each series of the metrics whose key ends in `/loss`, training's first."""
    losses: dict[str, Points] = defaultdict(list, {"train/loss": []})
    for row in rows:
        for key in row:
            if key.endswith("/loss"):
                losses[key].append((int(row["step"]), row[key]))
    return {key: points for key, points in losses.items() if points}


def smooth(values: Sequence[float]) -> list[float]:
    """The mean of the values up to each one, over the last eighth so far but no more than 4 % of all.

    So it follows the steep beginning, and is calm later. nan is left out; nan where there is nothing else.
    """
    sums = list(accumulate((0 if math.isnan(value) else value for value in values), initial=0.0))
    counts = list(accumulate((not math.isnan(value) for value in values), initial=0))
    starts = [end - 1 - min(end // 8, len(values) // 25) for end in range(1, len(values) + 1)]
    return [
        (sums[end] - sums[start]) / (counts[end] - counts[start]) if counts[end] > counts[start] else math.nan
        for end, start in enumerate(starts, start=1)
    ]


def _draw(losses: dict[str, Points], *, name: str, unit: str) -> "Figure":
    from matplotlib.figure import Figure  # drawn through its objects: no display, no state of the process

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    finals = {}
    colours = cycle(EVAL_COLOURS)
    for key, points in losses.items():
        if key == "train/loss":
            finals[key] = _draw_training(axes, points)
        else:
            finals[key] = _draw_evaluation(axes, key, points, colour=next(colours))
    _scale(axes, [step for points in losses.values() for step, _ in points])
    dress(axes, name, across="steps", up=unit)
    _tell(axes, ",  ".join(f"{key} {value:.4g}" for key, value in finals.items()))
    return figure


def _draw_training(axes: "Axes", points: Points) -> float:
    """The loss itself, thin and pale, under its running mean, whose last value is returned."""
    steps, values = zip(*points, strict=True)
    means = smooth(values)
    axes.plot(steps, values, color=TRAIN_COLOUR, linewidth=0.8, alpha=0.3)
    dot = "o" if len(steps) == 1 else ""
    axes.plot(steps, means, color=TRAIN_COLOUR, linewidth=1.8, marker=dot, label="train/loss")
    return means[-1]


def _draw_evaluation(axes: "Axes", key: str, points: Points, *, colour: str) -> float:
    """A dot for each evaluation, joined by a line; the last value is returned."""
    steps, values = zip(*points, strict=True)
    axes.plot(steps, values, color=colour, linewidth=1.3, marker="o", markersize=4, label=key, zorder=3)
    return values[-1]


def _scale(axes: "Axes", steps: list[int]) -> None:
    """A log axis where steps span two decades or more: a loss falls evenly there, not at a wall."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if min(steps) > 0 and max(steps) >= 100 * min(steps):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))


def _tell(axes: "Axes", finals: str) -> None:
    """The last values, above the picture."""
    finals = fill(finals, width=100)
    axes.annotate(finals, (0, 1), (0, 10), xycoords="axes fraction", textcoords="offset points", color=INK)
    above = 14 + 13 * len(finals.split("\n"))
    axes.set_title(axes.get_title(loc="left"), loc="left", pad=above, color=INK, fontsize=14, fontweight="bold")
    axes.legend(frameon=False, labelcolor=INK)


def dress(axes: "Axes", title: str, *, across: str, up: str) -> None:
    """What all pictures have in common."""
    axes.set_title(title, loc="left", color=INK, fontsize=14, fontweight="bold")
    axes.set_xlabel(across, color=INK)
    axes.set_ylabel(up, color=INK)
    axes.grid(axis="y", color=PALE, linewidth=0.7)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(PALE)
    axes.tick_params(which="both", color=PALE, labelcolor=INK)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.02)


def save(figure: "Figure", path: Path) -> Path:
    """Writes a PNG so that nobody ever sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    figure.savefig(partial, format="png")
    return partial.replace(path)
