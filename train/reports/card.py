"""The data card: one page about a cleaned dataset, from its manifest, its ledger and its files alone."""

import os
from collections.abc import Callable
from pathlib import Path

from train.reports import card_sections, cleaned, frame, numbers
from train.reports.cleaned import Cleaned, mapping
from train.reports.frame import Tile
from train.reports.markup import Markup, element


def write(folder: str | os.PathLike[str]) -> Path:
    """Writes `report/index.html` into a cleaned dataset's folder. -> its path.

    Raises:
      ValueError: there is no manifest, or it is of another format.
    """
    found = cleaned.read(folder)
    return frame.put(render(found), found.path / "report" / "index.html")


def render(found: Cleaned) -> str:
    """The card's HTML: a pure function of the files, so that the same dataset has the same card."""
    shown = [(name, title, content) for name, title, make in SECTIONS if (content := make(found))]
    told = f"From manifest.json and ledger/ of {found.name}."
    return frame.render(
        f"{found.name}: data card", top=_top(found), shown=shown, footer=element("footer", element("p", told))
    )


def _top(found: Cleaned) -> list[Markup | None]:
    state, told = ("stopped", "see below") if found.faults else ("finished", "manifest, ledger and files agree")
    pill = element("span", "incomplete" if found.faults else "complete", class_=f"state {state}")
    faults = [element("li", fault) for fault in found.faults[: card_sections.MOST_ROWS]]
    return [
        element("div", element("h1", found.name), pill, element("span", told, class_="soft"), class_="title"),
        element("p", _about(found), class_="about"),
        frame.tiles(tiles(found)),
        element("ul", *faults, class_="absent") if faults else None,
    ]


def _about(found: Cleaned) -> str:
    config = found.part("config")
    output = mapping(config.get("output")).get("format")
    inputs = found.rows("inputs")
    size = sum(int(each.get("bytes") or 0) for each in inputs)
    told = [f"data card: {config.get('modality', 'data')}", f"{len(inputs):,} inputs of {numbers.size(size)}"]
    told += [f"written as {output}"] if output else []
    told += [f"{name}: {config[name]}" for name in ("origin", "licence") if config.get(name)]
    return ", ".join(told)


def tiles(found: Cleaned) -> list[Tile]:
    """The numbers that one looks for first."""
    stages = found.rows("stages")
    made: list[Tile] = []
    if stages:
        collected, kept = card_sections.ends(stages)
        made.append(("collected", numbers.count(collected.records), numbers.size(collected.bytes)))
        made.append(("kept", numbers.count(kept.records), f"{numbers.size(kept.bytes)}; {kept.of(collected)}"))
    made += [
        (rule_action, numbers.count(total), "records, by all rules together")
        for rule_action in ("removed", "changed")
        if (total := sum(rule.count for rule in found.rules if rule.action == rule_action))
    ]
    if clusters := found.rows("clusters"):
        most = max(map(card_sections.num_removed, clusters))
        made.append(("duplicates", numbers.count(most), "of one record, at the most"))
    if fingerprint := found.manifest.get("fingerprint"):
        made.append(("fingerprint", str(fingerprint)[:12], "of the dataset"))
    return made


SECTIONS: tuple[tuple[str, str, Callable[[Cleaned], Markup | None]], ...] = (
    ("retention", "Retention", card_sections.retention),
    ("rules", "Rules", card_sections.rules),
    ("removed", "What each rule did", card_sections.examples),
    ("histograms", "What is kept", card_sections.histograms),
    ("diversity", "Diversity", card_sections.diversity),
    ("duplicates", "Near-duplicates", card_sections.clusters),
    ("splits", "Splits", card_sections.splits),
    ("inputs", "Inputs", card_sections.inputs),
    ("config", "Config and versions", card_sections.config),
)
