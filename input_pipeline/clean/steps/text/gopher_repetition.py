"""Gopher's repetition rules: Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
2021, appendix A.1.1 "Repetition removal" and table A1, https://arxiv.org/abs/2112.11446

What the paper leaves open is settled as in datatrove's GopherRepetitionFilter, which made FineWeb: a duplicate is each
copy after the first; the characters of a text are all its characters; an n-gram's include a space between words where
the most frequent one is sought, and none where duplicates are.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from input_pipeline.clean.record import Outcome, Record
from input_pipeline.clean.steps.text import checks
from input_pipeline.clean.steps.text.grams import Repeated, repeated
from input_pipeline.clean.steps.text.lines import duplicates
from input_pipeline.clean.steps.text.verdicts import Verdicts, filtered, ratio
from input_pipeline.clean.steps.text.words import Words, analyse

_PARAGRAPHS = re.compile(r"\n{2,}")
Split = Callable[[str], list[str]]


@dataclass(frozen=True)
class GopherRepetition:
    """Documents that do not repeat themselves stay. All values are the most that may be.

    Attributes:
      lines, paragraphs: the share of those that stood before.
      line_chars, paragraph_chars: the share of the text's characters in those.
      top_2_gram, top_3_gram, top_4_gram: the share of characters in all copies of the most frequent n-gram of words.
      dup_5_grams to dup_10_grams: the share of characters in n-grams that stood before, none counted twice.
    """

    lines: float = 0.30
    paragraphs: float = 0.30
    line_chars: float = 0.20
    paragraph_chars: float = 0.20
    top_2_gram: float = 0.20
    top_3_gram: float = 0.18
    top_4_gram: float = 0.16
    dup_5_grams: float = 0.15
    dup_6_grams: float = 0.14
    dup_7_grams: float = 0.13
    dup_8_grams: float = 0.12
    dup_9_grams: float = 0.11
    dup_10_grams: float = 0.10

    def __post_init__(self):
        checks.share(**vars(self))

    def __call__(self, records: Sequence[Record]) -> Outcome:
        words = analyse([record.text for record in records])
        verdicts = Verdicts(len(records))
        self._judge_parts(verdicts, words, paragraphs_of, "paragraphs", "paragraph_chars")
        self._judge_parts(verdicts, words, lines_of, "lines", "line_chars")
        self._judge_grams(verdicts, words)
        return filtered(records, verdicts.failures, "gopher_repetition")

    def _judge_parts(self, verdicts: Verdicts, words: Words, split: Split, count: str, chars: str) -> None:
        found_N3 = np.array([duplicates(split(text)) for text in words.texts], np.int64).reshape(-1, 3)
        verdicts.at_most(count, ratio(found_N3[:, 0], found_N3[:, 2]), getattr(self, count))
        verdicts.at_most(chars, ratio(found_N3[:, 1], words.sizes_N), getattr(self, chars))

    def _judge_grams(self, verdicts: Verdicts, words: Words) -> None:
        lengths = repeated(words)
        for found in islice(lengths, 3):
            most = getattr(self, name := f"top_{found.n}_gram")
            verdicts.at_most(name, ratio(most_frequent_chars(words, found), words.sizes_N), most)
        for found in islice(lengths, 6):
            most = getattr(self, name := f"dup_{found.n}_grams")
            shares_N = ratio(covered_chars(words, found), words.sizes_N)
            for row in np.flatnonzero(verdicts.stays_N & (shares_N > most)).tolist():
                shares_N[row] = duplicate_chars(words, found, row) / words.sizes_N[row]
            verdicts.at_most(name, shares_N, most)


def paragraphs_of(text: str) -> list[str]:
    """What stands between empty lines."""
    return _PARAGRAPHS.split(text.strip()) if "\n\n" in text else [text]


def lines_of(text: str) -> list[str]:
    """Those with anything on them."""
    return [line for line in text.split("\n") if line]


def most_frequent_chars(words: Words, found: Repeated) -> np.ndarray:
    """Characters in all copies of the most frequent n-gram of each text, the earliest of several, int64 [N]."""
    n, ends_W1 = found.n, words.ends_W1
    starts_N, copies_N = words.offsets_N1[:-1].copy(), (words.counts_N >= n).astype(np.int64)
    starts, copies = found.starts_G[found.is_first_G], found.copies_G[found.is_first_G]
    texts = words.text_W[starts]
    order = np.lexsort((-copies, texts))  # stable: of equals, the earliest stays in front
    rows, front = np.unique(texts[order], return_index=True)
    starts_N[rows], copies_N[rows] = starts[order][front], copies[order][front]
    ends_N = np.minimum(starts_N + n, len(words.ids_W))
    return copies_N * (ends_W1[ends_N] - ends_W1[starts_N] + n - 1)


def covered_chars(words: Words, found: Repeated) -> np.ndarray:
    """Characters of the words that later copies of n-grams cover, int64 [N]: no less than `duplicate_chars`."""
    starts = found.starts_G[~found.is_first_G]
    ends = np.minimum(starts + found.n, np.append(starts[1:], len(words.ids_W)))
    chars = words.ends_W1[ends] - words.ends_W1[starts]
    return np.bincount(words.text_W[starts], chars, minlength=len(words.texts)).astype(np.int64)


def duplicate_chars(words: Words, found: Repeated, row: int) -> int:
    """Characters in n-grams of a text that stood before, without overlap, from left to right.

    Reading goes on behind a duplicate, so that n-grams which begin inside it are neither counted nor remembered.
    """
    first, last = np.searchsorted(found.starts_G, words.offsets_N1[row : row + 2])
    seen, chars, read_on = set(), 0, 0
    for start, gram in zip(found.starts_G[first:last].tolist(), found.grams_G[first:last].tolist(), strict=True):
        if start >= read_on and gram in seen:
            read_on = start + found.n
            chars += int(words.ends_W1[read_on] - words.ends_W1[start])
        elif start >= read_on:
            seen.add(gram)
    return chars
