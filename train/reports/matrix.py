"""A confusion matrix as a picture that scrolls where it is too wide: a row for each true class, shares as shades.

It is whole without JavaScript; `matrix.js` tells the cell under the pointer, from the counts that stand beside it.
"""

import dataclasses
from collections.abc import Sequence

from train.reports import numbers
from train.reports.findings import Finding
from train.reports.markup import Markup, element, embedded

MAX_LETTERS = 16  # of a class's name on the picture; the pointer tells the whole of it
LETTER = 0.58  # mean width of a letter, as a share of its height
PALEST, PALEST_ALONE = 0.04, 0.2  # the shade of the rarest mistake, with its count in the cell and without
TILT = 0.71  # sine of the 45 degrees by which the names above are turned


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """In CSS pixels, by the number of classes."""

    cell: int
    text: int  # height of the letters of names
    has_counts: bool = False  # in the cells
    is_upright: bool = False  # the names above: there is no room to lean them

    @classmethod
    def of(cls, num_classes: int) -> "Sizes":
        if num_classes <= 12:
            return cls(cell=52, text=13, has_counts=True)
        if num_classes <= 24:
            return cls(cell=34, text=12, has_counts=True)
        return cls(cell=18, text=11, is_upright=True) if num_classes <= 50 else cls(cell=9, text=9, is_upright=True)

    @property
    def gap(self) -> int:
        return 2 if self.cell > 20 else 1


def draw(finding: Finding) -> Markup:
    """The figure of a finding with a confusion matrix."""
    sizes = Sizes.of(len(finding.classes))
    names = [_short(name) for name in finding.classes]
    margin = round(max(map(len, names)) * sizes.text * LETTER) + 14
    top, side = margin if sizes.is_upright else round(margin * TILT) + 12, sizes.cell * len(names)
    width, height = margin + side + (4 if sizes.is_upright else round(margin * TILT)), top + side + 4
    picture = element(
        "svg",
        element("g", *_names(names, sizes), *_cells(finding.confusion, sizes), transform=f"translate({margin} {top})"),
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        aria_hidden="true",
    )
    frame = {"data_left": margin, "data_top": top, "data_cell": sizes.cell}
    heading = element("h3", "Confusion matrix")
    unit = element("span", "true classes down, predicted classes across; shades are shares of a row", class_="unit")
    inner = element("div", picture, class_="cells", **frame)
    return element(
        "figure",
        element("figcaption", heading, unit),
        element("div", inner, class_="matrix", role="img", tabindex="0", aria_label=in_words(finding)),
        embedded({"classes": list(finding.classes), "counts": finding.confusion}),
        class_="wide",
    )


def in_words(finding: Finding) -> str:
    """What the picture shows, for who cannot see it."""
    right = f"{finding.num_right:,} of {finding.num_rows:,} rows are right"
    pairs = [f"{pair.count:,} of {pair.label} taken for {pair.predicted}" for pair in finding.confused[:3]]
    return "; ".join([f"Confusion matrix of {len(finding.classes)} classes: {right}", *pairs])


def _names(names: Sequence[str], sizes: Sizes) -> list[Markup]:
    made = []
    for index, name in enumerate(names):
        middle = sizes.cell * (index + 0.5)
        up = f"translate({middle + sizes.text / 3:.1f} -7) rotate({-90 if sizes.is_upright else -45})"
        made.append(element("text", name, x=-8, y=f"{middle:.1f}", class_="row", font_size=sizes.text))
        made.append(element("text", name, transform=up, class_="column", font_size=sizes.text))
    return made


def _cells(counts: Sequence[Sequence[int]], sizes: Sizes) -> list[Markup]:
    """A shade for each count but 0, its strength the root of its share of the row: rare mistakes are to be seen."""
    side = sizes.cell * len(counts)
    made = [element("rect", width=side, height=side, class_="ground")]
    for true, row in enumerate(counts):
        for predicted, count in enumerate(row):
            if not count:
                continue
            x, y = sizes.cell * predicted, sizes.cell * true
            kind = "right" if true == predicted else "wrong"
            size = sizes.cell - sizes.gap
            palest = PALEST if sizes.has_counts else PALEST_ALONE
            shade = palest + (1 - palest) * (count / sum(row)) ** 0.5
            made.append(element("rect", x=x, y=y, width=size, height=size, class_=kind, fill_opacity=f"{shade:.2f}"))
            if sizes.has_counts:
                text = numbers.count(count) if count >= 10_000 else f"{count}"
                made.append(element("text", text, x=x + size / 2, y=y + size / 2, class_="count"))
    return made


def _short(name: str) -> str:
    """Its beginning and its end: of names in a series the end tells one from another."""
    return name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS // 2]}…{name[1 - MAX_LETTERS // 2 :]}"
