"""What proxy runs say of variants of the data: a table in Markdown and a picture, of losses where less is better."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from train.reports.paired import LEVEL, Difference, difference
from train.reports.plots import EVAL_COLOURS, INK, PALE, TRAIN_COLOUR, dress, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# variant -> judge -> a loss for each seed
Losses = Mapping[str, Mapping[str, Sequence[float]]]
VERDICTS = {-1: "better", 0: "undecided", 1: "worse"}


def differences(losses: Losses, *, baseline: str) -> dict[str, dict[str, Difference]]:
    """Of each other variant and each judge: how far it is from the baseline."""
    base = losses[baseline]
    return {
        name: {judge: difference(values, base[judge]) for judge, values in found.items()}
        for name, found in losses.items()
        if name != baseline
    }


def verdict(found: Difference) -> str:
    """ "better", "worse" or "undecided"."""
    return VERDICTS[found.sign]


def table(losses: Losses, *, baseline: str, unit: str) -> str:
    """A row for each variant, the best by the first judge at the top: its mean loss, and its differences."""
    judges = list(losses[baseline])
    compared = differences(losses, baseline=baseline)
    rows = [["variant", f"{judges[0]}, {unit}", *(f"difference, {judge}" for judge in judges), "verdict"]]
    rows.append(["---"] * len(rows[0]))
    for name in ranked(losses, baseline=baseline):
        mean = f"{_mean(losses[name][judges[0]]):.4f}"
        if name == baseline:
            rows.append([name, mean, *[""] * len(judges), "baseline"])
        else:
            told = [f"{each.mean:+.4f} ± {each.half:.4f}" for each in compared[name].values()]
            rows.append([name, mean, *told, verdict(compared[name][judges[0]])])
    seeds = len(losses[baseline][judges[0]])
    note = (
        f"{seeds} seeds each, paired by seed; ± is the {LEVEL:.0%} interval of Student's t, of each row by itself: of "
        f"twenty variants that are alike, one would seem not to be. Less is better; the verdict is that of {judges[0]}."
    )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{note}\n"


def ranked(losses: Losses, *, baseline: str) -> list[str]:
    """Variants by their mean loss of the first judge, the least first."""
    judge = next(iter(losses[baseline]))
    return sorted(losses, key=lambda name: (_mean(losses[name][judge]), name))


def draw(losses: Losses, path: Path, *, baseline: str, unit: str, title: str) -> Path:
    """A picture: for each judge, the differences from the baseline with their intervals, and each seed's as a dot."""
    from matplotlib.figure import Figure

    judges = list(losses[baseline])
    names = [name for name in reversed(ranked(losses, baseline=baseline)) if name != baseline]
    size = (1.5 + 4.5 * len(judges), 2.0 + 0.5 * len(names))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    for place, judge in enumerate(judges):
        axes = figure.add_subplot(1, len(judges), place + 1)
        _draw(axes, losses, names, judge, baseline=baseline)
        dress(axes, f"{title}: {judge}" if len(judges) == 1 else judge, across=f"{unit}, less {baseline}", up="")
        axes.set_yticks(range(len(names)), names if place == 0 else [""] * len(names))
        axes.margins(x=0.08, y=0.5 / max(1, len(names)))
    if len(judges) > 1:
        figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=14, fontweight="bold")
    return save(figure, path)


def _draw(axes: "Axes", losses: Losses, names: Sequence[str], judge: str, *, baseline: str) -> None:
    base = losses[baseline][judge]
    axes.axvline(0, color=INK, linewidth=1, zorder=1)
    for row, name in enumerate(names):
        found = difference(losses[name][judge], base)
        colour = {-1: EVAL_COLOURS[1], 0: PALE, 1: EVAL_COLOURS[0]}[found.sign]
        if found.half < float("inf"):
            axes.plot(
                [found.mean - found.half, found.mean + found.half], [row, row], color=colour, linewidth=6, zorder=2
            )
        dots = [value - start for value, start in zip(losses[name][judge], base, strict=True)]
        axes.plot(dots, [row] * len(dots), "o", color=TRAIN_COLOUR, markersize=4, alpha=0.7, zorder=3)
        axes.annotate(
            VERDICTS[found.sign],
            (found.mean, row),
            (0, 8),
            textcoords="offset points",
            ha="center",
            color=INK,
            fontsize=8,
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
