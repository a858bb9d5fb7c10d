"""Spans of text that stand in the collection before: found by their hashes, and cut out.

K. Lee and others, "Deduplicating training data makes language models better", 2022, sections 4.1 and 4.2: a span of at
least 50 tokens that occurs more than once is left in one place alone. Theirs is a suffix array over all text; here
every run of `size` words is hashed, so that equal spans meet in one partition of a keyed exchange:

    emit    a block's texts -> (hash, place) of every span of `size` words
    repeats all spans of some hashes -> the places of those that stood before
    cut     a block's records, and the places in it -> records without these spans

A span is what stands in the text from the first letter of its first word to the last letter of its last one: two spans
are equal if they are so character by character, capitals, spaces and punctuation included. Words are those of
`words.py`; cuts lie at words' edges, so no character is torn. A place is the number of a span's first word among all
words of the collection. What a longer run repeats is cut whole, since each span of `size` words in it is.

A span that overlaps its own first occurrence stays: of "ha ha ha ..." the first `size` words are left. Each word that
is cut stands before in the same span; should that be cut too, then for one that stands before it, down to a word that
stays. Nothing of what is left is changed.

The exchange takes 16 bytes for each word of the collection, `repeats` about 60 for each of its partition, and the
other two what `words.read` says, and 100 bytes for each character of one long text whose characters are words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt64

from input_pipeline import hashing
from input_pipeline.clean.record import CHANGED, REMOVED, Entry, Outcome, Record, excerpt, split_outcome
from input_pipeline.clean.similar import words
from input_pipeline.clean.similar.words import Words

SIZE = 50  # words
RULE = "substrings.repeat"


class Spans(NamedTuple):
    """The spans of some texts, M of them, and how many words the texts have."""

    keys_M: UInt64[np.ndarray, "M"]
    places_M: Int64[np.ndarray, "M"]  # of the first words, counted from 0 through the texts
    num_words: int


def emit(texts: Sequence[str], *, size: int = SIZE) -> Spans:
    """Every span of `size` words that lies within one text, for the exchange by key."""
    keys, places, num_words = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], 0
    for piece in words.pieces(texts):
        found = words.read(texts[piece])
        local = np.flatnonzero(words.is_within(found.offsets, size))
        keys.append(_keys(texts[piece], found, size)[local])
        places.append(local + num_words)
        num_words += len(found.hashes_W)
    return Spans(np.concatenate(keys), np.concatenate(places), num_words)


def repeats(
    keys_M: UInt64[np.ndarray, "M"], places_M: Int64[np.ndarray, "M"], *, size: int = SIZE
) -> Int64[np.ndarray, "P"]:
    """The places, rising, of spans that stand before: `size` words or more behind the first of their key.

    All spans of each key have to be here; in any order.
    """
    order = np.lexsort((places_M, keys_M))
    keys, places = keys_M[order], places_M[order]
    is_first = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    firsts = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    return np.sort(places[places >= places[firsts] + size])


def cut(records: Sequence[Record], places_P: Int64[np.ndarray, "P"], *, size: int = SIZE) -> Outcome:
    """The records without the spans at these places, which rise and are counted through the records' texts.

    A record of which no word is left is removed. An entry's value is the number of words that were cut.
    """
    return split_outcome(_cut_all(records, places_P, size))


def _cut_all(records: Sequence[Record], places_P: np.ndarray, size: int) -> Iterator[Record | Entry]:
    first = 0
    for piece in words.pieces([record.text for record in records]):
        found = words.read([record.text for record in records[piece]])
        bounds = np.searchsorted(places_P, found.offsets + first)
        for number, record in enumerate(records[piece]):
            places = places_P[bounds[number] : bounds[number + 1]] - first
            yield from _cut(record, found, number, _runs(places, size), size) if len(places) else (record,)
        first += len(found.hashes_W)


def _cut(record: Record, found: Words, number: int, runs_R2: np.ndarray, size: int) -> Iterator[Record | Entry]:
    """What is left of text `number` without these runs of words, and what the ledger says."""
    starts = (found.starts_W[runs_R2[:, 0]] - found.text_starts[number]).tolist()
    ends = (found.ends_W[runs_R2[:, 1] - 1] - found.text_starts[number]).tolist()
    num_cut = int((runs_R2[:, 1] - runs_R2[:, 0]).sum())
    is_left = num_cut < found.offsets[number + 1] - found.offsets[number]
    shown = excerpt(record.text[starts[0] : ends[0]])
    yield Entry(record.id, RULE, num_cut, size, CHANGED if is_left else REMOVED, shown)
    if is_left:
        kept = zip([0, *ends], [*starts, None], strict=True)
        yield replace(record, text="".join(record.text[start:end] for start, end in kept))


def _keys(texts: Sequence[str], found: Words, size: int) -> UInt64[np.ndarray, "V"]:
    """A hash for each `size` neighbouring words and what stands between them."""
    count = max(0, len(found.hashes_W) - size + 1)
    gaps = words.spans(words.codes(texts)[0], found.ends_W[:-1], found.starts_W[1:])
    joints = hashing.mix(found.hashes_W[:-1] * hashing.FIRST + gaps)
    starts = np.arange(count)
    return hashing.mix(words.spans(joints, starts, starts + size - 1) * hashing.SECOND + found.hashes_W[size - 1 :])


def _runs(places_P: np.ndarray, size: int) -> np.ndarray:
    """Spans at rising places -> runs of words (first, end) [R, 2]: spans that share a word are one."""
    is_first = np.diff(places_P, prepend=-size) >= size
    is_last = np.append(is_first[1:], True)
    return np.stack([places_P[is_first], places_P[is_last] + size], axis=1)
