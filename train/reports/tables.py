"""Tables, and facts of any shape in words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from train.reports import numbers
from train.reports.markup import Content, Markup, element


def flat(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Dotted paths to what is no section: {"a": {"b": 1}} -> {"a.b": 1}. An empty section is a value."""
    fields: dict[str, Any] = {}
    for name, inner in value.items():
        fields |= flat(inner, f"{path}{name}.") if isinstance(inner, Mapping) and inner else {f"{path}{name}": inner}
    return fields


def in_words(value: Any) -> str:
    """A fact of any shape on one line: "revision 66b7a40, dirty true"."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {in_words(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value))
    return "" if value is None else numbers.number(value) if isinstance(value, float) else numbers.plain(value)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Content]],
    *,
    caption: str = "",
    numeric: Sequence[int] = (),
    wrap: Sequence[int] = (),
) -> Markup:
    """A table that scrolls by itself where it is too wide; the first column names its rows."""
    kind = lambda index: "n" if index in numeric else "wrap" if index in wrap else None
    heads = [
        element("th", name, scope="col", class_="n" if index in numeric else None) for index, name in enumerate(head)
    ]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell, class_=kind(i)) for i, cell in enumerate(row[1:], 1)),
        )
        for row in rows
    ]
    inner = [element("caption", caption)] if caption else []
    return element(
        "div",
        element("table", *inner, element("thead", element("tr", *heads)), element("tbody", *body)),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption or ", ".join(head),
    )
