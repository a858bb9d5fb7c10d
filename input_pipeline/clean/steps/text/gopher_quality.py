"""Gopher's quality rules: Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
2021, appendix A.1.1 "Quality filtering", https://arxiv.org/abs/2112.11446
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline.clean.record import Outcome, Record
from input_pipeline.clean.steps.text import checks
from input_pipeline.clean.steps.text.verdicts import Failure, Verdicts, filtered, ratio
from input_pipeline.clean.steps.text.words import Words, analyse

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_BULLETS = ("•", "-")  # Gopher does not list them; these are datatrove's
_ELLIPSES = ("...", "…")


@dataclass(frozen=True)
class GopherQuality:
    """Documents that look like prose stay.

    The paper does not say what a word is: here it stands between white space, and where words are counted and measured
    those of symbols alone are left out. So the rules fit languages that write spaces; the stop words are English.

    Attributes:
      min_words, max_words: of a document.
      min_mean_word_length, max_mean_word_length: in characters.
      max_symbol_ratio: number signs to words, and ellipses to words.
      max_bullet_lines: the share of lines that begin with a bullet.
      max_ellipsis_lines: the share of lines that end with an ellipsis.
      min_alphabetic_words: the share of words with a letter in them.
      min_stop_words: how many different ones of `stop_words`.
    """

    min_words: int = 50
    max_words: int = 100_000
    min_mean_word_length: float = 3
    max_mean_word_length: float = 10
    max_symbol_ratio: float = 0.1
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alphabetic_words: float = 0.8
    min_stop_words: int = 2
    stop_words: tuple[str, ...] = STOP_WORDS

    def __post_init__(self):
        checks.at_least(0, min_words=self.min_words, min_mean_word_length=self.min_mean_word_length)
        checks.at_least(self.min_words, max_words=self.max_words)
        checks.at_least(self.min_mean_word_length, max_mean_word_length=self.max_mean_word_length)
        checks.at_least(0, max_symbol_ratio=self.max_symbol_ratio, min_stop_words=self.min_stop_words)
        checks.share(max_bullet_lines=self.max_bullet_lines, max_ellipsis_lines=self.max_ellipsis_lines)
        checks.share(min_alphabetic_words=self.min_alphabetic_words)

    def __call__(self, records: Sequence[Record]) -> Outcome:
        return filtered(records, self._judge(analyse([record.text for record in records])), "gopher_quality")

    def _judge(self, words: Words) -> list[Failure | None]:
        verdicts, vocabulary = Verdicts(len(words.texts)), words.vocabulary
        spoken_N = words.totals(vocabulary.is_spoken_V)
        verdicts.at_least("min_words", spoken_N, self.min_words)
        verdicts.at_most("max_words", spoken_N, self.max_words)
        mean_N = ratio(words.totals(vocabulary.lengths_V * vocabulary.is_spoken_V), spoken_N)
        verdicts.at_least("min_mean_word_length", mean_N, self.min_mean_word_length)
        verdicts.at_most("max_mean_word_length", mean_N, self.max_mean_word_length)
        hashes_N, ellipses_N, bullets_N = (counts(words.texts, marks) for marks in (("#",), _ELLIPSES, _BULLETS))
        verdicts.at_most("hash_ratio", ratio(hashes_N, words.counts_N), self.max_symbol_ratio)
        verdicts.at_most("ellipsis_ratio", ratio(ellipses_N, words.counts_N), self.max_symbol_ratio)
        bullet_lines_N = _share_of_lines(words.texts, _begins_with_bullet, bullets_N, self.max_bullet_lines)
        verdicts.at_most("bullet_lines", bullet_lines_N, self.max_bullet_lines)
        ellipsis_lines_N = _share_of_lines(words.texts, _ends_with_ellipsis, ellipses_N, self.max_ellipsis_lines)
        verdicts.at_most("ellipsis_lines", ellipsis_lines_N, self.max_ellipsis_lines)
        alphabetic_N = ratio(words.totals(vocabulary.has_letter_V), words.counts_N)
        verdicts.at_least("alphabetic_words", alphabetic_N, self.min_alphabetic_words)
        verdicts.at_least("stop_words", words.distinct(self.stop_words), self.min_stop_words)
        return verdicts.failures


def counts(texts: Sequence[str], marks: Sequence[str]) -> np.ndarray:
    """How often any of these marks stands in each text, int64 [N]."""
    return np.array([sum(map(text.count, marks)) for text in texts], np.int64)


def _share_of_lines(
    texts: Sequence[str], holds: Callable[[str], bool], possible_N: np.ndarray, most: float
) -> np.ndarray:
    """The share of each text's lines of which something holds, float64 [N].

    It holds of at most `possible_N` lines: where that says enough, the lines are not looked at, and what is given
    is a value from the share on that is not above `most`.
    """
    shares_N = ratio(possible_N, np.maximum(counts(texts, "\n"), 1))
    for place in np.flatnonzero(shares_N > most).tolist():
        lines = texts[place].splitlines()
        shares_N[place] = sum(map(holds, lines)) / len(lines)
    return shares_N


def _begins_with_bullet(line: str) -> bool:
    return line.lstrip().startswith(_BULLETS)


def _ends_with_ellipsis(line: str) -> bool:
    return line.rstrip().endswith(_ELLIPSES)
