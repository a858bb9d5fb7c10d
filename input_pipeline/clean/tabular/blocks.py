"""Rows as columns: what fitted operations read and give."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64

from input_pipeline.clean.record import Entry, Outcome, Record
from input_pipeline.clean.steps import cells
from input_pipeline.clean.steps.table import Names, lost, names_of

Texts: TypeAlias = Mapping[str, np.ndarray]  # of str and None [N], dtype object
_NUMBERS = frozenset((int, float, bool, type(None)))


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows: a matrix of numbers, columns of text, and the records with all that no operation touches."""

    records: Sequence[Record]
    names: tuple[str, ...]  # of the numbers
    numbers_NF: Float64[np.ndarray, "N F"]  # NaN where a cell is missing
    texts: Texts = field(default_factory=dict)
    flags: frozenset[str] = frozenset()  # columns of numbers that say yes or no: never scaled or clipped unless named
    untouched: tuple[str, ...] = ()  # columns that stay in the records as they are

    def take(self, rows_N: Bool[np.ndarray, "N"]) -> "Block":
        """The rows that are chosen."""
        records = [record for record, chosen in zip(self.records, rows_N.tolist(), strict=True) if chosen]
        texts = {name: column[rows_N] for name, column in self.texts.items()}
        return replace(self, records=records, numbers_NF=self.numbers_NF[rows_N], texts=texts)

    def with_columns(self, names: Sequence[str], numbers_NF: np.ndarray, *, are_flags: bool = False) -> "Block":
        """With more columns of numbers.

        Raises:
          ValueError: a column of that name is there.
        """
        taken = {*self.names, *self.texts, *self.untouched}
        for name in names:
            if name in taken:
                raise ValueError(f"expected a new column, but {name!r} is there already; write rename({name!r}, ..)")
            taken.add(name)
        return replace(
            self,
            names=(*self.names, *names),
            numbers_NF=np.concatenate([self.numbers_NF, numbers_NF], axis=1),
            flags=self.flags | frozenset(names if are_flags else ()),
        )

    def without(self, gone: Iterable[str]) -> "Block":
        """Without these columns."""
        gone = frozenset(gone)
        stay = [i for i, name in enumerate(self.names) if name not in gone]
        return replace(
            self,
            names=tuple(self.names[i] for i in stay),
            numbers_NF=self.numbers_NF[:, stay],
            texts={name: column for name, column in self.texts.items() if name not in gone},
            flags=self.flags - gone,
        )

    def places(self, names: Sequence[str]) -> np.ndarray:
        """Where these columns of numbers stand in the matrix, int64."""
        place = {name: i for i, name in enumerate(self.names)}
        return np.array([place[name] for name in names], np.int64)

    def of(self, names: Sequence[str]) -> np.ndarray:
        """These columns of numbers, [N, len(names)], a copy."""
        return self.numbers_NF[:, self.places(names)]

    def replaced(self, names: Sequence[str], numbers_NF: np.ndarray) -> "Block":
        """With other numbers in these columns."""
        made = self.numbers_NF.copy()
        made[:, self.places(names)] = numbers_NF
        return replace(self, numbers_NF=made)

    def chosen_numbers(self, columns: Names, *, flags: bool = False) -> tuple[str, ...]:
        """The columns named, or all of numbers if none is; without `flags` not those that say yes or no.

        Raises:
          ValueError: a column that is not there or holds text.
        """
        every = tuple(name for name in self.names if flags or name not in self.flags)
        return _chosen(names_of(columns), every, self.names, "numbers")

    def chosen_texts(self, columns: Names) -> tuple[str, ...]:
        """The columns named, or all of text if none is.

        Raises:
          ValueError: a column that is not there or holds numbers.
        """
        return _chosen(names_of(columns), tuple(self.texts), tuple(self.texts), "text")

    def outcome(self, entries: Sequence[Entry]) -> Outcome:
        """The rows as records: numbers, then what is left of text, then what was not touched."""
        rows = np.where(np.isfinite(self.numbers_NF), self.numbers_NF, np.nan).tolist()
        texts = {name: column.tolist() for name, column in self.texts.items()}
        made = []
        for i, (record, row) in enumerate(zip(self.records, rows, strict=True)):
            fields: dict[str, Any] = {
                name: None if cell != cell else cell for name, cell in zip(self.names, row, strict=True)
            }
            fields |= {name: column[i] for name, column in texts.items()}
            fields |= {name: record.fields[name] for name in self.untouched if name in record.fields}
            made.append(replace(record, fields=fields))
        return Outcome(made, entries)


def _chosen(named: tuple[str, ...], every: tuple[str, ...], known: tuple[str, ...], what: str) -> tuple[str, ...]:
    for name in named:
        if name not in known:
            some = ", ".join(map(repr, known[:10])) or "none"
            raise ValueError(f"columns: expected columns of {what}, of which there are {some}; got {name!r}")
    return named or every


@dataclass(frozen=True)
class Layout:
    """The columns of the training rows, and which of them hold numbers."""

    numbers: tuple[str, ...]
    flags: tuple[str, ...]  # those of them whose cells are True and False
    texts: tuple[str, ...]
    untouched: tuple[str, ...] = ()

    def block(self, records: Sequence[Record]) -> tuple[Block, list[Entry]]:
        """Rows as columns.

        Where the training rows have numbers, a cell that is no finite number is missing, and an integer that a float64
        cannot hold is rounded; a column that they do not have is left out. Each has an entry. A number among text is
        spelled out.
        """
        numbers_NF = np.empty((len(records), len(self.numbers)))
        bad: dict[int, dict[str, Any]] = {}
        for place, name in enumerate(self.numbers):
            column = [record.fields.get(name) for record in records]
            if not _fill(numbers_NF[:, place], column):
                for row, cell in enumerate(column):
                    numbers_NF[row, place], is_bad = _number(cell)
                    if is_bad:
                        bad.setdefault(row, {})[name] = cell
        texts = {name: _text(records, name) for name in self.texts}
        entries = [lost(records[row], "columns.not_a_float64", bad[row]) for row in sorted(bad)]
        block = Block(records, self.numbers, numbers_NF, texts, frozenset(self.flags), self.untouched)
        return block, entries + self._unknown(records)

    def _unknown(self, records: Sequence[Record]) -> list[Entry]:
        known = {*self.numbers, *self.texts, *self.untouched}
        found = (
            (record, {name: cell for name, cell in record.fields.items() if name not in known}) for record in records
        )
        return [lost(record, "columns.unknown", others) for record, others in found if others]


def _fill(numbers_N: np.ndarray, column: list[Any]) -> bool:
    """Whether all cells are numbers that a float64 holds, or missing; then they are written."""
    if not _NUMBERS.issuperset(map(type, column)):
        return False
    try:
        numbers_N[:] = np.array(column, np.float64)
    except OverflowError:  # an integer above 1.8e308
        return False
    return not (np.abs(numbers_N) > 2**53).any()  # infinite, or an integer that may have been rounded


def _number(cell: Any) -> tuple[float, bool]:
    """-> (the number, NaN if there is none; whether something was lost)."""
    if cells.is_missing(cell):
        return np.nan, False
    number = None if isinstance(cell, str) else cells.number(cell)
    return (np.nan, True) if number is None else (number, number != cell)


def _text(records: Sequence[Record], name: str) -> np.ndarray:
    column = np.empty(len(records), object)
    column[:] = [None if cells.is_missing(cell := each.fields.get(name)) else cells.spelled(cell) for each in records]
    return column


def layout(blocks: Iterable[Sequence[Record]], untouched: Sequence[str], *, may_mix: bool) -> Layout:
    """The columns of rows, in the order in which they are met. One without any value counts as numbers.

    Args:
      untouched: labels, groups and what else is left as it is.
      may_mix: a column may hold text and numbers; it is text then.

    Raises:
      ValueError: no rows, or a column that holds text in one row and numbers in another.
    """
    seen: dict[str, dict[type, str]] = {}
    num_rows = 0
    for records in blocks:
        num_rows += len(records)
        for record in records:
            for name, cell in record.fields.items():
                kinds = seen.setdefault(name, {})
                if not cells.is_missing(cell) and (kind := _kind(cell)) not in kinds:
                    kinds[kind] = record.id
    if not num_rows:
        raise ValueError("expected training rows to fit, got none; the ledger says which rule removed them")
    for name in untouched:
        if name not in seen:
            raise ValueError(f"untouched: expected a column, one of {', '.join(map(repr, [*seen][:10]))}, got {name!r}")
    features = {name: kinds for name, kinds in seen.items() if name not in untouched}
    for name, kinds in features.items():
        if str in kinds and len(kinds) > 1 and not may_mix:
            other = next(record for kind, record in kinds.items() if kind is not str)
            raise ValueError(
                f"expected one type in column {name!r}, got text in {kinds[str]} and a number in {other}; write "
                f"types(number={name!r}) or types(category={name!r}) in steps, or begin with infer_types"
            )
    texts = tuple(name for name, kinds in features.items() if str in kinds)
    flags = tuple(name for name, kinds in features.items() if set(kinds) == {bool})
    return Layout(tuple(name for name in features if name not in texts), flags, texts, tuple(untouched))


def _kind(cell: Any) -> type:
    return next((kind for kind in (str, bool) if isinstance(cell, kind)), float)
