"""A model-based score beside the rules: see input_pipeline/clean/quality.py and scripts/fit_quality.py."""

from collections.abc import Sequence
from dataclasses import dataclass

from input_pipeline.clean import quality
from input_pipeline.clean.record import Outcome, Record
from input_pipeline.clean.steps.text import checks
from input_pipeline.clean.steps.text.verdicts import Verdicts, filtered


@dataclass(frozen=True)
class Quality:
    """Documents that look more like reference texts than like raw ones stay.

    Attributes:
      file: a classifier, as scripts/fit_quality.py writes it.
      least: the score that a document needs: the probability that it is of the reference, were both kinds equally
        frequent. The script prints which share of raw texts each threshold keeps; DCLM keeps a tenth.
    """

    file: str
    least: float = 0.5

    def __post_init__(self) -> None:
        checks.share(least=self.least)
        quality.load(self.file)

    @property
    def files(self) -> tuple[str, ...]:
        """What the step reads."""
        return (self.file,)

    def __call__(self, records: Sequence[Record]) -> Outcome:
        verdicts = Verdicts(len(records))
        verdicts.at_least("score", quality.load(self.file).scores([record.text for record in records]), self.least)
        return filtered(records, verdicts.failures, "quality")
