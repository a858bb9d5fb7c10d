"""Which curves a run's metrics make, and how few points show a long one without hiding a spike."""

import dataclasses
import math
from collections.abc import Callable, Sequence

from train.reports import numbers
from train.reports.plots import smooth
from train.reports.workdir import Workdir

NUM_COLOURS = 7  # page.css names them series-0 and so on
NUM_DASHES = 4  # page.css names them dash-0 and so on
INK = NUM_COLOURS  # the colour of words, for a line that sums up the others
MAX_BUCKETS = 500  # a curve of more than twice as many points is drawn by the extremes of so many buckets
Points = Sequence[tuple[float, float]]  # (step, value), or whatever the axes are

# Of training's metrics: what is no curve of its own.
NO_CURVE = (
    "train/step_time_s",
    "train/eta_s",
    "train/skipped_steps",
    "train/host_peak_bytes",
    "train/device_peak_bytes",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """One series of a chart."""

    name: str
    points: Points  # ascending steps, or whatever the panel has across; nan where the run had no number
    num_measured: int  # points, before they were thinned
    colour: int  # a number below NUM_COLOURS, the same for all that one evaluator measured; INK for a summary
    marked: bool = False  # each point is a measurement worth a dot, such as an evaluation
    joined: bool = True  # by a line
    faint: bool = False  # stands behind the others, and is not in the legend
    dash: int = 0  # a number below NUM_DASHES: how the line is broken, so that no line is known by its colour alone
    told: str = ""  # what the legend says of it; its last value where this is empty
    is_shown: bool = True  # until somebody chooses otherwise in the legend


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart: its curves share an axis."""

    title: str
    unit: str = ""
    curves: Sequence[Curve]
    show: Callable[[float], str] = numbers.number  # a value of it in words
    from_zero: bool = False  # the axis of values begins there, and is not logarithmic
    across: str = "step"  # what the other axis counts
    range_x: tuple[float, float] | None = None  # of an axis whose ends do not follow from the points
    range_y: tuple[float, float] | None = None
    reference: Points = ()  # a line to compare with, such as the diagonal of a guess
    bars: Sequence[tuple[float, float, int]] = ()  # (from, to, count) of rows, drawn under the curves
    is_square: bool = False
    has_toggles: bool = False  # the legend's entries show and hide their lines


def panels(run: Workdir) -> list[Panel]:
    """A chart for each metric, the same metric of training and of evaluations in one; the losses come first.

    There is none for what was evaluated once.
    """
    keys = [key for key in dict.fromkeys(key for row in run.metrics for key in row) if _is_drawn(key)]
    keys.sort(key=lambda key: not key.startswith("train/"))
    sources = dict.fromkeys(["train", *(key.partition("/")[0] for key in keys)])
    colours = {source: index % NUM_COLOURS for index, source in enumerate(sources)}
    metrics = dict.fromkeys(["loss", *NAMED, *(_metric(key) for key in keys)])
    made = [_panel(run, metric, [key for key in keys if _metric(key) == metric], colours) for metric in metrics]
    return [panel for panel in made if any(map(_is_worth_a_chart, panel.curves))]


def _is_worth_a_chart(curve: Curve) -> bool:
    """What was evaluated once stands in the table of final metrics."""
    return bool(_finite(curve.points)) and (curve.num_measured > 1 or curve.name.startswith("train/"))


def _is_drawn(key: str) -> bool:
    is_timing = key.startswith("train/") and (key in NO_CURVE or (key.endswith("_s") and _metric(key) not in NAMED))
    return key != "step" and not is_timing


def _metric(key: str) -> str:
    """ "val/loss" -> "loss"."""
    return key.partition("/")[2] or key


def _panel(run: Workdir, metric: str, keys: list[str], colours: dict[str, int]) -> Panel:
    title = TITLES.get(metric, metric.replace("_", " ").capitalize())
    title, unit, show, from_zero = NAMED.get(metric, (title, "", numbers.number, False))
    curves = [curve for key in keys for curve in _curves(run, key, colours[key.partition("/")[0]])]
    return Panel(title=title, unit=unit, show=show, from_zero=from_zero, curves=curves)


def _curves(run: Workdir, key: str, colour: int) -> list[Curve]:
    """Training's loss as it was measured, faint, and its running mean; else the one curve."""
    points = run.series(key)
    if key != "train/loss":
        return [_curve(key, points, colour, marked=not key.startswith("train/") or len(points) == 1)]
    means = smooth([value for _, value in points])
    mean = [(step, value) for (step, _), value in zip(points, means, strict=True)]
    measured = dataclasses.replace(_curve(key, points, colour), faint=True)
    return [measured, _curve(key, mean, colour, marked=len(points) == 1)]


def _curve(name: str, points: Points, colour: int, *, marked: bool = False) -> Curve:
    return Curve(name=name, points=thinned(points), num_measured=len(points), colour=colour, marked=marked)


def thinned(points: Points, *, max_buckets: int = MAX_BUCKETS) -> Points:
    """At most two points a bucket, its least and its greatest, in order: no spike is lost.

    A bucket without a number keeps one nan, so that a gap stays a gap. Buckets hold equally many points.
    """
    if len(points) <= 2 * max_buckets:
        return points
    kept: list[tuple[float, float]] = []
    for index in range(max_buckets):
        start, end = (len(points) * i // max_buckets for i in (index, index + 1))
        bucket = points[start:end]
        finite = _finite(bucket)
        extremes = {min(finite, key=_value), max(finite, key=_value)} if finite else {bucket[0]}
        kept += sorted(extremes, key=lambda point: point[0])
    return kept


def _finite(points: Points) -> list[tuple[float, float]]:
    return [point for point in points if math.isfinite(point[1])]


def _value(point: tuple[float, float]) -> float:
    return point[1]


# What training measures: title, unit, how a value is written, whether its axis begins at 0.
NAMED: dict[str, tuple[str, str, Callable[[float], str], bool]] = {
    "learning_rate": ("Learning rate", "", numbers.number, True),
    "grad_norm": ("Gradient norm", "before clipping", numbers.number, False),
    "tokens_per_s": ("Throughput", "tokens a second", numbers.count, True),
    "examples_per_s": ("Throughput", "examples a second", numbers.count, True),
    "data_wait_fraction": ("Waiting for data", "share of the step", numbers.percent, True),
    "model_flops_per_s": ("Model FLOP/s", "all devices", numbers.count, True),
    "mfu": ("Model FLOP utilisation", "of the chips' peak", numbers.percent, True),
}
# Titles of metrics with short names.
TITLES = {
    "nll": "Negative log-likelihood",
    "auc": "Area under the ROC curve",
    "brier": "Brier score",
    "mae": "Mean absolute error",
    "mse": "Mean squared error",
    "r2": "R²",
}
