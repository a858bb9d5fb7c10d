"""The words of many texts at once, as 64-bit hashes: no Python loop runs over characters or words.

A word is a run of what `\\w` of Python's `re` matches (letters and digits of any script, and "_") and of combining
marks, without which the words of Hindi fall apart. A character of a script that is written without spaces (Han,
Hiragana, Katakana, Thai, Lao, Myanmar, Khmer) is a word of its own. Everything else stands between words.

The hash of a word is a polynomial of its characters modulo 2**64 in a fixed odd base (R. Karp and M. Rabin, "Efficient
randomized pattern-matching algorithms", 1987), taken from one running sum over all texts, and mixed. Two words of a
language do not collide; an adversary can make words of a thousand characters that do.
"""

import functools
import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, Shaped, UInt8, UInt64

from input_pipeline import hashing
from input_pipeline.clean.similar.sketch import cuts

GAP, WORD, LONE = 0, 1, 2  # between words; part of one; a word of its own
UNSPACED = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF)),  # Thai and Lao, Myanmar, Khmer
    *((0x3040, 0x30FF), (0x31F0, 0x31FF)),  # Hiragana and Katakana
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),  # Han
)
NUM_CODES = 0x110000
PIECE = 1 << 17  # characters that are worked on together: their arrays stay in the cache
CHUNK = 1 << 18  # powers in a table
BASE = int(hashing.key("words", "base")[0]) | 1
INVERSE = pow(BASE, -1, 2**64)


class Words(NamedTuple):
    """The words of N texts, one text after the other."""

    hashes_W: UInt64[np.ndarray, "W"]
    starts_W: Int64[np.ndarray, "W"]  # the first character of each word, counted through all texts
    ends_W: Int64[np.ndarray, "W"]  # the character after its last
    offsets: Int64[np.ndarray, "N+1"]  # text n has the words offsets[n] to offsets[n+1]
    text_starts: Int64[np.ndarray, "N+1"]  # the first character of each text, counted likewise


@functools.cache
def kinds() -> UInt8[np.ndarray, "{NUM_CODES}"]:
    """GAP, WORD or LONE for each code point, by the Unicode tables of this Python."""
    of_codes = np.zeros(NUM_CODES, np.uint8)
    for code in range(NUM_CODES):
        character = chr(code)
        of_codes[code] = character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"
    for first, last in UNSPACED:
        of_codes[first : last + 1] *= LONE
    return of_codes


def codes(texts: Sequence[str]) -> tuple[Shaped[np.ndarray, "C"], Int64[np.ndarray, "N+1"]]:
    """Code points (uint8 or uint32), each text ended by a gap, and where each text starts."""
    joined = "\n".join([*texts, ""])
    found = (
        np.frombuffer(joined.encode("ascii"), np.uint8)
        if joined.isascii()
        else np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    )
    sizes = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
    return found, np.concatenate([[0], np.cumsum(sizes)])


def read(texts: Sequence[str]) -> Words:
    """The words of these texts as they are: letters' case counts. At most 50 bytes of memory for each character."""
    found, text_starts = codes(texts)
    starts_W, ends_W = bounds(kinds()[found])
    return Words(
        hashes_W=spans(found, starts_W, ends_W),
        starts_W=starts_W,
        ends_W=ends_W,
        offsets=np.searchsorted(starts_W, text_starts),
        text_starts=text_starts,
    )


def bounds(kinds_C: UInt8[np.ndarray, "C"]) -> tuple[Int64[np.ndarray, "W"], Int64[np.ndarray, "W"]]:
    """The first character of each word, and the one after its last."""
    is_edge_C = np.empty(len(kinds_C), bool)
    is_edge_C[:1] = True
    np.not_equal(kinds_C[1:], kinds_C[:-1], out=is_edge_C[1:])
    is_edge_C |= kinds_C == LONE
    edges = np.flatnonzero(is_edge_C)
    is_word = kinds_C[edges] != GAP
    return edges[is_word], np.append(edges[1:], len(kinds_C))[is_word]


def spans(
    symbols_C: Shaped[np.ndarray, "C"], starts_W: Int64[np.ndarray, "W"], ends_W: Int64[np.ndarray, "W"]
) -> UInt64[np.ndarray, "W"]:
    """A hash for each span of whole numbers: sum of symbol i times BASE**(i - start), mixed."""
    powers, inverses = _powers()
    sums = np.empty(len(symbols_C) + 1, np.uint64)
    sums[0] = 0
    for first in range(0, len(symbols_C), CHUNK):
        symbols = symbols_C[first : first + CHUNK]
        shifted = powers[: len(symbols)] * np.uint64(pow(BASE, first, 2**64)) if first else powers[: len(symbols)]
        np.multiply(symbols, shifted, out=sums[first + 1 : first + 1 + len(symbols)])
    np.cumsum(sums, out=sums)
    found = sums[ends_W]
    found -= sums[starts_W]
    found *= inverses[starts_W % CHUNK]
    if len(symbols_C) > CHUNK:
        shifts = [pow(INVERSE, first, 2**64) for first in range(0, len(symbols_C), CHUNK)]
        found *= np.array(shifts, np.uint64)[starts_W // CHUNK]
    return hashing.mix(found)


def windows(hashes_W: UInt64[np.ndarray, "W"], size: int) -> UInt64[np.ndarray, "W-size+1"]:
    """A hash for each `size` neighbouring words, whichever texts they belong to."""
    base, count = np.uint64(BASE), max(0, len(hashes_W) - size + 1)
    found = hashes_W[:count].copy()
    for place in range(1, size):
        found *= base
        found += hashes_W[place : place + count]
    return hashing.mix(found)


def is_within(offsets: Int64[np.ndarray, "N+1"], size: int) -> Bool[np.ndarray, "V"]:
    """Which windows of `size` neighbours lie within one text: V = max(0, offsets[-1] - size + 1)."""
    within = np.ones(max(0, int(offsets[-1]) - size + 1), bool)
    counts = np.diff(offsets)
    for place in range(1, size):
        last = offsets[1:][counts >= place] - place
        within[last[last < len(within)]] = False
    return within


@functools.cache
def _powers() -> tuple[UInt64[np.ndarray, "{CHUNK}"], UInt64[np.ndarray, "{CHUNK}"]]:
    """BASE and its inverse to the power of 0, 1, ... modulo 2**64."""
    tables = []
    for base in (BASE, INVERSE):
        table = np.full(CHUNK, base, np.uint64)
        table[0] = 1
        tables.append(np.multiply.accumulate(table))
    return tables[0], tables[1]


def pieces(texts: Sequence[str]) -> Iterator[slice]:
    """Neighbouring texts of at most PIECE characters together, or one longer text."""
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    return itertools.starmap(slice, cuts(sizes, PIECE))
