"""HTML and SVG built from Python values: whatever is not markup already is escaped."""

import html
import json
from typing import Any


class Markup(str):
    """Text that is markup already. Only `element`, `join` and constants of our own make it."""

    __slots__ = ()


Content = str | Markup | int | float | None  # None is left out


def escape(content: Content) -> Markup:
    """Markup as it is; anything else as text that a browser shows character for character."""
    return content if isinstance(content, Markup) else Markup(html.escape("" if content is None else str(content)))


def element(tag: str, *content: Content, **attributes: Any) -> Markup:
    """`element("td", "a < b", class_="key")` -> `<td class="key">a &lt; b</td>`.

    In the names of attributes `_` is a dash, but for one at the end. None and False leave one out; True gives it no
    value.
    """
    opening = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Markup(f"<{tag}{opening}>")
    return Markup(f"<{tag}{opening}>{join(*content)}</{tag}>")


def join(*content: Content) -> Markup:
    return Markup("".join(map(escape, content)))


def embedded(content: Any) -> Markup:
    """JSON for a script of the page. "<" is written so that no text can end the element."""
    text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return element("script", Markup(text), type="application/json")


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'


VOID = ("br", "img", "meta", "link", "wbr")
