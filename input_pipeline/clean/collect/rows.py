"""Records from objects with named values: lines of JSON, rows of tables, examples."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from input_pipeline.clean.collect import charset
from input_pipeline.clean.collect.content import Refused, changed, spelt
from input_pipeline.clean.collect.spec import ALL, Collect
from input_pipeline.clean.record import Entry, Record

_SHOWN = 8  # names in an entry
_MAX_INTEGER = 1 << 63
_LONGEST_ID = 512  # characters


def record(row: Any, id: str, spec: Collect) -> Iterator[Record | Entry]:
    """What the spec takes from a row, and an entry for what had to be mended or refused."""
    try:
        yield from _record(row, id, spec)
    except Refused as refused:
        yield refused.entry(id)


def _record(row: Any, id: str, spec: Collect) -> Iterator[Record | Entry]:
    if not isinstance(row, Mapping):
        raise Refused("field", kind(row), "an object")
    if spec.id_field:
        id = _id(row, spec.id_field)
    text = ""
    entries: list[Entry] = []
    payload = _payload(find(row, spec.payload_field), spec) if spec.payload_field else b""
    if spec.field:
        text, entries = _text(find(row, spec.field), id, spec)
        if not (text or payload):
            raise Refused("empty", 0)
    fields, changes = kept(row, id, spec)
    yield from (*entries, *changes)
    yield Record(id, text, payload, fields)


def kept(row: Mapping[str, Any], id: str, spec: Collect) -> tuple[dict[str, Any], list[Entry]]:
    """The fields that are kept of a row, and an entry for each reason why some could not stay what they were."""
    fields: dict[str, Any] = {}
    reasons: dict[str, list[str]] = {}
    for name, value in _others(row, spec):
        fields[encodable(name)], reason = _plain(value)
        if reason:
            reasons.setdefault(reason, []).append(f"{encodable(name)}: {str(value)[:40]}")
    return fields, [changed(id, reason, ", ".join(values)[:200]) for reason, values in reasons.items()]


def find(row: Mapping[str, Any], field: str) -> Any:
    """The value in a field: of this very name, or `a.b`, b within a.

    Raises:
      Refused: there is none.
    """
    if field in row:
        return row[field]
    value: Any = row
    for part in field.split("."):
        if not isinstance(value, Mapping) or part not in value:
            there = ", ".join(map(repr, list(row)[:_SHOWN])) or "none"
            raise Refused("field", encodable(there)[:200], field)
        value = value[part]
    return value


def kind(value: Any) -> str:
    """What JSON calls the type of a value."""
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bytes: "bytes",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _id(row: Mapping[str, Any], field: str) -> str:
    value = find(row, field)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if isinstance(value, bool) or not isinstance(value, str | int) or not 0 < len(str(value)) <= _LONGEST_ID:
        raise Refused("id_field", str(value)[:40] or "none", f"1 to {_LONGEST_ID} characters, or a whole number")
    return spelt(encodable(str(value)))


def _payload(value: Any, spec: Collect) -> bytes:
    if not isinstance(value, bytes) or not value:
        raise Refused("payload_field", "no bytes" if isinstance(value, bytes) else kind(value), "bytes")
    if len(value) > spec.max_record_bytes:
        raise Refused("record_bytes", len(value), spec.max_record_bytes)
    return value


def _text(value: Any, id: str, spec: Collect) -> tuple[str, list[Entry]]:
    """The text, and what had to be mended in it."""
    if isinstance(value, str | bytes) and len(value) > spec.max_record_bytes:
        raise Refused("record_bytes", len(value), spec.max_record_bytes)
    if isinstance(value, bytes):
        text, encoding = charset.decode(value)
        return text, [changed(id, "encoding", encoding, "utf-8")] if encoding != "utf-8" else []
    if not isinstance(value, str):
        raise Refused("field", kind(value), "a string")
    charset.check(value)
    text = encodable(value)
    return text, [] if text == value else [changed(id, "surrogates", _num_surrogates(value), 0)]


def _num_surrogates(text: str) -> int:
    return sum("\ud800" <= character <= "\udfff" for character in text)


def encodable(text: str) -> str:
    """The text with each lone surrogate, which UTF-8 cannot spell, as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _others(row: Mapping[str, Any], spec: Collect) -> Iterator[tuple[str, Any]]:
    if spec.fields != ALL:
        for name in spec.fields:
            try:
                yield name, find(row, name)
            except Refused:
                yield name, None
        return
    taken = (spec.field, spec.payload_field, spec.id_field)
    for name, value in row.items():
        if name not in taken and not isinstance(value, bytes | list | tuple | Mapping):
            yield name, value


def _plain(value: Any) -> tuple[Any, str]:
    """The value as a field holds it, and the reason where it could not stay what it was."""
    if isinstance(value, str):
        return encodable(value), ""
    if value is None or isinstance(value, bool):
        return value, ""
    if isinstance(value, int):
        return (value, "") if -_MAX_INTEGER <= value < _MAX_INTEGER else (str(value), "large_integer")
    if isinstance(value, float):
        return (value, "") if math.isfinite(value) else (None, "not_finite")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace"), ""
    try:
        nested = isinstance(value, list | tuple | Mapping)
        return encodable(json.dumps(value, ensure_ascii=False, default=str) if nested else str(value)), ""
    except (ValueError, RecursionError):
        return None, "not_plain"
