"""JSON Lines: one JSON value a line. What a field of a JSON value holds."""

import codecs
import functools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from input_pipeline.documents import BadRecord, Content, attempt
from input_pipeline.files import File

_SHOWN = 8  # fields that a reason names
_FILES = 64  # that stay open
_CHUNK_BYTES = 1 << 14  # of a line, read at a time


@dataclass(frozen=True)
class JsonLines:
    """Records are lines that are not blank. A record's place is the offset of its line."""

    field: str

    def scan(self, file: File) -> Iterator[tuple[int, Content]]:
        place = 0
        with open(file.path, "rb") as lines:
            for line in lines:
                if not line.isspace():
                    yield place, attempt(self._text, line)
                place += len(line)

    def read(self, file: File, place: int) -> bytes:
        line, descriptor = b"", _open(file)
        while chunk := os.pread(descriptor.number, _CHUNK_BYTES, place + len(line)):
            head, newline, _ = chunk.partition(b"\n")
            line += head
            if newline:
                break
        return self._text(line)

    def _text(self, line: bytes) -> bytes:
        return text_of(parse(line.rstrip(b"\r\n")), self.field)


class _Descriptor:
    """A file that is open for as long as somebody holds this."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        os.close(self.number)


@functools.lru_cache(_FILES)
def _open(file: File) -> _Descriptor:
    return _Descriptor(file.path)


def parse(raw: bytes) -> Any:
    """The JSON value of these bytes.

    Raises:
      BadRecord: it is none.
    """
    try:
        return json.loads(raw.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        raise BadRecord(f"not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"not JSON: {error}, in {raw[:40].decode('utf-8', 'replace')!r}") from None


def text_of(value: Any, field: str) -> bytes:
    """The text in a field, `a.b` being b within a; "" is the value itself.

    A lone surrogate, which JSON can spell and UTF-8 cannot, becomes bytes that are not UTF-8.

    Raises:
      BadRecord: no such field, or no string in it.
    """
    for part in _path(value, field):
        if not isinstance(value, dict):
            raise BadRecord(f"expected an object with field {field!r}, got {_kind(value)}")
        if part not in value:
            raise BadRecord(f"no field {field!r}; it has {', '.join(map(repr, list(value)[:_SHOWN])) or 'none'}")
        value = value[part]
    if not isinstance(value, str):
        raise BadRecord(f"expected a string in {field or 'the record'!r}, got {_kind(value)}")
    return value.encode("utf-8", "surrogatepass")


def _path(value: Any, field: str) -> list[str]:
    """The keys that lead to a field; one, where its whole name is a key."""
    if not field:
        return []
    return [field] if isinstance(value, dict) and field in value else field.split(".")


def _kind(value: Any) -> str:
    """What JSON calls the type of a value."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
