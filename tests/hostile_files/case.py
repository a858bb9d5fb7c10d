"""A file that does harm to its readers, and what reading it has to give."""

import pathlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SENTENCE = "The quick brown fox jumps over the lazy dog near the bank of the river."


@dataclass(frozen=True)
class Hostile:
    """How to make it, and what becomes of it.

    make: its bytes, or a function that gives them.
    rules: of the entries that reading gives, without "collect.".
    sound: the ids of the records that it gives, without the file's name; "" is the file itself.
    spec: fields of `Collect` without which it is not read this way.
    put: in place of `make`, puts at a path what is no file, or is too large for memory.
    is_large: read with a bound on memory.
    """

    make: bytes | Callable[[], bytes]
    rules: frozenset[str]
    sound: tuple[str, ...]
    spec: Mapping[str, Any] = field(default_factory=dict)
    put: Callable[[pathlib.Path], None] | None = None
    is_large: bool = False

    def write(self, path: pathlib.Path) -> None:
        if self.put:
            self.put(path)
        else:
            path.write_bytes(self.make() if callable(self.make) else self.make)


def case(
    made: bytes | Callable[[], bytes], rules: str = "", sound: str = "", *, large: bool = False, **spec: Any
) -> Hostile:
    """`rules` and `sound` are words, and "." is the file itself."""
    ids = tuple("" if id == "." else id for id in sound.split())
    return Hostile(made, frozenset(rules.split()), ids, spec, is_large=large)


def placed(put: Callable[[pathlib.Path], Any], rules: str, sound: str = "", *, large: bool = False) -> Hostile:
    ids = tuple("" if id == "." else id for id in sound.split())
    return Hostile(b"", frozenset(rules.split()), ids, put=put, is_large=large)


def junk(num_bytes: int) -> bytes:
    """Bytes without any sense."""
    return random.Random(5).randbytes(num_bytes)


def flipped(raw: bytes, place: int) -> bytes:
    """The bytes with one of them wrong."""
    place %= len(raw)
    return raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :]


def sparse(num_bytes: int, *, begin: bytes = b"", end: bytes = b"") -> Callable[[pathlib.Path], None]:
    """A file of zeros that takes no room on the disk."""

    def put(path: pathlib.Path) -> None:
        with open(path, "wb") as file:
            file.write(begin)
            file.truncate(num_bytes)
            file.seek(0, 2)
            file.write(end)

    return put
