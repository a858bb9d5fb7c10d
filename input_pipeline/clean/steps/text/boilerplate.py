"""Lines that a site puts on all of its pages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from input_pipeline.clean.record import CHANGED, Entry, Outcome, Record, excerpt, split_outcome
from input_pipeline.clean.steps.text import checks
from input_pipeline.clean.steps.text.verdicts import Failure, removed, rounded

_ANYWHERE = (
    *("enable javascript", "javascript is disabled", "requires javascript", "javascript enabled"),
    *("use cookies", "uses cookies", "use of cookies", "accept cookies", "cookie policy", "cookie settings"),
    *("all rights reserved", "privacy policy", "terms of use", "terms of service", "terms and conditions"),
    *("items in cart", "add to cart", "subscribe to our newsletter", "follow us on", "share this"),
)
_AT_START = (
    "sign in",
    "sign up",
    "log in",
    "login",
    "skip to",
    "back to top",
    "copyright ©",
    "©",
    "posted by",
    "tags:",
)
_AT_END = ("read more", "read more...", "read more…", "continue reading", "[...]", "[…]", "learn more", "see all")
_COUNTER = re.compile(
    r"\W*[\d.,]+[km]?\s+(?:likes?|shares?|comments?|views?|votes?|replies|retweets?|followers?|points?)\W*"
).fullmatch


@dataclass(frozen=True)
class Boilerplate:
    """Short lines that hold a notice or a button's name go: of cookies and scripts, legal notes, "Sign in", "3 likes".

    The rules for single lines of Penedo et al., "The RefinedWeb Dataset for Falcon LLM", 2023, appendix G.2,
    https://arxiv.org/abs/2306.01116: patterns at the start, at the end and anywhere in a line, and counters. The paper
    names few of its patterns; these are ours, in English. Its rules against lines of one word, of digits or of
    capitals are left out, since they take lists and tables apart.

    Attributes:
      max_words: of a line that may go.
      most: the share of words in such lines up to which a document stays; RefinedWeb has 0.05.
    """

    max_words: int = 10
    most: float = 1.0

    def __post_init__(self):
        checks.at_least(1, max_words=self.max_words)
        checks.share(most=self.most)

    def __call__(self, records: Sequence[Record]) -> Outcome:
        return split_outcome(found for record in records for found in self._clean(record))

    def _clean(self, record: Record) -> list[Record | Entry]:
        lines = record.text.split("\n")
        kept = [line for line in lines if not self._is_boilerplate(line)]
        if len(kept) == len(lines):
            return [record]
        text = "\n".join(kept)
        share = 1 - len(text.split()) / len(record.text.split())
        if share > self.most:
            return [removed(record, "boilerplate", Failure("words", rounded(share), self.most))]
        gone = excerpt("\n".join(line for line in lines if self._is_boilerplate(line)))
        entry = Entry(record.id, "boilerplate.lines", len(lines) - len(kept), action=CHANGED, excerpt=gone)
        return [replace(record, text=text), entry]

    def _is_boilerplate(self, line: str) -> bool:
        lower = line.strip().lower()
        is_named = lower.startswith(_AT_START) or lower.endswith(_AT_END) or (len(lower) <= 60 and _COUNTER(lower))
        return bool(is_named or any(phrase in lower for phrase in _ANYWHERE)) and len(line.split()) <= self.max_words
