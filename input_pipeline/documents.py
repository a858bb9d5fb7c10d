"""What a source of text is: documents, each a name and its bytes, read at random by number."""

import bisect
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np


class BadRecord(ValueError):
    """A record that holds nothing of use, and why, in a few words. It keeps its number and counts for nothing.

    Attributes:
      rule: why, in one word, where that is told apart: empty, format, truncated, corrupt, ...
    """

    def __init__(self, message: str, rule: str = "corrupt") -> None:
        super().__init__(message)
        self.rule = rule


Content: TypeAlias = bytes | BadRecord
BAD = bytes(32)  # stands for the hash of a bad record


def attempt(read: Callable[..., bytes], *args: Any) -> Content:
    """What `read` gives, or the BadRecord that it raises."""
    try:
        return read(*args)
    except BadRecord as error:
        return error


def size(content: Content) -> int:
    """Bytes of text."""
    return 0 if isinstance(content, BadRecord) else len(content)


def digest(content: Content) -> bytes:
    """SHA-256 of a text; BAD for a bad record."""
    return BAD if isinstance(content, BadRecord) else hashlib.sha256(content).digest()


class Source(Protocol):
    """Documents 0 .. len - 1. Reading one twice gives the same bytes, in any process it is pickled to."""

    def __len__(self) -> int: ...

    def name(self, i: int) -> str:
        """What the document is called; the same on every machine."""

    def num_bytes(self, i: int) -> int:
        """The length of document i, without reading it where that can be avoided; 0 for a bad record."""

    def digest(self, i: int) -> bytes:
        """SHA-256 of document i; BAD for a bad record."""

    def read(self, i: int) -> bytes:
        """Document i.

        Raises:
          BadRecord: it holds no text.
        """

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the sorted names and contents."""

    def lines(self, members: np.ndarray) -> Iterator[bytes]:
        """What the fingerprint of these documents (int64) alone would hash, in pieces: see `Documents`."""


def why_bad(source: Source, i: int) -> str:
    """The name of a bad record, and the reason."""
    reason = attempt(source.read, i)
    assert isinstance(reason, BadRecord)
    return f"{source.name(i)}: {reason}"


class Documents:
    """What a source need not write itself: all that follows from `__len__`, `name` and `read`."""

    def __len__(self) -> int:
        raise NotImplementedError

    def name(self, i: int) -> str:
        raise NotImplementedError

    def read(self, i: int) -> bytes:
        raise NotImplementedError

    def num_bytes(self, i: int) -> int:
        return size(attempt(self.read, i))

    def digest(self, i: int) -> bytes:
        return digest(attempt(self.read, i))

    def fingerprint(self) -> str:
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        whole = hashlib.sha256()
        for lines in self.lines(np.arange(len(self))):
            whole.update(lines)
        return whole.hexdigest()

    def lines(self, members: np.ndarray) -> Iterator[bytes]:
        """What a fingerprint of these documents hashes: a line for each, in the order of names and contents."""
        entries = sorted((encode(self.name(i)), self.digest(i)) for i in members.tolist())
        for name, content in entries:
            yield b"%d %b %b\n" % (len(name), name, content)


@dataclass(frozen=True, eq=False)
class Collection(Documents):
    """The documents of several sources, each named after its source: "prose/a.txt"."""

    names: tuple[str, ...]
    sources: tuple[Source, ...]

    @functools.cached_property
    def _ends(self) -> tuple[int, ...]:
        return tuple(itertools.accumulate(map(len, self.sources)))

    def _at(self, i: int) -> tuple[int, int]:
        """-> (source, document in it)."""
        which = bisect.bisect_right(self._ends, i)
        return which, i - (self._ends[which - 1] if which else 0)

    def __len__(self) -> int:
        return self._ends[-1]

    def name(self, i: int) -> str:
        which, document = self._at(i)
        return f"{self.names[which]}/{self.sources[which].name(document)}"

    def num_bytes(self, i: int) -> int:
        which, document = self._at(i)
        return self.sources[which].num_bytes(document)

    def digest(self, i: int) -> bytes:
        which, document = self._at(i)
        return self.sources[which].digest(document)

    def read(self, i: int) -> bytes:
        which, document = self._at(i)
        return self.sources[which].read(document)

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the sources' names and fingerprints: their documents are not read again for it."""
        known = sorted((name, source.fingerprint()) for name, source in zip(self.names, self.sources, strict=True))
        return hashlib.sha256(repr(known).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Parted(Collection):
    """The splits that a source has of its own, by name, as one source; `account` tells how they came about."""

    account: Mapping[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> Source:
        """One split.

        Raises:
          ValueError: it has no document.
        """
        if name not in self.names:
            there = ", ".join(map(repr, self.names))
            raise ValueError(f"data: expected a split that has documents, one of {there}, got {name!r}")
        return self.sources[self.names.index(name)]

    def fingerprint(self) -> str:
        """As that of any documents."""
        return self._fingerprint


def encode(name: str) -> bytes:
    """The bytes of a name; file names need not be UTF-8."""
    return name.encode("utf-8", "surrogateescape")
