"""What flows through cleaning: records, and entries of the ledger that say what became of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

Fields: TypeAlias = Mapping[str, str | int | float | bool | None]
REMOVED, CHANGED = "removed", "changed"
EXCERPT = 200  # characters


@dataclass(frozen=True, slots=True)
class Record:
    """One document, picture, clip or row of a table."""

    id: str  # its file below the glob's folder and, where a file holds several, its place: "a/b.jsonl.gz#17"
    text: str = ""  # of a document
    payload: bytes = b""  # of a picture or clip: the encoded file, as it will be written
    fields: Fields = field(
        default_factory=dict
    )  # what else is known: url, language, label, group, licence, ... or cells


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: a record that was removed or changed, and the rule that did it."""

    id: str
    rule: str
    value: str | float = ""  # what the rule measured
    threshold: str | float = ""  # what it may be at most or at least
    action: str = REMOVED  # or CHANGED
    excerpt: str = ""  # of the text, at most EXCERPT characters
    like: str = ""  # the record that stays in the place of this one, where it is a duplicate


class Outcome(NamedTuple):
    """What became of some records: those that stay, in their order, and the entries."""

    records: Sequence[Record]
    entries: Sequence[Entry]


class Step(Protocol):
    """An operation of the line `steps`, bound to its arguments: a frozen dataclass. Its repr tells it from others.

    It has no state: what becomes of a record depends on that record and the arguments alone, never on its neighbours.
    Files that it reads stand in its attribute `files`, a tuple of paths, if it has one; they are part of its identity.
    """

    def __call__(self, records: Sequence[Record]) -> Outcome:
        """What stays of the records, in order, and an entry for each that is removed or changed."""


def excerpt(text: str) -> str:
    """The beginning of a text, on one line."""
    return " ".join(text[: 2 * EXCERPT].split())[:EXCERPT]


def split_outcome(found: Iterable[Record | Entry]) -> Outcome:
    """Records and entries, told apart."""
    records: list[Record] = []
    entries: list[Entry] = []
    for each in found:
        (records if isinstance(each, Record) else entries).append(each)  # type: ignore[arg-type]
    return Outcome(records, entries)


def as_json(entry: Entry, stage: str) -> dict[str, Any]:
    """An entry as it stands in the ledger."""
    line = {
        "id": entry.id,
        "stage": stage,
        "rule": entry.rule,
        "action": entry.action,
        "value": entry.value,
        "threshold": entry.threshold,
        "excerpt": entry.excerpt,
    }
    return line | {"like": entry.like} if entry.like else line
