"""JSON Lines: one value a line."""

import json
from collections.abc import Iterator
from typing import Any

from input_pipeline.clean.collect import charset, rows
from input_pipeline.clean.collect.content import Content, Refused, changed
from input_pipeline.clean.collect.lines import lines
from input_pipeline.clean.record import Entry, Record


def read(content: Content) -> Iterator[Record | Entry]:
    """A record for each line that is not blank, named by the line's number from 0."""
    for found in lines(content):
        if isinstance(found, Entry):
            yield found
            continue
        number, line = found
        id = f"{content.name}#{number}"
        if isinstance(line, Refused):
            yield line.entry(id)
        elif not line.isspace():
            yield from _record(line, id, content)


def _record(line: bytes, id: str, content: Content) -> Iterator[Record | Entry]:
    try:
        text, encoding = _decoded(line)
        value = parse(text)
    except Refused as refused:
        yield refused.entry(id, text=line[:400].decode("utf-8", "replace"))
        return
    if encoding != "utf-8":
        yield changed(id, "encoding", encoding, "utf-8")
    yield from rows.record(value, id, content.spec)


def _decoded(line: bytes) -> tuple[str, str]:
    try:
        return line.decode(), "utf-8"
    except UnicodeDecodeError:
        return charset.decode(line)


def parse(line: str) -> Any:
    """The value; NaN and Infinity, which are no JSON though many write them, become floats.

    Raises:
      Refused: it is none.
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refused("json", f"{type(error).__name__}: {error}"[:200], "one JSON value a line") from None
