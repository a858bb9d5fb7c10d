"""Words of many texts at once, as 64-bit hashes: what counts n-grams needs no strings.

A word is a run of letters, digits and marks, in lower case. Scripts that put no space between words (Chinese, Japanese,
Thai, ...) give a word for each character, and so do emoji.
"""

import functools
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt64

from input_pipeline import hashing

_BLOCK_CHARS = 1 << 18  # that are hashed at a time: what lies in a cache
_LETTER, _ALONE = 1, 2  # kinds of characters; 0 parts words
# Thai and Lao; Khmer; from the CJK radicals to the ideographs; compatibility ideographs.
_UNSPACED = ((0x0E00, 0x0EFF), (0x1780, 0x17FF), (0x2E80, 0x9FFF), (0xF900, 0xFAFF))
_BEYOND = 0xFFFF  # no character: stands for all above it, ideographs and emoji among them


class Words(NamedTuple):
    """Words, or n-grams of them, of T texts, one text after the other."""

    hashes_W: UInt64[np.ndarray, "W"]
    starts_T: Int64[np.ndarray, "T+1"]  # text t has the words starts_T[t] to starts_T[t + 1]

    @property
    def counts_T(self) -> Int64[np.ndarray, "T"]:
        """How many each text has."""
        return np.diff(self.starts_T)

    @property
    def texts_W(self) -> Int64[np.ndarray, "W"]:
        """The text of each word."""
        return np.repeat(np.arange(len(self.starts_T) - 1), self.counts_T)


def words(texts: Sequence[str]) -> Words:
    """The words of each text, in order."""
    hashes, counts = [np.empty(0, np.uint64)], [np.zeros(1, np.int64)]
    for block in _blocks(texts):
        codes, ends_T = _codes(block)
        first_W, hashes_W = _hashed(codes)
        hashes.append(hashes_W)
        counts.append(np.diff(np.searchsorted(first_W, np.concatenate([[0], ends_T]))))
    return Words(np.concatenate(hashes), np.cumsum(np.concatenate(counts)))


def spelled(text: str) -> list[str]:
    """The words of a text as they are written: as many as `words` has hashes."""
    codes, _ = _codes([text])
    kinds = _kinds()[np.minimum(codes, _BEYOND)]
    starts = np.flatnonzero(_begins(kinds))
    ends = np.flatnonzero((kinds > 0) & ~np.append(_continues(kinds)[1:], False)) + 1
    lower = text.lower()
    return [lower[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def ngrams(words: Words, n: int) -> Words:
    """Every n words that follow one another in a text; a text of fewer has none."""
    counts_T = np.maximum(words.counts_T - (n - 1), 0)
    starts_T = np.concatenate([[0], np.cumsum(counts_T)])
    first_W = np.arange(starts_T[-1]) + np.repeat(words.starts_T[:-1] - starts_T[:-1], counts_T)
    hashes_W = words.hashes_W[first_W]
    for k in range(1, n):
        hashes_W = hashing.mix(hashes_W * hashing.FIRST + words.hashes_W[first_W + k])
    return Words(hashes_W, starts_T)


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts of about so many characters together, one at least."""
    start, chars = 0, 0
    for index, text in enumerate(texts):
        chars += len(text)
        if chars >= _BLOCK_CHARS:
            yield texts[start : index + 1]
            start, chars = index + 1, 0
    if start < len(texts):
        yield texts[start:]


def _codes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """-> (code points in lower case, a line end behind each text; where each text and its line end are over)."""
    lower = [text.lower() for text in texts]
    joined = "\n".join([*lower, ""])
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
    return codes, np.cumsum([len(text) + 1 for text in lower])


def _hashed(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-> (where each word begins, its hash): the sum of the hashes of its characters and their places in it."""
    kinds = _kinds()[np.minimum(codes, _BEYOND)]
    first_W = np.flatnonzero(_begins(kinds))
    if not len(first_W):
        return first_W, np.empty(0, np.uint64)
    (place_C,) = np.nonzero(kinds)
    begin_W = np.searchsorted(place_C, first_W)
    within_C = place_C - np.repeat(first_W, np.diff(np.append(begin_W, len(place_C))))
    hashes_C = hashing.mix(codes[place_C].astype(np.uint64) | (within_C.astype(np.uint64) << np.uint64(32)))
    return first_W, hashing.mix(np.add.reduceat(hashes_C, begin_W))


def _begins(kinds: np.ndarray) -> np.ndarray:
    return (kinds > 0) & ~_continues(kinds)


def _continues(kinds: np.ndarray) -> np.ndarray:
    """Whether a character goes on with the word of the one before it."""
    is_letter = kinds == _LETTER
    return is_letter & np.concatenate([[False], is_letter[:-1]])


@functools.cache
def _kinds() -> np.ndarray:
    """uint8 [0x10000]: the kind of each character of the basic plane."""
    kinds = np.array([unicodedata.category(chr(code))[0] in "LNM" for code in range(_BEYOND + 1)], np.uint8)
    for low, high in _UNSPACED:
        kinds[low : high + 1] *= _ALONE
    kinds[_BEYOND] = _ALONE
    return kinds
