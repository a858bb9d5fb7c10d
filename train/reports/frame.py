"""What every page of ours is made of: one file, whole in itself, that needs no network and no server."""

from collections.abc import Sequence
from pathlib import Path

from train.reports.markup import Content, Markup, element

HERE = Path(__file__).parent

Tile = tuple[str, str, str]  # what it is, its number, and a word on it
Shown = tuple[str, str, Markup]  # a section's id, its title, and what stands in it


def render(title: str, *, top: Sequence[Content], shown: Sequence[Shown], footer: Content, script: str = "") -> str:
    """The page's HTML: the top, a list of its sections, and they."""
    body = [
        element("header", *top, _contents(shown), class_="top"),
        element("main", *(_section(*each) for each in shown), footer),
        element("script", Markup(script)) if script else None,
    ]
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", Markup((HERE / "page.css").read_text())),
    ]
    page = element("html", element("head", *head), element("body", *body), lang="en")
    return f"<!doctype html>\n{page}\n"


def put(text: str, path: Path) -> Path:
    """Writes a page so that nobody ever sees half of one. What no UTF-8 can spell is written as its escape."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return partial.replace(path)


def tiles(made: Sequence[Tile]) -> Markup:
    """The numbers that one looks for first."""
    return element("dl", *(_tile(*tile) for tile in made), class_="tiles")


def _tile(name: str, value: str, told: str) -> Markup:
    return element("div", element("dt", name), element("dd", element("b", value), told), class_="tile")


def _contents(shown: Sequence[Shown]) -> Markup:
    entries = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in shown]
    return element("nav", element("ul", *entries), aria_label="Sections")


def _section(name: str, title: str, content: Markup) -> Markup:
    return element(
        "section", element("h2", title, id=f"{name}-title"), content, id=name, aria_labelledby=f"{name}-title"
    )
