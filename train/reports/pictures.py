"""What a run's page shows as PNGs in `report/`, for other documents: `test_confusion.png`, `test_roc.png`."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from train.reports import evaluations, findings
from train.reports.curves import INK as INK_CURVE
from train.reports.curves import Panel
from train.reports.findings import Finding, Mistake
from train.reports.plots import EVAL_COLOURS, INK, TRAIN_COLOUR, dress, learning_rate_curve, names_as_they_are, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (TRAIN_COLOUR, *EVAL_COLOURS)
DASHES = ("solid", "dashed", "dotted", "dashdot")
RIGHT, WRONG = "#0072B2", "#D55E00"
MOST_COUNTED = 24  # classes of a confusion matrix whose cells have room for a number
UNSEEN = "\N{ZERO WIDTH SPACE}"  # matplotlib leaves out of a legend what begins with "_"
SIDE = 2.2  # inches of a mistake's picture


@names_as_they_are()
def draw(workdir: str | os.PathLike[str]) -> list[Path]:
    """Draws the learning rate, and what every evaluator found. -> the files, for as much as there is."""
    folder = Path(workdir).resolve()
    rate = learning_rate_curve(folder)
    made = [rate] if rate else []
    for finding in map(findings.read, findings.files(folder)):
        for what, figure in figures(finding).items():
            made.append(save(figure, folder / "report" / f"{finding.name}_{what}.png"))
    return made


def figures(finding: Finding) -> dict[str, "Figure"]:
    """By what they show."""
    panels = {NAMES[panel.title]: panel for panel in evaluations.panels(finding)}
    made = {what: _panel(panel, finding) for what, panel in panels.items()}
    if finding.confusion:
        made["confusion"] = _confusion(finding)
    if shown := [mistake for mistake in finding.mistakes if mistake.picture]:
        made["mistakes"] = _mistakes(shown, finding)
    return made


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure  # drawn through its objects: no display, no state of the process

    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def _panel(panel: Panel, finding: Finding) -> "Figure":
    """A chart of the page: the same lines, dots, dashes and bars."""
    figure = _figure(6, 6.9 if panel.bars else 6)
    grid = figure.add_gridspec(2, 1, height_ratios=(6, 1)) if panel.bars else figure.add_gridspec(1, 1)
    axes = figure.add_subplot(grid[0])
    shown = [curve for curve in panel.curves if curve.is_shown]
    for curve in reversed(shown):  # the first, which may be the mean, lies on top
        is_summary = curve.colour == INK_CURVE
        axes.plot(
            *zip(*curve.points, strict=True),
            color=INK if is_summary else COLOURS[curve.colour % len(COLOURS)],
            linestyle=DASHES[curve.dash] if curve.joined else "none",
            linewidth=2.4 if is_summary else 1.4,
            marker="o" if curve.marked else "",
            markersize=4 if curve.joined else 2.5,
            label=f"{UNSEEN if curve.name.startswith('_') else ''}{curve.name}  {curve.told}",
        )
    if panel.reference:
        axes.plot(*zip(*panel.reference, strict=True), color=INK, linewidth=0.8, linestyle=(0, (4, 4)), zorder=1)
    dress(axes, f"{panel.title}, {finding.name}", across=panel.across, up=panel.unit)
    for ends, limit in ((panel.range_x, axes.set_xlim), (panel.range_y, axes.set_ylim)):
        if ends == (0, 1):
            limit(-0.01, 1.01)
    if panel.has_toggles or panel.bars:
        axes.legend(*_in_order(axes), frameon=False, labelcolor=INK, fontsize=8)
    if panel.bars:
        _bars(figure.add_subplot(grid[1], sharex=axes), panel)
    return figure


def _in_order(axes: "Axes") -> tuple[list, list]:
    handles, labels = axes.get_legend_handles_labels()
    return handles[::-1], labels[::-1]


def _bars(axes: "Axes", panel: Panel) -> None:
    lows, highs, counts = zip(*panel.bars, strict=True)
    widths = [high - low for low, high in zip(lows, highs, strict=True)]
    axes.bar(lows, counts, width=[0.94 * width for width in widths], align="edge", color=TRAIN_COLOUR, alpha=0.6)
    dress(axes, "", across="", up="rows")
    axes.tick_params(axis="x", labelbottom=False)


def _confusion(finding: Finding) -> "Figure":
    """Shades are roots of the shares of a row: blue where the model is right, orange where it is wrong."""
    from matplotlib.colors import to_rgb

    num_classes = len(finding.classes)
    side = max(4.0, min(0.55, 12 / num_classes) * num_classes)
    figure = _figure(side + 1.6, side + 1.6)
    axes = figure.add_subplot()
    white, right, wrong = to_rgb("#FFFFFF"), to_rgb(RIGHT), to_rgb(WRONG)
    shades = []
    for true, row in enumerate(finding.confusion):
        strengths = [0.75 * math.sqrt(count / max(sum(row), 1)) for count in row]
        inks = [right if true == predicted else wrong for predicted in range(num_classes)]
        shades.append([_mixed(white, ink, s) for ink, s in zip(inks, strengths, strict=True)])
    axes.imshow(shades, interpolation="nearest")
    if num_classes <= MOST_COUNTED:
        for true, row in enumerate(finding.confusion):
            for predicted, count in enumerate(row):
                axes.text(predicted, true, str(count or ""), ha="center", va="center", color="#111111", fontsize=8)
    size = min(9.0, 72 * side / num_classes * 0.8)
    names = [shorten(name, 24, placeholder="…") if " " in name else name[:24] for name in finding.classes]
    axes.set_xticks(range(num_classes), names, rotation=90 if num_classes > MOST_COUNTED else 45, fontsize=size)
    axes.set_yticks(range(num_classes), names, fontsize=size)
    for label in axes.get_xticklabels() if num_classes <= MOST_COUNTED else ():
        label.set(ha="right", rotation_mode="anchor")
    dress(axes, f"Confusion, {finding.name}", across="predicted", up="true")
    axes.grid(visible=False)
    return figure


def _mixed(one: Sequence[float], other: Sequence[float], share: float) -> tuple[float, ...]:
    return tuple(a * (1 - share) + b * share for a, b in zip(one, other, strict=True))


def _mistakes(mistakes: Sequence[Mistake], finding: Finding) -> "Figure":
    """The inputs side by side, each with what it is and what it was taken for."""
    from matplotlib.image import imread

    columns = min(5, len(mistakes))
    rows = -(-len(mistakes) // columns)
    figure = _figure(SIDE * columns, (SIDE + 0.55) * rows + 0.4)
    figure.suptitle(f"Most confident mistakes, {finding.name}", x=0.02, ha="left", color=INK, fontweight="bold")
    for axes, mistake in zip(figure.subplots(rows, columns, squeeze=False).flat, mistakes, strict=False):
        assert mistake.picture
        pixels = imread(mistake.picture, format="png")
        axes.imshow(pixels, cmap="gray", interpolation="nearest")
        sure = "" if mistake.confidence is None else f"  ({mistake.confidence:.0%})"
        axes.set_title(f"{mistake.label}\ntaken for {mistake.predicted}{sure}", fontsize=8, color=INK, loc="left")
    for axes in figure.axes:
        axes.set_axis_off()
    return figure


NAMES: dict[str, str] = {
    "ROC curve": "roc",
    "Precision and recall": "precision_recall",
    "Calibration": "calibration",
    "Predicted against true": "predicted",
    "Residuals": "residuals",
}
