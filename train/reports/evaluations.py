"""The section of a run's page on what its evaluations found: the final metrics, and pictures of each one's findings."""

import base64
import bisect
import math
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path

from train.reports import chart, findings, matrix, numbers
from train.reports.curves import INK, NUM_DASHES, Curve, Panel
from train.reports.findings import ClassCurves, Finding, Mistake
from train.reports.markup import Content, Markup, element, join
from train.reports.record import Record
from train.reports.tables import table

MAX_SHOWN = 10  # lines of a chart; those of the other classes wait in the legend
MAX_POINTS = 4000  # of all lines of a chart
MAX_DOTS = 2000
MAX_CLASSES_OPEN = 20  # a longer table of classes is folded away
NUM_CLASS_COLOURS = 6
MAX_PICTURE_BYTES = 300_000  # a larger file is named, not shown
MEAN = "macro"  # the curve that is the mean over classes
DIAGONAL = ((0.0, 0.0), (1.0, 1.0))


def section(record: Record) -> Markup | None:
    """None where nothing was evaluated."""
    parts = [_final(record), *map(_finding, record.findings)]
    return join(*parts) if any(parts) else None


def _final(record: Record) -> Markup | None:
    """The last value of every metric of every evaluator."""
    columns: dict[str, dict[str, float]] = {}
    for row in record.run.metrics:
        for key, value in row.items():
            name, _, metric = key.partition("/")
            if metric and name != "train":
                columns.setdefault(name, {})[metric] = value
    for finding in record.findings:
        measured = columns.setdefault(finding.name, {})
        columns[finding.name] = measured | {k: v for k, v in finding.metrics.items() if k not in measured}
    metrics = dict.fromkeys(metric for column in columns.values() for metric in column)
    rows = [
        [metric.replace("_", " "), *(numbers.number(c[metric]) if metric in c else "" for c in columns.values())]
        for metric in metrics
    ]
    if not rows:
        return None
    return table(["metric", *columns], rows, caption="Final metrics", numeric=range(1, len(columns) + 1))


def _finding(finding: Finding) -> Markup:
    named = f"{finding.name}: the split {finding.split} at step {finding.step:,}"
    charts = [chart.draw(panel) for panel in panels(finding)]
    return element(
        "article",
        element("h3", named, class_="finding"),
        _left_out(finding),
        matrix.draw(finding) if finding.confusion else None,
        _tables(finding) if finding.confusion else None,
        element("div", *charts, class_="planes") if charts else None,
        _mistakes(finding.mistakes),
        aria_label=named,
    )


def _left_out(finding: Finding) -> Markup | None:
    count = finding.not_finite
    rows = f"{count:,} row{'s' * (count != 1)}"
    return element("p", f"Left out, since the scores are not finite: {rows}.", class_="absent") if count else None


def panels(finding: Finding) -> list[Panel]:
    """The charts that a finding has numbers for. A class has its place in the legends, and its line its look, by its
    average precision: the worst is the first after the mean.
    """
    ordered = sorted(finding.curves, key=lambda each: (each.name != MEAN, each.average_precision, each.name))
    made = [
        _lines(
            "ROC curve",
            "true positive rate",
            "false positive rate",
            [(each, each.roc, "AUC", each.auc) for each in ordered],
            reference=DIAGONAL,
        ),
        _lines(
            "Precision and recall",
            "precision",
            "recall",
            [(each, each.pr, "AP", each.average_precision) for each in ordered],
        ),
        *_calibration(finding),
        *_residuals(finding),
    ]
    return [panel for panel in made if panel.curves]


def _lines(
    title: str,
    up: str,
    across: str,
    found: Sequence[tuple[ClassCurves, Sequence[tuple[float, float]], str, float]],
    *,
    reference: Sequence[tuple[float, float]] = (),
) -> Panel:
    """A line in ink for the mean and one for each class. Of many classes the first are shown."""
    most = max(20, MAX_POINTS // max(len(found), 1))
    curves = [
        Curve(
            name=each.name,
            points=_along(points, most),
            num_measured=0,
            colour=INK if each.name == MEAN else place % NUM_CLASS_COLOURS,
            dash=0 if each.name == MEAN else (place + place // 12) % NUM_DASHES,  # 12: where both begin anew
            told=f"{what} {area:.3f}" if math.isfinite(area) else f"no {what}",
            is_shown=place <= MAX_SHOWN,
        )
        for place, (each, points, what, area) in enumerate(found)
        if points
    ]
    return Panel(
        title=title,
        unit=up,
        across=across,
        curves=curves,
        range_x=(0, 1),
        range_y=(0, 1),
        reference=reference,
        is_square=True,
        has_toggles=len(curves) > 1,
    )


def _calibration(finding: Finding) -> list[Panel]:
    """How often the model is right against how sure it is, and how many rows stand behind each dot."""
    bins = [each for each in finding.bins if each.count]
    if not bins:
        return []
    points = [(each.confidence, each.accuracy) for each in bins]
    reliability = Curve(
        name="accuracy",
        points=points,
        num_measured=len(points),
        colour=0,
        marked=True,
        told=f"expected calibration error {finding.calibration_error:.3f}",
    )
    return [
        Panel(
            title="Calibration",
            unit="accuracy",
            across="confidence",
            curves=[reliability],
            range_x=(0, 1),
            range_y=(0, 1),
            reference=DIAGONAL,
            is_square=True,
            bars=[(each.low, each.high, each.count) for each in finding.bins],
        )
    ]


def _residuals(finding: Finding) -> list[Panel]:
    """Predictions against the truth, and what is left of the truth, each with the line of a perfect model."""
    pairs = sorted(_every(finding.residuals, MAX_DOTS))
    if not pairs:
        return []
    values = [value for pair in pairs for value in pair]
    ends = (min(values), max(values))
    left = sorted((predicted, true - predicted) for true, predicted in pairs)
    predicted, rest = [at for at, _ in left], [residual for _, residual in left]
    told = f"{len(finding.residuals):,}"
    dots = partial(Curve, name="rows", num_measured=len(pairs), told=told, marked=True, joined=False)
    return [
        Panel(
            title="Predicted against true",
            unit="predicted",
            across="true",
            curves=[dots(points=pairs, colour=0)],
            range_x=ends,
            range_y=ends,
            reference=((ends[0], ends[0]), (ends[1], ends[1])),
            is_square=True,
        ),
        Panel(
            title="Residuals",
            unit="true less predicted",
            across="predicted",
            curves=[dots(points=left, colour=1)],
            range_y=(min(0.0, *rest), max(0.0, *rest)),
            reference=((predicted[0], 0.0), (predicted[-1], 0.0)),
            is_square=True,
        ),
    ]


def _every(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most so many points, evenly chosen, with the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]


def _along(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most so many points of a line, evenly chosen by the way along it: where it is steep as where it is flat."""
    if len(points) <= most:
        return list(points)
    ways = accumulate((abs(b[0] - a[0]) + abs(b[1] - a[1]) for a, b in pairwise(points)), initial=0.0)
    way_to = list(ways)
    chosen = [bisect.bisect_left(way_to, index * way_to[-1] / (most - 1)) for index in range(most - 1)]
    return [points[index] for index in dict.fromkeys([*chosen, len(points) - 1])]


def _tables(finding: Finding) -> Markup:
    """The most confused pairs beside the classes, or above them where there are many."""
    is_short = len(finding.classes) <= MAX_CLASSES_OPEN
    return element("div", _confused(finding), _per_class(finding), class_="halves" if is_short else "below")


def _confused(finding: Finding) -> Markup | None:
    """Pairs of classes, with the share of the true class that went to the other."""
    rows_of = {each.name: each.num_rows for each in findings.scores(finding)}
    rows: list[list[Content]] = [
        [
            pair.label,
            pair.predicted,
            f"{pair.count:,}",
            numbers.percent(pair.count / max(rows_of.get(pair.label, 0), 1)),
        ]
        for pair in finding.confused
    ]
    if not rows:
        return None
    return table(["true", "taken for", "rows", "share"], rows, caption="Most confused pairs", numeric=(2, 3))


def _per_class(finding: Finding) -> Markup:
    rows = [
        [each.name, *(f"{value:.3f}" for value in (each.precision, each.recall, each.f1)), f"{each.num_rows:,}"]
        for each in findings.scores(finding)
    ]
    head = ["class", "precision", "recall", "F1", "rows"]
    whole = table(head, rows, caption="By class", numeric=(1, 2, 3, 4))
    if len(rows) <= MAX_CLASSES_OPEN:
        return whole
    return element("details", element("summary", f"Precision, recall and F1 of {len(rows)} classes"), whole)


def _mistakes(mistakes: Sequence[Mistake]) -> Markup | None:
    if not mistakes:
        return None
    cards = element("ul", *map(_mistake, mistakes), class_="mistakes")
    return join(element("h4", "Most confident mistakes"), cards)


def _mistake(mistake: Mistake) -> Markup:
    """The input, what it is, and what it was taken for."""
    sure = "" if mistake.confidence is None else f", {mistake.confidence:.1%} sure"
    verb = "predicted as" if mistake.confidence is None else "taken for"
    told = f"{mistake.name}: {mistake.label}, {verb} {mistake.predicted}"
    return element(
        "li",
        _picture(mistake.picture, told) if mistake.picture else None,
        element("pre", mistake.text) if mistake.text else None,
        element("p", element("b", mistake.label), f" {verb} ", element("b", mistake.predicted), class_="verdict"),
        element("p", f"{mistake.name}{sure}", class_="soft"),
    )


def _picture(path: Path, told: str) -> Markup:
    """The picture itself stands in the page, which so stays whole wherever it is sent."""
    content = path.read_bytes()
    if len(content) > MAX_PICTURE_BYTES:
        return element("p", f"{path.name}: {numbers.size(len(content))}, not shown here", class_="soft")
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return element("img", src=source, alt=told)
