"""The words of a batch of texts, found once for all operations of a line.

A word is what stands between white space, as `str.split` finds it. Every text becomes an array of word numbers, so that
what a rule asks of a word is asked once for each distinct word of the batch, and counting is a pass of numpy.
"""

import itertools
from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int32, Int64


@dataclass(frozen=True)
class Vocabulary:
    """The V distinct words of a batch, in the order in which they were met."""

    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def lengths_V(self) -> Int32[np.ndarray, "V"]:
        """In characters."""
        return self.measured(len)

    @cached_property
    def has_letter_V(self) -> Int32[np.ndarray, "V"]:
        """1 for a word with a letter of any script."""
        return self.measured(lambda word: word.isalpha() or any(map(str.isalpha, word)))

    @cached_property
    def is_spoken_V(self) -> Int32[np.ndarray, "V"]:
        """1 for a word with a letter or digit of any script, 0 for one of symbols alone."""
        return self.measured(lambda word: word.isalnum() or any(map(str.isalnum, word)))

    def measured(self, measure: Callable[[str], int]) -> Int32[np.ndarray, "V"]:
        return np.fromiter(map(measure, self.words), np.int32, len(self.words))


@dataclass(frozen=True)
class Words:
    """The W words of N texts, one text after the other.

    Attributes:
      texts: the N texts.
      vocabulary: the distinct words of these texts, and perhaps of others.
      ids_W: a number in the vocabulary for each word.
      offsets_N1: text n has the words from offsets_N1[n] to offsets_N1[n + 1].
    """

    texts: tuple[str, ...]
    vocabulary: Vocabulary
    ids_W: Int32[np.ndarray, "W"]
    offsets_N1: Int64[np.ndarray, "N+1"]

    @cached_property
    def counts_N(self) -> Int64[np.ndarray, "N"]:
        """Words of each text."""
        return np.diff(self.offsets_N1)

    @cached_property
    def sizes_N(self) -> Int64[np.ndarray, "N"]:
        """Characters of each text."""
        return np.fromiter(map(len, self.texts), np.int64, len(self.texts))

    @cached_property
    def text_W(self) -> Int64[np.ndarray, "W"]:
        """Of which text each word is."""
        return np.repeat(np.arange(len(self.texts)), self.counts_N)

    @cached_property
    def ends_W1(self) -> Int64[np.ndarray, "W+1"]:
        """Characters of all words before each, white space left out."""
        return _running(self.vocabulary.lengths_V[self.ids_W])

    def totals(self, values_V: np.ndarray) -> Int64[np.ndarray, "N"]:
        """The sum of a value of words over each text."""
        sums_W1 = _running(values_V[self.ids_W])
        return sums_W1[self.offsets_N1[1:]] - sums_W1[self.offsets_N1[:-1]]

    def distinct(self, chosen: Sequence[str]) -> Int64[np.ndarray, "N"]:
        """How many different words of `chosen` stand in each text."""
        numbers = {word: number for number, word in enumerate(dict.fromkeys(chosen))}
        number_W = self.vocabulary.measured(lambda word: numbers.get(word, -1))[self.ids_W]
        places = np.flatnonzero(number_W >= 0)
        pairs = self.text_W[places] * len(numbers) + number_W[places]
        seen = np.bincount(pairs, minlength=len(self.texts) * len(numbers)) > 0
        return seen.reshape(len(self.texts), len(numbers)).sum(axis=1)

    def take(self, rows: Sequence[int]) -> "Words":
        """The words of some of the texts."""
        if list(rows) == list(range(len(self.texts))):
            return self
        parts = [self.ids_W[self.offsets_N1[row] : self.offsets_N1[row + 1]] for row in rows]
        ids_W = np.concatenate([self.ids_W[:0], *parts])
        texts = tuple(self.texts[row] for row in rows)
        return Words(texts, self.vocabulary, ids_W, _running(np.array([len(part) for part in parts], np.int64)))


def analyse(texts: Sequence[str]) -> Words:
    """The words of these texts.

    Operations that follow one another see the same strings, or some of them: what was found last is used again for
    strings that are the very same objects. That saves time and changes no result.
    """
    global _last
    rows = {id(text): row for row, text in enumerate(_last.texts)}
    wanted = [rows.get(id(text), -1) for text in texts]
    if -1 in wanted:
        _last = _analyse(texts)
        return _last
    return _last.take(wanted)


def _analyse(texts: Sequence[str]) -> Words:
    numbers: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    ids, counts = array("i"), []
    for text in texts:
        words = text.split()
        counts.append(len(words))
        ids.extend(map(numbers.__getitem__, words))
    return Words(
        tuple(texts), Vocabulary(tuple(numbers)), np.array(ids, np.int32), _running(np.array(counts, np.int64))
    )


def _running(values: np.ndarray) -> np.ndarray:
    """0, then the sum of the first value, of the first two, ..., int64."""
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


_last = _analyse(())
