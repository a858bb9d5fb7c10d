"""Documents that hold parts of evaluation sets: who has read the questions proves nothing by answering them."""

import functools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt64

from input_pipeline import hashing
from input_pipeline.clean.record import Outcome, Record
from input_pipeline.clean.steps.text import checks
from input_pipeline.clean.steps.text.reading import read_text
from input_pipeline.clean.steps.text.verdicts import Verdicts, filtered

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Decontaminate:
    """Documents that share n-grams of words with evaluation sets go.

    Brown et al., "Language Models are Few-Shot Learners", 2020, appendix C, https://arxiv.org/abs/2005.14165: 13-grams
    of words in small letters, without punctuation. There, what surrounds an overlap was cut out of long documents;
    here the whole document goes, as in datatrove's NGramsDecontFilter. Items shorter than an n-gram are not sought.

    Attributes:
      files: evaluation sets. Of *.jsonl, every string in a line is an item by itself; another file is one item.
      ngram: words.
      most: how many n-grams a document may share.
    """

    files: tuple[str, ...]
    ngram: int = 13
    most: int = 0

    def __post_init__(self):
        checks.at_least(1, ngram=self.ngram)
        checks.at_least(0, most=self.most)
        if not self.files:
            raise ValueError("files: expected evaluation sets, got none; write decontaminate(('test.jsonl',))")
        _index(self.files, self.ngram)

    def __call__(self, records: Sequence[Record]) -> Outcome:
        known, verdicts = _index(self.files, self.ngram), Verdicts(len(records))
        shared_N = np.array([known.num_shared(record.text) for record in records], np.int64)
        verdicts.at_most("shared_ngrams", shared_N, self.most)
        return filtered(records, verdicts.failures, "decontaminate")


class Known(NamedTuple):
    """The n-grams of evaluation sets.

    Attributes:
      ngram: words of each.
      ids: a number for each word that occurs in them.
      hashes_G: of the n-grams, ascending.
    """

    ngram: int
    ids: dict[str, int]
    hashes_G: UInt64[np.ndarray, "G"]

    def num_shared(self, text: str) -> int:
        """How many n-grams of a text are among them, each place counted."""
        get = self.ids.get
        ids_W = np.array([get(word, -1) for word in words_of(text)], np.int64)
        hashes = hashes_of(ids_W, self.ngram)
        places = np.searchsorted(self.hashes_G, hashes)
        return int(np.count_nonzero(self.hashes_G[np.minimum(places, len(self.hashes_G) - 1)] == hashes))


def words_of(text: str) -> list[str]:
    """In small letters, without punctuation."""
    return _WORD.findall(text.lower())


def hashes_of(ids_W: Int64[np.ndarray, "W"], ngram: int) -> UInt64[np.ndarray, "G"]:
    """A hash of each n-gram without a word of number -1."""
    unknown_W1 = np.concatenate([[0], np.cumsum(ids_W < 0)])
    starts = np.flatnonzero(unknown_W1[ngram:] == unknown_W1[:-ngram])
    hashes = np.zeros(len(starts), np.uint64)
    for place in range(ngram):
        hashes = hashing.mix(hashes ^ hashing.fold(hashing.key("word"), ids_W[starts + place]))
    return hashes


def index(texts: Sequence[str], ngram: int) -> Known:
    """The n-grams of these texts."""
    ids: dict[str, int] = {}
    found = [
        np.array([ids.setdefault(word, len(ids)) for word in words], np.int64)
        for words in map(words_of, texts)
        if len(words) >= ngram
    ]
    hashes = [hashes_of(ids_W, ngram) for ids_W in found]
    return Known(ngram, ids, np.unique(np.concatenate([np.empty(0, np.uint64), *hashes])))


@functools.cache
def _index(files: tuple[str, ...], ngram: int) -> Known:
    known = index([text for file in files for text in _items(file)], ngram)
    if not len(known.hashes_G):
        raise ValueError(
            f"files: expected an item of {ngram} words or more, got none; write decontaminate(.., ngram=8)"
        )
    return known


def _items(file: str) -> Iterator[str]:
    text = read_text(file)
    if not file.endswith((".jsonl", ".ndjson")):
        yield text
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield from _strings(json.loads(line))
            except ValueError as error:
                raise ValueError(f"files: expected JSON in each line, got {file}, line {number}: {error}") from None


def _strings(value: Any) -> Iterator[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
