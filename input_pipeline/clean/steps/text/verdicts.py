"""What the rules of an operation found in a batch, and what becomes of its records."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from input_pipeline.clean.record import CHANGED, Entry, Outcome, Record, excerpt, split_outcome


class Failure(NamedTuple):
    """The first rule that a record does not keep."""

    rule: str
    value: float | str
    threshold: float | str


class Verdicts:
    """The first failure of each of some records; rules are tried in turn."""

    def __init__(self, num_records: int):
        self.failures: list[Failure | None] = [None] * num_records
        self.stays_N = np.ones(num_records, bool)

    def at_most(self, rule: str, values_N: np.ndarray, most: float) -> None:
        """Records with a value above `most` fail."""
        self._fail(rule, values_N, values_N > most, most)

    def at_least(self, rule: str, values_N: np.ndarray, least: float) -> None:
        """Records with a value below `least` fail."""
        self._fail(rule, values_N, values_N < least, least)

    def _fail(self, rule: str, values_N: np.ndarray, fails_N: np.ndarray, threshold: float) -> None:
        for place in np.flatnonzero(fails_N & self.stays_N):
            self.failures[place] = Failure(rule, rounded(values_N[place]), threshold)
        self.stays_N &= ~fails_N


def ratio(parts_N: np.ndarray, wholes_N: np.ndarray) -> np.ndarray:
    """Parts of wholes, float64 [N]; 0 of nothing."""
    return np.divide(parts_N, wholes_N, out=np.zeros(len(parts_N)), where=wholes_N > 0)


def rounded(value: Any) -> float:
    """As it stands in the ledger; counts stay whole numbers."""
    return int(value) if int(value) == value else round(float(value), 6)


def filtered(records: Sequence[Record], failures: Sequence[Failure | None], operation: str) -> Outcome:
    """Records without a failure, and an entry for each of the others."""
    pairs = zip(records, failures, strict=True)
    return split_outcome(removed(record, operation, failure) if failure else record for record, failure in pairs)


def removed(record: Record, operation: str, failure: Failure) -> Entry:
    """The entry of a record that `operation` removes."""
    rule = f"{operation}.{failure.rule}"
    return Entry(record.id, rule, failure.value, failure.threshold, excerpt=excerpt(record.text))


def rewritten(
    records: Sequence[Record], rewrite: Callable[[str], tuple[str, float | str]], rule: str, *, shown: str = "before"
) -> Outcome:
    """Records with the text that `rewrite` makes of theirs, and an entry for each that it changes.

    Args:
      rewrite: a text -> the new one, and what was measured.
      shown: whether entries show the text "before" or "after".
    """
    kept, entries = [], []
    for record in records:
        text, value = rewrite(record.text)
        if text != record.text:
            seen = excerpt(record.text if shown == "before" else text)
            entries.append(Entry(record.id, rule, value, action=CHANGED, excerpt=seen))
            record = replace(record, text=text)
        kept.append(record)
    return Outcome(kept, entries)
