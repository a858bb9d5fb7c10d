"""Steps of tables: rows are records whose `fields` are the cells. None of them looks at another row.

What is learned from rows (columns' types, medians, categories, scales) is fitted on the training split alone, after
the split: see `tabular/`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from input_pipeline.clean.record import CHANGED, Entry, Fields, Outcome, Record, excerpt
from input_pipeline.clean.steps import cells
from input_pipeline.clean.steps.cells import Cell

Names: TypeAlias = str | tuple[str, ...]

# The spellings that pandas.read_csv takes for missing (pandas.pydata.org, `na_values`, 2.3), and those of UCI's tables.
MISSING = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null", "-", "--", "?"),
)


def names_of(value: Names) -> tuple[str, ...]:
    """One name or several, as a tuple."""
    return (value,) if isinstance(value, str) else value


def lost(record: Record, rule: str, cells: Mapping[str, Any], threshold: str | float = "") -> Entry:
    """The entry of a record of which these cells were changed: how many, and what they were."""
    was = ", ".join(f"{name}: {cell!r}" for name, cell in list(cells.items())[:20])
    return Entry(record.id, rule, len(cells), threshold, CHANGED, excerpt(was))


@dataclass(frozen=True)
class Trim:
    """Leaves no white space at the ends of text cells, and one space for each run of it, newlines included."""

    def __call__(self, records: Sequence[Record]) -> Outcome:
        return Outcome([replace(record, fields=self._trimmed(record.fields)) for record in records], [])

    def _trimmed(self, fields: Fields) -> Fields:
        return {name: " ".join(cell.split()) if isinstance(cell, str) else cell for name, cell in fields.items()}


@dataclass(frozen=True)
class Missing:
    """Cells that spell "missing", that hold no letters, or that are NaN or infinite become None.

    An entry names the spellings and infinities; empty cells and NaN are what formats write for missing.
    """

    spellings: tuple[str, ...] = MISSING

    def __call__(self, records: Sequence[Record]) -> Outcome:
        spellings = frozenset(self.spellings)
        kept, entries = [], []
        for record in records:
            gone = {name: cell for name, cell in record.fields.items() if self._is_missing(cell, spellings)}
            named = {name: cell for name, cell in gone.items() if not _is_blank(cell)}
            kept.append(replace(record, fields={**record.fields, **dict.fromkeys(gone)}) if gone else record)
            entries += [lost(record, "missing.spelling", named)] if named else []
        return Outcome(kept, entries)

    @staticmethod
    def _is_missing(cell: Cell, spellings: frozenset[str]) -> bool:
        if isinstance(cell, str):
            return _is_blank(cell) or cell.strip() in spellings
        return isinstance(cell, float) and not math.isfinite(cell)


def _is_blank(cell: Cell) -> bool:
    return cells.is_missing(cell) or (isinstance(cell, str) and not cell.strip())


@dataclass(frozen=True)
class Types:
    """Cells of the columns named become what these are declared to be; other columns stay as they are.

    Numbers are float64 (`cells.number`), booleans True and False, dates days since 1970-01-01 UTC (`cells.days`),
    categories text. A cell that cannot be read so becomes None, with an entry. Types can be learned instead:
    `infer_types`, the first of the fitted operations.
    """

    number: Names = ()
    boolean: Names = ()
    date: Names = ()
    category: Names = ()
    decimal: str = "."  # of numbers; "," where 1.234,5 is meant
    date_formats: tuple[str, ...] = ()  # of datetime.strptime, such as "%d/%m/%Y"; (): ISO 8601

    def __post_init__(self) -> None:
        if self.decimal not in cells.DECIMALS:
            raise ValueError(f"decimal: expected one of {cells.DECIMALS}, got {self.decimal!r}")
        every = [name for kind in KINDS for name in names_of(getattr(self, kind))]
        twice = sorted({name for name in every if every.count(name) > 1})
        if twice:
            raise ValueError(f"expected one type for each column, got several for {', '.join(map(repr, twice))}")

    def __call__(self, records: Sequence[Record]) -> Outcome:
        read = {name: self.reader(kind) for kind in KINDS for name in names_of(getattr(self, kind))}
        kept, entries = [], []
        for record in records:
            made = {name: read[name](cell) for name, cell in record.fields.items() if name in read}
            bad = {
                name: cell for name in made if made[name] is None and not cells.is_missing(cell := record.fields[name])
            }
            kept.append(replace(record, fields={**record.fields, **made}))
            entries += [lost(record, "types.unreadable", bad)] if bad else []
        return Outcome(kept, entries)

    def reader(self, kind: str) -> Callable[[Cell], Cell]:
        """From a cell to the number or text of a kind; None: missing, or not of that kind."""
        return {
            "number": lambda cell: cells.number(cell, self.decimal),
            "boolean": cells.boolean,
            "date": lambda cell: cells.days(cell, self.date_formats),
            "category": lambda cell: None if cells.is_missing(cell) else cells.spelled(cell),
        }[kind]


KINDS = ("number", "boolean", "date", "category")


@dataclass(frozen=True)
class DropRows:
    """Removes rows without one of these columns, such as the label, and rows with too many missing cells."""

    columns: Names = ()
    max_missing: float = 1.0  # the greatest share of a row's cells that may be missing

    def __post_init__(self) -> None:
        if not 0 <= self.max_missing <= 1:
            raise ValueError(f"max_missing: expected a share from 0 to 1, got {self.max_missing}")

    def __call__(self, records: Sequence[Record]) -> Outcome:
        found = [(record, self._fault(record)) for record in records]
        return Outcome([record for record, fault in found if not fault], [fault for _, fault in found if fault])

    def _fault(self, record: Record) -> Entry | None:
        for name in names_of(self.columns):
            if _is_blank(record.fields.get(name)):
                rule = "drop_rows.missing" if name in record.fields else "drop_rows.no_column"
                return Entry(record.id, rule, name, excerpt=shown(record))
        share = sum(map(_is_blank, record.fields.values())) / max(1, len(record.fields))
        if share > self.max_missing:
            return Entry(record.id, "drop_rows.max_missing", round(share, 6), self.max_missing, excerpt=shown(record))
        return None


def shown(record: Record) -> str:
    """The first cells of a row."""
    return excerpt(", ".join(f"{name}: {cell!r}" for name, cell in list(record.fields.items())[:20]))


@dataclass(frozen=True)
class Keep:
    """Keeps these columns alone, in this order; one that a row does not have is missing in it."""

    columns: Names

    def __call__(self, records: Sequence[Record]) -> Outcome:
        names = names_of(self.columns)
        return Outcome([replace(each, fields={name: each.fields.get(name) for name in names}) for each in records], [])


@dataclass(frozen=True)
class Drop:
    """Leaves these columns out."""

    columns: Names

    def __call__(self, records: Sequence[Record]) -> Outcome:
        gone = frozenset(names_of(self.columns))
        return Outcome([replace(each, fields=_without(each.fields, gone)) for each in records], [])


def _without(fields: Fields, gone: Iterable[str]) -> Fields:
    return {name: cell for name, cell in fields.items() if name not in gone}


@dataclass(frozen=True)
class Rename:
    """Gives a column another name. A row that has a column of that name already is removed: one would be lost."""

    column: str
    to: str

    def __call__(self, records: Sequence[Record]) -> Outcome:
        twice = [record for record in records if {self.column, self.to} <= record.fields.keys()]
        ids = {record.id for record in twice}
        kept = [replace(each, fields=self._renamed(each.fields)) for each in records if each.id not in ids]
        return Outcome(kept, [Entry(each.id, "rename.taken", self.to, excerpt=shown(each)) for each in twice])

    def _renamed(self, fields: Fields) -> Fields:
        return {self.to if name == self.column else name: cell for name, cell in fields.items()}


@dataclass(frozen=True)
class Within:
    """A number below `low` or above `high`, which cannot be true, becomes None: `within('age', 0, 120)`."""

    column: str
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"expected low <= high, got {self.low} and {self.high}")

    def __call__(self, records: Sequence[Record]) -> Outcome:
        outside = [self._is_outside(record.fields.get(self.column)) for record in records]
        kept = [
            replace(each, fields={**each.fields, self.column: None}) if bad else each
            for each, bad in zip(records, outside, strict=True)
        ]
        return Outcome(kept, [self._entry(each) for each, bad in zip(records, outside, strict=True) if bad])

    def _is_outside(self, cell: Cell) -> bool:
        return isinstance(cell, (int, float)) and (cell < self.low or cell > self.high)

    def _entry(self, record: Record) -> Entry:
        value = record.fields[self.column]
        limit, rule = (self.low, "low") if value < self.low else (self.high, "high")  # type: ignore[operator]
        return Entry(record.id, f"within.{rule}", f"{self.column}: {value}", limit, CHANGED, shown(record))


# By the name that stands in the line `steps`.
TABLE: Mapping[str, Callable[..., Any]] = {
    "trim": Trim,
    "missing": Missing,
    "types": Types,
    "within": Within,
    "drop_rows": DropRows,
    "keep": Keep,
    "drop": Drop,
    "rename": Rename,
}
