"""A chart as HTML: lines in an SVG that stretches with the page, words around it that do not.

It is whole without JavaScript; `page.js` adds the values under the pointer, from numbers that stand beside the lines.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from train.reports import numbers
from train.reports.curves import INK, Curve, Panel
from train.reports.markup import Markup, element, embedded, join

SIZE = 1000  # the side of the square that stretches over the plot
LOG_SPAN = 100  # an axis whose values span so much, and are positive, is logarithmic, unless it begins at 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """From values to [0, 1]."""

    low: float
    high: float
    is_log: bool

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.is_log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low)

    def ticks(self, most: int) -> list[float]:
        made = _log_ticks(self.low, self.high, most) if self.is_log else _even_ticks(self.low, self.high, most)
        return [tick for tick in made if -1e-9 <= self(tick) <= 1 + 1e-9]


def axis(values: Sequence[float], *, margin: float = 0.0, from_zero: bool = False) -> Axis:
    """An axis that holds all values, with a margin as a share of its length. Values are finite, and one at least."""
    low, high = min(values), max(values)
    if from_zero and low >= 0:
        return Axis(low=0.0, high=high * (1 + margin) or 1.0, is_log=False)
    if low > 0 and high >= LOG_SPAN * low:
        room = (high / low) ** margin
        return Axis(low=low / room, high=high * room, is_log=True)
    room = (high - low) * margin
    if high - low <= 1e-12 * max(abs(high), abs(low)):
        room = abs(high) * 0.5 or 1.0
    return Axis(low=low - room, high=high + room, is_log=False)


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    """At most so many multiples of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    unit = next(power * k for k in (1, 2, 5, 10, 20) if (high - low) / (power * k) <= most - 1)
    return [
        round(index * unit, 12) for index in range(math.ceil(low / unit - 1e-9), math.floor(high / unit + 1e-9) + 1)
    ]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten, every so many of them; with their doubles and halves where there is room."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if len(powers) * 3 <= 2 * most:
        return [k * 10.0**power for power in powers for k in (1, 2, 5)]
    return [10.0**power for power in powers if power % math.ceil(len(powers) / most) == 0]


def draw(panel: Panel) -> Markup:
    """The figure of a panel that has a number."""
    x, y = _axes(panel)
    named = [curve for curve in panel.curves if not curve.faint]
    lines = [_line(curve, number, x, y) for number, curve in sorted(_numbered(panel), key=_is_summary)]
    plot = element(
        "svg",
        *_grid(x, y),
        _reference(panel, x, y),
        *lines,
        viewBox=f"0 0 {SIZE} {SIZE}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    labels = _labels(panel, x, y)
    told = _in_words(panel, named)
    return element(
        "figure",
        element("figcaption", element("h3", panel.title), element("span", _scales(panel, x, y), class_="unit")),
        _legend(panel, named),
        element("div", plot, *labels, class_="plot square" if panel.is_square else "plot", role="img", aria_label=told),
        _bars(panel, x),
        _note(panel),
        _embedded(panel, x, named),
        class_="chart",
    )


def _bars(panel: Panel, x: Axis) -> Markup | None:
    """How many rows stand where, in a strip under the plot."""
    if not panel.bars:
        return None
    most = max(count for _, _, count in panel.bars) or 1
    drawn = [
        element(
            "rect",
            element("title", f"{panel.across} {low:.3g} to {high:.3g}: {count:,} rows"),
            x=f"{x(low) * SIZE + 4:.1f}",
            width=f"{(x(high) - x(low)) * SIZE - 8:.1f}",
            y=f"{_down(count / most):.1f}",
            height=f"{count / most * SIZE:.1f}",
        )
        for low, high, count in panel.bars
    ]
    base = element("path", d=f"M0 {SIZE}H{SIZE}", class_="base")
    strip = element("svg", *drawn, base, viewBox=f"0 0 {SIZE} {SIZE}", preserveAspectRatio="none", aria_hidden="true")
    counts = "; ".join(f"{low:.3g} to {high:.3g}: {count:,}" for low, high, count in panel.bars)
    words = element("span", numbers.count(most), class_="y", style="top:0"), element("span", "rows", class_="across")
    return element("div", strip, *words, class_="strip", role="img", aria_label=f"Rows by {panel.across}: {counts}")


def _axes(panel: Panel) -> tuple[Axis, Axis]:
    values = [value for curve in panel.curves for _, value in curve.points if math.isfinite(value)]
    x = axis(panel.range_x or [at for curve in panel.curves for at, _ in curve.points])
    return x, axis(panel.range_y) if panel.range_y else axis(values, margin=0.06, from_zero=panel.from_zero)


def _numbered(panel: Panel) -> list[tuple[int | None, Curve]]:
    """Curves with their places in the legend."""
    places = iter(range(len(panel.curves)))
    return [(None if curve.faint else next(places), curve) for curve in panel.curves]


def _is_summary(numbered: tuple[int | None, Curve]) -> bool:
    """Such a line is drawn last, over the others."""
    return numbered[1].colour == INK


def _reference(panel: Panel, x: Axis, y: Axis) -> Markup | None:
    path = "L".join(f"{x(at) * SIZE:.1f} {_down(y(value)):.1f}" for at, value in panel.reference)
    return element("path", d=f"M{path}", class_="reference") if path else None


def _scales(panel: Panel, x: Axis, y: Axis) -> str:
    """The unit, and which axes are logarithmic."""
    logs = [
        name for name, each in (("steps" if panel.across == "step" else panel.across, x), ("values", y)) if each.is_log
    ]
    return ", ".join(filter(None, [panel.unit, f"{' and '.join(logs)} on a log scale" if logs else ""]))


def _grid(x: Axis, y: Axis) -> list[Markup]:
    rows = [element("path", d=f"M0 {_down(y(tick)):.1f}H{SIZE}", class_="grid") for tick in y.ticks(6)]
    return [*rows, element("path", d=f"M0 {SIZE}H{SIZE}", class_="base")]


def _down(fraction: float) -> float:
    return SIZE * (1 - fraction)


def _line(curve: Curve, number: int | None, x: Axis, y: Axis) -> Markup:
    """A path with a gap at each nan; dots are strokes without length, which round caps make round."""
    path, dots, pen = [], [], "M"
    for step, value in curve.points:
        if not math.isfinite(value):
            pen = "M"
            continue
        at = f"{x(step) * SIZE:.1f} {_down(y(value)):.1f}"
        path.append(f"{pen}{at}")
        dots.append(f"M{at}h0")
        pen = "L"
    which: dict[str, Any] = {"data_curve": number, "hidden": not curve.is_shown}
    line = element("path", d="".join(path), class_=f"line {_style(curve)}{' faint' if curve.faint else ''}", **which)
    spots = element("path", d="".join(dots), class_=f"dots series-{curve.colour}", **which)
    return join(line if curve.joined else None, spots if curve.marked else None)


def _style(curve: Curve) -> str:
    return f"series-{curve.colour} dash-{curve.dash}" if curve.dash else f"series-{curve.colour}"


def _labels(panel: Panel, x: Axis, y: Axis) -> list[Markup]:
    rows = [
        element("span", panel.show(tick), class_="y", style=f"top:{100 - 100 * y(tick):.2f}%") for tick in y.ticks(6)
    ]
    columns = [element("span", numbers.count(t), class_="x", style=f"left:{100 * x(t):.2f}%") for t in x.ticks(6)]
    across = None if panel.across == "step" else element("span", panel.across, class_="across")
    return [*rows, *columns, *([across] if across else [])]


def _legend(panel: Panel, curves: list[Curve]) -> Markup:
    """Each curve's colour and name, and its last value or what is told of it."""
    entries = []
    for number, curve in enumerate(curves):
        value = element("b", curve.told or _shown(panel, curve.points[-1][1]))
        words = join(element("i", class_=f"swatch {_style(curve)}"), curve.name, " ", value)
        pressed = "true" if curve.is_shown else "false"
        toggle = element("button", words, type="button", aria_pressed=pressed, data_curve=number)
        entries.append(element("li", toggle if panel.has_toggles else words))
    return element("ul", *entries, class_="legend")


def _in_words(panel: Panel, curves: list[Curve]) -> str:
    return "; ".join(_told(panel, curve) for curve in curves)


def _told(panel: Panel, curve: Curve) -> str:
    if curve.told:
        return f"{curve.name}: {curve.told}"
    finite = [point for point in curve.points if math.isfinite(point[1])]
    if not finite:
        return f"{curve.name}: no finite number"
    (first, start), (last, end) = finite[0], finite[-1]
    low, high = min(value for _, value in finite), max(value for _, value in finite)
    return (
        f"{curve.name}: {panel.show(start)} at {_place(panel, first)}, {panel.show(end)} at {_place(panel, last)}, "
        f"between {panel.show(low)} and {panel.show(high)}"
    )


def _place(panel: Panel, at: float) -> str:
    return f"{panel.across} {at:,}" if panel.across == "step" else f"{panel.across} {at:.4g}"


def _note(panel: Panel) -> Markup | None:
    """What the picture does not show."""
    longest = max(panel.curves, key=lambda curve: curve.num_measured)
    is_thinned = longest.num_measured > len(longest.points)
    told = [f"{longest.num_measured:,} points, drawn by the least and greatest of equal parts"] * is_thinned
    missing = sum(not math.isfinite(value) for curve in panel.curves if not curve.faint for _, value in curve.points)
    told += [f"gaps: {missing:,} not finite"] * bool(missing)
    return element("p", "; ".join(told), class_="note") if told else None


def _embedded(panel: Panel, x: Axis, curves: list[Curve]) -> Markup:
    """The numbers for page.js."""
    told = [
        {"name": curve.name, "style": _style(curve), "points": [(at, _shown(panel, v)) for at, v in curve.points]}
        for curve in curves
    ]
    return embedded({"log": x.is_log, "low": x.low, "high": x.high, "across": panel.across, "curves": told})


def _shown(panel: Panel, value: float) -> str:
    return panel.show(value) if math.isfinite(value) else numbers.number(value)
