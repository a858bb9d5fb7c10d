"""The columns of a cleaned dataset: `id`, then `text` or the payload (`image`, `audio`), then every field there is.

Each field is of one kind in the whole dataset, the narrowest that holds all its values without loss:

    bool    int (up to 2**53)    long (up to 2**63)    float (64 bits)    str    null (no record has a value)

Numbers and truth values beside text, truth values beside numbers, numbers past 2**63, and those between 2**53 and 2**63
beside fractions are written as text, in JSON's spelling. "int?" is an int that some record lacks; NaN is missing too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from input_pipeline.clean.record import Fields, Record

ID = "id"
CONTENT = {"text": "text", "image": "image", "audio": "audio", "table": ""}  # by modality: its column
NULL = "null"
KINDS = ("bool", "int", "long", "float", "str")
_EXACT, _INT64 = 1 << 53, 1 << 63
_AS_TEXT = ({"bool", "int"}, {"bool", "long"}, {"bool", "float"}, {"long", "float"})
_PLAIN = {bool: "bool", float: "float", str: "str"}


@dataclass(frozen=True)
class Schema:
    """The columns of a dataset. A field that is called as another column takes "_" at its end."""

    modality: str
    types: Mapping[str, str]  # field -> a kind, with "?" where it may be missing; in the order of the columns
    channels: int = 0  # of every picture; 0 where they differ, and for what is no picture

    @property
    def content(self) -> str:
        """The column of a record's text or payload; "" for tables."""
        return CONTENT[self.modality]

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """Column -> field, of all fields."""
        reserved = [ID, self.content] if self.content else [ID]
        found: dict[str, str] = {}
        for field in self.types:
            column = field
            while column in reserved or (column != field and (column in self.types or column in found)):
                column += "_"
            found[column] = field
        return found

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """Column -> kind, of all fields."""
        return {column: self.types[field] for column, field in self.columns.items()}

    def row(self, record: Record) -> dict[str, Any]:
        """A record's cells, in the order of the columns; None where one is missing."""
        row: dict[str, Any] = {ID: record.id}
        if self.content:
            row[self.content] = record.text if self.content == "text" else record.payload
        for column, field in self.columns.items():
            row[column] = _as(record.fields.get(field), base(self.types[field]))
        return row


def base(kind: str) -> str:
    """A kind, whether values are missing or not."""
    return kind.removesuffix("?")


def types_of(records: Iterable[Fields]) -> dict[str, str]:
    """The kind of each field of some records, in the order in which fields are met."""
    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    total = 0
    for fields in records:
        total += 1
        for name, value in fields.items():
            kind = _kind(value)
            found[name] = wider(found.get(name, kind), kind)
            counts[name] = counts.get(name, 0) + 1
    return {name: kind if counts[name] == total else wider(kind, NULL) for name, kind in found.items()}


def together(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The kinds of all fields, from those of several sets of records, none of which is empty."""
    parts = list(parts)
    names = dict.fromkeys(name for part in parts for name in part)
    found: dict[str, str] = {}
    for name in names:
        for part in parts:
            kind = part.get(name, NULL)
            found[name] = wider(found.get(name, kind), kind)
    return found


def wider(one: str, other: str) -> str:
    """The narrowest kind that holds the values of both; the order in which several are joined makes no difference."""
    kinds = {base(one), base(other)}
    values = kinds - {NULL}
    if not values:
        return NULL
    missing = "?" if NULL in kinds or "?" in one + other else ""
    return ("str" if values in _AS_TEXT else max(values, key=KINDS.index)) + missing


def _kind(value: Any) -> str:
    if value is None or value != value:
        return NULL
    if type(value) is int:
        return "int" if abs(value) <= _EXACT else "long" if -_INT64 <= value < _INT64 else "str"
    return _PLAIN[type(value)]


def _as(value: Any, kind: str) -> Any:
    if value is None or value != value:
        return None
    if kind == "str" and not isinstance(value, str):
        return json.dumps(value)
    return float(value) if kind == "float" else value
