"""Histograms and shares as HTML: bars in an SVG that stretches with the page, and bars in the cells of tables."""

import itertools
from collections.abc import Mapping, Sequence

from train.reports import numbers
from train.reports.chart import SIZE, axis
from train.reports.markup import Markup, element, join
from train.reports.tables import table

BAR_REM = 6.0  # the length of a whole one in a table
MOST_LABELS = 8


def histogram(title: str, *, edges: Sequence[float], counts: Sequence[int], unit: str, told: str = "") -> Markup:
    """A bar a bin, all of the same width: bins that double in width make an axis that is logarithmic."""
    y = axis([0, *counts, 1], from_zero=True)
    width = SIZE / len(counts)
    bins = list(zip(itertools.pairwise(edges), counts, strict=True))
    drawn = [
        element(
            "rect",
            element("title", f"{numbers.count(low)} to {numbers.count(high)} {unit}: {count:,} records"),
            x=f"{index * width + width * 0.06:.1f}",
            width=f"{width * 0.88:.1f}",
            y=f"{SIZE * (1 - y(count)):.1f}",
            height=f"{SIZE * y(count):.1f}",
        )
        for index, ((low, high), count) in enumerate(bins)
    ]
    ticks = y.ticks(5)
    grid = [element("path", d=f"M0 {SIZE * (1 - y(tick)):.1f}H{SIZE}", class_="grid") for tick in ticks]
    base = element("path", d=f"M0 {SIZE}H{SIZE}", class_="base")
    view = dict(viewBox=f"0 0 {SIZE} {SIZE}", preserveAspectRatio="none", aria_hidden="true")
    labels = [
        *(element("span", numbers.count(tick), class_="y", style=f"top:{100 - 100 * y(tick):.2f}%") for tick in ticks),
        *_edge_labels(edges),
        element("span", unit, class_="across"),
    ]
    words = "; ".join(
        f"{numbers.count(low)} to {numbers.count(high)}: {count:,}" for (low, high), count in bins if count
    )
    plot = element("svg", *grid, *drawn, base, **view)
    return element(
        "figure",
        element("figcaption", element("h3", title), element("span", "records", class_="unit")),
        element("div", plot, *labels, class_="plot bins", role="img", aria_label=f"{title}: {words}"),
        element("p", told, class_="note") if told else None,
        class_="chart",
    )


def _edge_labels(edges: Sequence[float]) -> list[Markup]:
    """Some of the edges, evenly apart, the first among them."""
    step = -(-len(edges) // MOST_LABELS)
    last = len(edges) - 1
    return [
        element("span", numbers.count(edges[at]), class_="x", style=f"left:{100 * at / last:.2f}%")
        for at in range(0, len(edges), step)
    ]


def share(fraction: float, *, colour: int = 0) -> Markup:
    """A bar of a table's cell, and the share in words."""
    bar = element("i", class_=f"share series-{colour}", style=f"width:{BAR_REM * min(1.0, max(0.0, fraction)):.3f}rem")
    return join(bar, " ", numbers.percent(fraction))


def counted(title: str, counts: Mapping[str, int], *, total: int) -> Markup:
    """A table of names with how many records have each, and their shares of all records."""
    rows = [[name, f"{count:,}", share(count / max(1, total))] for name, count in counts.items()]
    if (rest := total - sum(counts.values())) > 0:
        rows.append([element("span", "others, or none", class_="soft"), f"{rest:,}", share(rest / total, colour=6)])
    return table([title, "records", "share"], rows, numeric=(1,))
