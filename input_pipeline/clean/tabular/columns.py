"""Which type columns have, and which are worth keeping: both learned from training rows."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from input_pipeline.clean.record import Entry
from input_pipeline.clean.steps import cells
from input_pipeline.clean.steps.table import KINDS, Types, lost, names_of
from input_pipeline.clean.tabular.blocks import Block
from input_pipeline.clean.tabular.summaries import Extent, gather

_INFERRED = ("number", "boolean", "date")  # in this order; what is none of them is a category


@dataclass(frozen=True)
class InferTypes(Types):
    """Columns of text become numbers, booleans or dates, if at least `share` of their training values can be read so.

    Columns that are named have the type named: `category=('zip',)` for digits that are no number. Integers that a
    float64 cannot hold, such as long ids, are no numbers. A cell that cannot be read becomes missing, with an entry.
    """

    share: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise ValueError(f"share: expected a share above 0, at most 1, got {self.share}")

    def fit(self, like: Block, blocks: Iterable[Block]) -> "Typed":
        """Of training rows."""
        named = {name: kind for kind in KINDS for name in names_of(getattr(self, kind))}
        gather(blocks, readable := _Readable(self, [name for name in like.texts if name not in named]))
        found = named | {name: readable.kind(name) for name in readable.counts}
        places = {kind: tuple(name for name in (*like.names, *like.texts) if found.get(name) == kind) for kind in KINDS}
        return Typed(**places, decimal=self.decimal, date_formats=self.date_formats)


class _Readable:
    """How many values of each column of text can be read as each type."""

    def __init__(self, types: InferTypes, names: Iterable[str]) -> None:
        self.counts = {name: dict.fromkeys(("value", *_INFERRED), 0) for name in names}
        self._share, self._read = types.share, {kind: types.reader(kind) for kind in _INFERRED}

    def add(self, block: Block) -> None:
        for name, counts in self.counts.items():
            values = [value for value in block.texts[name] if value is not None]
            counts["value"] += len(values)
            for kind, read in self._read.items():
                counts[kind] += sum(read(value) is not None and not _is_long(kind, value) for value in values)

    def kind(self, name: str) -> str:
        counts = self.counts[name]
        return next((kind for kind in _INFERRED if counts[kind] >= self._share * counts["value"]), "category")


def _is_long(kind: str, value: str) -> bool:
    """Whether it is an integer that is written out and that a float64 cannot hold."""
    return kind == "number" and len(value) > 15 and value.isdecimal() and int(value) != float(value)


@dataclass(frozen=True)
class Typed:
    """Fitted `InferTypes`."""

    number: tuple[str, ...]
    boolean: tuple[str, ...]
    date: tuple[str, ...]
    category: tuple[str, ...]
    decimal: str
    date_formats: tuple[str, ...]

    def __call__(self, block: Block) -> tuple[Block, list[Entry]]:
        types = Types(**asdict(self))
        bad: dict[int, dict[str, str]] = {}
        made: dict[str, np.ndarray] = {}
        for kind in _INFERRED:
            for name in getattr(self, kind):
                if name in block.texts:
                    made[name] = self._read(types, kind, name, block, bad)
        names = [name for name in block.texts if name in made]
        numbers = np.array([made[name] for name in names], float).reshape(len(names), len(block.records)).T
        typed = block.without(names).with_columns(names, numbers)
        typed = replace(typed, flags=typed.flags | frozenset(self.boolean))
        entries = [lost(block.records[row], "infer_types.unreadable", bad[row]) for row in sorted(bad)]
        return self._spelled(typed), entries

    def _read(self, types: Types, kind: str, name: str, block: Block, bad: dict[int, dict[str, str]]) -> np.ndarray:
        read, column = types.reader(kind), np.full(len(block.records), np.nan)
        for row, cell in enumerate(block.texts[name]):
            value = read(cell)
            if value is not None:
                column[row] = value
            elif cell is not None:
                bad.setdefault(row, {})[name] = cell
        return column

    def _spelled(self, block: Block) -> Block:
        """Numbers that were declared to be categories, as text."""
        names = [name for name in self.category if name in block.names]
        texts = dict(block.texts)
        for name in names:
            column = block.of([name])[:, 0].tolist()
            texts[name] = np.array([None if cell != cell else cells.spelled(cell) for cell in column], object)
        return replace(block.without(names), texts=texts)


@dataclass(frozen=True)
class DropColumns:
    """Leaves out columns of which more than a share of the training values is missing, or all are the same."""

    max_missing: float = 0.5
    constant: bool = True  # whether those are left out whose values are all the same

    def __post_init__(self) -> None:
        if not 0 <= self.max_missing <= 1:
            raise ValueError(f"max_missing: expected a share from 0 to 1, got {self.max_missing}")

    def fit(self, like: Block, blocks: Iterable[Block]) -> "Dropped":
        """Of training rows."""
        num_rows = gather(blocks, extent := Extent(like.names, tuple(like.texts)))
        missing = {name: 1 - count / num_rows for name, count in extent.counts.items()}
        shares = {name: round(share, 6) for name, share in missing.items() if share > self.max_missing}
        constant = [name for name in missing if self.constant and name not in shares and extent.is_constant(name)]
        return Dropped(self.max_missing, shares, tuple(constant))


@dataclass(frozen=True)
class Dropped:
    """Fitted `DropColumns`."""

    max_missing: float
    missing: Mapping[str, float]  # by column, the share of training rows without a value
    constant: tuple[str, ...]

    def __call__(self, block: Block) -> tuple[Block, list[Entry]]:
        return block.without((*self.missing, *self.constant)), []

    @property
    def entries(self) -> list[Entry]:
        """One for each column."""
        missing = [
            Entry(f"column {name!r}", "drop_columns.missing", share, self.max_missing)
            for name, share in self.missing.items()
        ]
        return missing + [Entry(f"column {name!r}", "drop_columns.constant") for name in self.constant]
