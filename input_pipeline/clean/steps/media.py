"""Operations on pictures and clips: a payload is decoded once for all neighbours in a line, and encoded once."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol

from input_pipeline.clean.record import REMOVED, Entry, Outcome, Record, Step, split_outcome
from input_pipeline.documents import BadRecord

_DIGITS = 6  # of numbers in the ledger


class Finding(NamedTuple):
    """What an operation has to say of a record: an `Entry` but for the record's own part."""

    rule: str
    value: str | float = ""
    threshold: str | float = ""
    action: str = REMOVED


class Held(Protocol):
    """A payload, decoded when it is first looked into; operations may change what it holds.

    Whatever looks into bytes that cannot be decoded gets a BadRecord, which `Line` turns into an entry.
    """

    def __str__(self) -> str:
        """What it was when it was first looked into, in a few words: "PNG, 640 x 480, RGBA"; "" before."""

    def payload(self) -> bytes:
        """The bytes as they came, unless something has changed: then what is held now, without loss."""


class Operation:
    """An operation of a line that works on what a payload holds. By itself it is a Step."""

    hold: ClassVar[type[Any]]  # what makes a Held of a payload

    def on(self, held: Any) -> Finding | None:
        """Looks at what is held, or changes it.

        Raises:
          BadRecord: it cannot be decoded.
        """
        raise NotImplementedError

    def __call__(self, records: Sequence[Record]) -> Outcome:
        """As a line of its own."""
        return Line((self,))(records)


@dataclass(frozen=True)
class Line:
    """Neighbouring operations of one kind as one Step, which gives the same records as one after the other would.

    One payload is held at a time. What cannot be decoded falls to a rule of `decodable`, whether or not it is named.
    """

    operations: tuple[Operation, ...]

    def __call__(self, records: Sequence[Record]) -> Outcome:
        """The records whose payloads pass all operations, and an entry for each that is removed or changed."""
        return split_outcome(each for record in records for each in self._found(record))

    def _found(self, record: Record) -> Iterator[Record | Entry]:
        held = self.operations[0].hold(record.payload)
        try:
            for operation in self.operations:
                if finding := operation.on(held):
                    yield _entry(record.id, finding, str(held))
                    if finding.action == REMOVED:
                        return
            payload = held.payload()
        except BadRecord as bad:
            yield _entry(record.id, Finding(f"decodable.{bad.rule}", str(bad)), str(held))
        else:
            yield record if payload is record.payload else replace(record, payload=payload)


def joined(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The same steps, where neighbouring operations of one kind have become a `Line`."""
    groups = itertools.groupby(steps, key=lambda step: getattr(step, "hold", None))
    return tuple(step for hold, group in groups for step in ([Line(tuple(group))] if hold else group))  # type: ignore[arg-type]


def _entry(id: str, finding: Finding, description: str) -> Entry:
    value, threshold = (round(x, _DIGITS) if isinstance(x, float) else x for x in (finding.value, finding.threshold))
    return Entry(id, finding.rule, value, threshold, finding.action, description)
