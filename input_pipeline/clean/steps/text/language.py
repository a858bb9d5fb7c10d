"""In which language a document is written."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from input_pipeline.clean.record import Entry, Outcome, Record, split_outcome
from input_pipeline.clean.steps.text import checks, packages
from input_pipeline.clean.steps.text.verdicts import Failure, removed, rounded


@dataclass(frozen=True)
class Language:
    """Documents in one of the wanted languages stay, and have the fields `language` and `language_score`.

    Lui and Baldwin, "langid.py: An Off-the-shelf Language Identification Tool", ACL 2012, in the form of py3langid,
    https://github.com/adbar/py3langid. The score is the probability of the likeliest of its languages. FineWeb asks
    for English with 0.65 (Penedo et al. 2024, section 3.3), C4 for 0.99 (Raffel et al. 2020, section 2.2), both of
    other detectors.

    Attributes:
      codes: of ISO 639-1, "en" or ("en", "de"); of several, the likeliest counts.
      least: the score from which on a document stays.
      chars: how much of a document is looked at, from its middle.
    """

    codes: str | tuple[str, ...]
    least: float = 0.65
    chars: int = 2000

    def __post_init__(self):
        checks.share(least=self.least)
        checks.at_least(1, chars=self.chars)
        checks.one_of(sorted(set(_identifier().labels)), codes=self.wanted)

    @property
    def wanted(self) -> tuple[str, ...]:
        return (self.codes,) if isinstance(self.codes, str) else self.codes

    def __call__(self, records: Sequence[Record]) -> Outcome:
        return split_outcome(self._judge(record) for record in records)

    def _judge(self, record: Record) -> Record | Entry:
        start = max(0, len(record.text) - self.chars) // 2
        code, score = _identifier().classify(record.text[start : start + self.chars])
        if code not in self.wanted:
            return removed(record, "language", Failure("code", code, " or ".join(self.wanted)))
        if score < self.least:
            return removed(record, "language", Failure("score", rounded(score), self.least))
        return replace(record, fields={**record.fields, "language": code, "language_score": rounded(score)})


@functools.cache
def _identifier() -> Any:
    langid = packages.load("py3langid.langid")
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
