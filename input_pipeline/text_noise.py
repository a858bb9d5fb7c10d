"""Noise for documents before they become tokens, by a line of text: `"case(0.1)|typos(0.02)"`.

All chance comes from a document's name and an operation's place in the line, so a store of tokens is the same wherever
it is made. What is not UTF-8 stays as it is.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from input_pipeline import hashing
from input_pipeline.documents import Documents, Source
from input_pipeline.transforms.parse import read

# Part of the fingerprint of noisy documents: changes whenever an operation would give another result.
FORMAT = "text noise 1"
_PIECE = 1 << 16  # characters that draw their chances together, to bound memory
_WORD = re.compile(r"[^\W\d_]+")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # of an American keyboard
_BESIDE = {letter: (" " + row + " ")[i : i + 3 : 2].strip() for row in _ROWS for i, letter in enumerate(row)}


class Noise(Protocol):
    """An operation, bound to its arguments. Its repr tells it from others."""

    def __call__(self, text: str, key: np.ndarray) -> str:
        """Another text; `key` is uint64 [1]."""


@dataclass(frozen=True)
class Case:
    """Writes a word in another case with probability `rate`: lower, UPPER, Capitalized or sWAPPED, what differs."""

    rate: float

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def __call__(self, text: str, key: np.ndarray) -> str:
        words = list(_WORD.finditer(text))
        made, end = [], 0
        for place, choice in _chosen(key, len(words), self.rate):
            word = words[place][0]
            forms = sorted({word.lower(), word.upper(), word.capitalize(), word.swapcase()} - {word})
            if forms:
                made += [text[end : words[place].start()], forms[int(choice * len(forms))]]
                end = words[place].end()
        return "".join([*made, text[end:]])


@dataclass(frozen=True)
class Typos:
    """Mistypes a letter with probability `rate`: left out, doubled, as a key beside it, or after the next letter.

    The last two are those of Y. Belinkov, Y. Bisk, "Synthetic and Natural Noise Both Break Neural Machine Translation",
    2018, section 4.2.
    """

    rate: float

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def __call__(self, text: str, key: np.ndarray) -> str:
        letters = [*text, ""]
        for place, choice in _chosen(key, len(text), self.rate):
            if letters[place].isalpha():
                ways = _mistyped(*letters[place : place + 2])
                letters[place : place + 2] = ways[int(choice * len(ways))]
        return "".join(letters)


# By the name that stands in the line.
NOISES: Mapping[str, Callable[..., Noise]] = {"case": Case, "typos": Typos}


def parse(line: str) -> tuple[Noise, ...]:
    """The operations of a line, from left to right; none for "".

    Raises:
      ValueError: no such operation, or arguments that it does not take.
    """
    return read(line, NOISES, field="data.text_noise")


def noisy(source: Source, line: str) -> Source:
    """The documents under the operations of a line; "" leaves them as they are."""
    noises = parse(line)
    return Noisy(source, noises) if noises else source


@dataclass(frozen=True)
class Noisy(Documents):
    """Documents of another source under noise, made whenever they are read."""

    whole: Source
    noises: tuple[Noise, ...]

    def __len__(self) -> int:
        return len(self.whole)

    def name(self, i: int) -> str:
        return self.whole.name(i)

    def read(self, i: int) -> bytes:
        text = self.whole.read(i).decode("utf-8", "surrogateescape")
        for place, noise in enumerate(self.noises):
            text = noise(text, hashing.key(FORMAT, place, self.name(i)))
        return text.encode("utf-8", "surrogateescape")

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the documents' own fingerprint and the noise: nothing is read again for it."""
        return hashlib.sha256(repr((FORMAT, self.noises, self.whole.fingerprint())).encode()).hexdigest()


def _chosen(key: np.ndarray, count: int, rate: float) -> Iterator[tuple[int, float]]:
    """Of `count` places those that are hit with probability `rate`, each with a number in [0, 1) to choose by."""
    for first in range(0, count, _PIECE):
        piece_key = hashing.fold(key, first)
        [drawn] = hashing.uniform(piece_key, min(_PIECE, count - first))
        for place in np.flatnonzero(drawn < rate).tolist():
            yield first + place, float(drawn[place] / rate)  # uniform too, given that it is below `rate`


def _mistyped(letter: str, following: str) -> list[tuple[str, str]]:
    """What may be written instead of a letter and the one that follows it."""
    beside = _BESIDE.get(letter.lower(), "")
    keys = [key.upper() if letter.isupper() else key for key in beside]
    return [
        ("", following),
        (letter * 2, following),
        *((key, following) for key in keys),
        *([(following, letter)] if following.isalpha() else []),
    ]


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise ValueError(f"rate: expected a number between 0 and 1, got {rate}")
