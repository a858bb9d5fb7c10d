"""FineWeb's own rules: Penedo et al., "The FineWeb Datasets: Decanting the Web for the Finest Text Data at Scale",
2024, section 3.6 and appendix E.4, table 2, https://arxiv.org/abs/2406.17557
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline.clean.record import Outcome, Record
from input_pipeline.clean.steps.text import checks
from input_pipeline.clean.steps.text.lines import TERMINAL, duplicates
from input_pipeline.clean.steps.text.verdicts import Verdicts, filtered, ratio
from input_pipeline.clean.steps.text.words import analyse


@dataclass(frozen=True)
class FineWeb:
    """Documents that are no lists and repeat no lines stay. Lines are those with something on them.

    The defaults are those of table 2 and of datatrove's FineWebQualityFilter, which made the dataset. For the
    characters of duplicate lines section 3.6 says 0.1 where both of them say 0.01.

    Attributes:
      min_ended_lines: the share of lines that end in a punctuation mark which ends a sentence, in any script.
      max_short_lines: the share of lines of at most `short_line` characters.
      max_duplicate_chars: the share of characters, line feeds left out, in lines that stood before.
      max_new_lines: line feeds to words.
      short_line: in characters.
    """

    min_ended_lines: float = 0.12
    max_short_lines: float = 0.67
    max_duplicate_chars: float = 0.01
    max_new_lines: float = 0.3
    short_line: int = 30

    def __post_init__(self):
        checks.share(min_ended_lines=self.min_ended_lines, max_short_lines=self.max_short_lines)
        checks.share(max_duplicate_chars=self.max_duplicate_chars)
        checks.at_least(0, max_new_lines=self.max_new_lines, short_line=self.short_line)

    def __call__(self, records: Sequence[Record]) -> Outcome:
        words = analyse([record.text for record in records])
        found = [self._measure(text) for text in words.texts]
        lines_N, ended_N, short_N, repeated_N, feeds_N = np.array(found, np.int64).reshape(-1, 5).T
        verdicts = Verdicts(len(records))
        verdicts.at_least("ended_lines", ratio(ended_N, lines_N), self.min_ended_lines)
        verdicts.at_most("short_lines", ratio(short_N, lines_N), self.max_short_lines)
        verdicts.at_most("duplicate_chars", ratio(repeated_N, words.sizes_N - feeds_N), self.max_duplicate_chars)
        verdicts.at_most("new_lines", ratio(feeds_N, words.counts_N), self.max_new_lines)
        return filtered(records, verdicts.failures, "fineweb")

    def _measure(self, text: str) -> tuple[int, int, int, int, int]:
        """Lines, those that are ended, those that are short, characters of repeated ones, line feeds."""
        lines = [line for line in text.split("\n") if line and not line.isspace()]
        ended = sum([line[-1] in TERMINAL for line in lines])
        short = sum([len(line) <= self.short_line for line in lines])
        return len(lines), ended, short, duplicates(lines)[1], text.count("\n")
