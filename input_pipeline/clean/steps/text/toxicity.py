"""Documents that use words of a list."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from input_pipeline.clean.record import Outcome, Record
from input_pipeline.clean.steps.text import checks
from input_pipeline.clean.steps.text.reading import read_text
from input_pipeline.clean.steps.text.verdicts import Failure, filtered, rounded

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Toxicity:
    """Documents stay whose share of listed words is small.

    C4 removes a page with any word of the "List of Dirty, Naughty, Obscene or Otherwise Bad Words"
    (https://github.com/LDNOOBW), whatever the case of its letters and where no letter, digit or underscore is next to
    it (Raffel et al. 2020, section 2.2; tensorflow_datasets/text/c4_utils.py). Such a list also hits harmless texts,
    and those of minorities most (Dodge et al. 2021, https://arxiv.org/abs/2104.08758, section 5.3).

    Attributes:
      files: lists, a word or phrase a line.
      most: listed words and phrases to all words.
      inside_words: also find them inside longer words, as C4 does in languages without spaces.
    """

    files: tuple[str, ...]
    most: float = 0.0
    inside_words: bool = False

    def __post_init__(self):
        checks.share(most=self.most)
        if not self.files:
            raise ValueError("files: expected lists of words, got none; write toxicity(('words.txt',))")
        _listed(self.files)

    def __call__(self, records: Sequence[Record]) -> Outcome:
        return filtered(records, [self._judge(record.text) for record in records], "toxicity")

    def _judge(self, text: str) -> Failure | None:
        share = count(text, _listed(self.files), inside_words=self.inside_words) / max(1, len(text.split()))
        return Failure("listed_words", rounded(share), self.most) if share > self.most else None


@dataclass(frozen=True)
class Listed:
    """Phrases in small letters.

    Attributes:
      heads: the first word of each phrase; of a phrase without any, "".
      within, alone: find any of them, inside words and outside.
    """

    heads: frozenset[str]
    within: re.Pattern[str]
    alone: re.Pattern[str]


def listed(phrases: Sequence[str]) -> Listed:
    """Phrases made ready for `count`; the longest of several at one place counts."""
    phrases = sorted({phrase.strip().lower() for phrase in phrases} - {""}, key=lambda phrase: (-len(phrase), phrase))
    heads = frozenset(match[0] if (match := _WORD.search(phrase)) else "" for phrase in phrases)
    pattern = "|".join(map(re.escape, phrases))
    return Listed(heads, re.compile(pattern), re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"))


def count(text: str, phrases: Listed, *, inside_words: bool = False) -> int:
    """How many of these phrases stand in a text."""
    lower = text.lower()
    if inside_words:
        return len(phrases.within.findall(lower))
    if "" not in phrases.heads and phrases.heads.isdisjoint(_WORD.findall(lower)):
        return 0
    return len(phrases.alone.findall(lower))


@functools.cache
def _listed(files: tuple[str, ...]) -> Listed:
    found = listed([line for file in files for line in read_text(file).splitlines()])
    if not found.heads:
        raise ValueError(f"files: expected a word or phrase a line, got none in {', '.join(files)}")
    return found
