"""C4's rules: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", JMLR
21 (2020), section 2.2, https://jmlr.org/papers/v21/20-074.html

Their order, and what the paper leaves open, follow the code that made C4: tensorflow_datasets/text/c4_utils.py,
`clean_page`. A page falls by a line that kept the rules before. C4's blocklist of words is `toxicity` with that list,
its language rule `language('en', 0.99)`; its duplicate spans of three sentences are found by deduplication.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from input_pipeline.clean.record import CHANGED, Entry, Outcome, Record, excerpt, split_outcome
from input_pipeline.clean.steps.text import checks
from input_pipeline.clean.steps.text.verdicts import Failure, removed

_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
# What ends a sentence within a line: the next begins with anything but a small letter.
_BOUNDARY = re.compile(r"[.!?…][\"'\u201d\u2019)\]]*\s+(?=[^\sa-z])")


@dataclass(frozen=True)
class C4:
    """Lines that are no sentences go, and pages of which little stays.

    The defaults are those of the published paper and of the code. The paper's first version (arXiv 1910.10683v1) and
    datatrove's C4QualityFilter have `min_words=3, min_sentences=5`; datatrove adds an apostrophe to `end_marks`.
    Sentences end at a full stop, exclamation or question mark before white space and no small letter; C4 asked NLTK.

    Attributes:
      min_words: of a line that stays.
      min_sentences: of a page that stays, in the lines that do.
      max_word_length: in characters; a line with a longer word goes.
      end_marks: a line that ends in none of these goes, as does one that ends in an ellipsis; "" lets all lines stay,
        as FineWeb does (Penedo et al. 2024, section 3.5).
    """

    min_words: int = 5
    min_sentences: int = 3
    max_word_length: int = 1000
    end_marks: str = '.?!"'

    def __post_init__(self):
        checks.at_least(0, min_words=self.min_words, min_sentences=self.min_sentences)
        checks.at_least(1, max_word_length=self.max_word_length)

    def __call__(self, records: Sequence[Record]) -> Outcome:
        return split_outcome(found for record in records for found in self._clean(record))

    def _clean(self, record: Record) -> list[Record | Entry]:
        lines = record.text.splitlines()
        kept = self._kept(lines)
        if isinstance(kept, Failure):
            return [removed(record, "c4", kept)]
        num_sentences = sum(map(num_sentences_of, kept))
        if num_sentences < self.min_sentences:
            return [removed(record, "c4", Failure("sentences", num_sentences, self.min_sentences))]
        text = "\n".join(kept).strip()
        if text == record.text:
            return [record]
        entry = Entry(record.id, "c4.lines", len(lines) - len(kept), action=CHANGED, excerpt=excerpt(record.text))
        return [replace(record, text=text), entry]

    def _kept(self, lines: Sequence[str]) -> list[str] | Failure:
        """The lines that stay, or why the page does not."""
        kept = []
        for line in map(self._trimmed, lines):
            if not line:
                continue
            lower = line.lower()
            if "lorem ipsum" in lower:
                return Failure("lorem_ipsum", 1, 0)
            if "javascript" in lower:
                continue
            if "{" in line:
                return Failure("curly_bracket", line.count("{"), 0)
            if not any(phrase in lower for phrase in _POLICY):
                kept.append(line)
        return kept

    def _trimmed(self, line: str) -> str:
        """A line without its citations; "" for one that is too short, does not end well, or has too long a word."""
        line = line.strip()
        trimmed = _CITATION.sub("", line) if "[" in line else line
        if self.end_marks and (not trimmed.endswith(tuple(self.end_marks)) or trimmed.endswith("...")):
            return ""
        if len(trimmed.split()) < self.min_words:
            return ""
        is_long = len(line) > self.max_word_length and max(map(len, line.split())) > self.max_word_length
        return "" if is_long else trimmed


def num_sentences_of(line: str) -> int:
    """Sentences of a line with something on it."""
    return 1 + len(_BOUNDARY.findall(line))
