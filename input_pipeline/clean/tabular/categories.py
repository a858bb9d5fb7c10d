"""Categories as numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from input_pipeline.clean.record import Entry
from input_pipeline.clean.steps.table import Names, lost
from input_pipeline.clean.tabular.blocks import Block
from input_pipeline.clean.tabular.summaries import Counts, gather

RARE = "(rare)"  # what stands for all rare categories in a column's name


@dataclass(frozen=True)
class OneHot:
    """A column `<column>=<category>` of 0 and 1 for each category of the training rows, in order of the alphabet.

    A category of a smaller share than `rare` of the values counts as `(rare)`, as does one that no training row has;
    where none was rare, an unknown one is 0 in all columns. Both have an entry. A missing cell is 0 in all columns:
    `impute('constant', 'missing')` before makes it a category. As scikit-learn's OneHotEncoder with
    handle_unknown="infrequent_if_exist".
    """

    rare: float = 0.0
    columns: Names = ()
    max_categories: int = 1000  # of a column, after rare ones are put together

    def __post_init__(self) -> None:
        _check(self.rare, self.max_categories)

    def fit(self, like: Block, blocks: Iterable[Block]) -> "OneHotted":
        """Of training rows.

        Raises:
          ValueError: a column has too many categories.
        """
        found = _categories(blocks, like.chosen_texts(self.columns), self.rare)
        for name, (categories, _) in found.items():
            if len(categories) > self.max_categories:
                raise ValueError(
                    f"expected at most {self.max_categories} categories in column {name!r}, got {len(categories)}; "
                    f"write rare=0.01, a greater max_categories, or drop({name!r}) in steps"
                )
        return OneHotted(
            {name: categories for name, (categories, _) in found.items()},
            {name: rare for name, (_, rare) in found.items()},
        )


@dataclass(frozen=True)
class OneHotted:
    """A fitted `OneHot`."""

    categories: Mapping[str, tuple[str, ...]]
    has_rare: Mapping[str, bool]

    def __call__(self, block: Block) -> tuple[Block, list[Entry]]:
        names: list[str] = []
        columns = [np.zeros((len(block.records), 0))]
        for name, categories in self.categories.items():
            shown = [*categories, RARE] if self.has_rare[name] else [*categories]
            numbers_N = _numbered(block.texts[name], categories, len(categories))
            columns.append(numbers_N[:, None] == np.arange(len(shown)))
            names += [f"{name}={' '.join(category.split())}" for category in shown]
        made = block.without(self.categories).with_columns(names, np.concatenate(columns, axis=1), are_flags=True)
        return made, _unknown(block, self.categories, "one_hot.other")


@dataclass(frozen=True)
class Ordinal:
    """A number for each category of the training rows: its place in `order`, or in that of the alphabet, from 0.

    Rare ones and those that no training row has come last, as one number; where none was rare, an unknown one becomes a
    missing cell, with an entry. A missing cell stays one.
    """

    order: tuple[str, ...] = ()  # of all categories, such as ('low', 'mid', 'high'), in columns that have no others
    columns: Names = ()
    rare: float = 0.0

    def __post_init__(self) -> None:
        _check(self.rare, 1)
        if self.order and (self.rare or not self.columns):
            raise ValueError("order: expected columns with it, and no rare; write ordinal(('low', 'high'), 'size')")

    def fit(self, like: Block, blocks: Iterable[Block]) -> "Numbered":
        """Of training rows."""
        names = like.chosen_texts(self.columns)
        found = dict.fromkeys(names, (self.order, False)) if self.order else _categories(blocks, names, self.rare)
        return Numbered(
            {name: categories for name, (categories, _) in found.items()},
            {name: rare for name, (_, rare) in found.items()},
        )


@dataclass(frozen=True)
class Numbered:
    """A fitted `Ordinal`."""

    categories: Mapping[str, tuple[str, ...]]
    has_rare: Mapping[str, bool]

    def __call__(self, block: Block) -> tuple[Block, list[Entry]]:
        columns = [
            _numbered(block.texts[name], categories, len(categories) if self.has_rare[name] else np.nan)
            for name, categories in self.categories.items()
        ]
        numbers = np.array(columns, float).reshape(len(columns), len(block.records)).T
        made = block.without(self.categories).with_columns(list(self.categories), numbers)
        return made, _unknown(block, self.categories, "ordinal.other")


def _check(rare: float, max_categories: int) -> None:
    if not 0 <= rare < 1:
        raise ValueError(f"rare: expected a share from 0 to less than 1, got {rare}")
    if max_categories < 1:
        raise ValueError(f"max_categories: expected 1 or more, got {max_categories}")


def _categories(
    blocks: Iterable[Block], names: tuple[str, ...], rare: float
) -> dict[str, tuple[tuple[str, ...], bool]]:
    """-> for each column, its categories that are not rare, and whether there are others."""
    gather(blocks, counts := Counts(names))
    found = {}
    for name, counted in counts.values.items():
        least = rare * counted.total()
        common = tuple(sorted(category for category, count in counted.items() if count >= least))
        found[name] = (common, len(common) < len(counted))
    return found


def _numbered(column_N: np.ndarray, categories: tuple[str, ...], other: float) -> np.ndarray:
    """The number of each category, NaN for missing cells."""
    number: dict[str | None, float] = {category: float(i) for i, category in enumerate(categories)}
    number[None] = np.nan
    return np.array([number.get(category, other) for category in column_N], float)


def _unknown(block: Block, categories: Mapping[str, tuple[str, ...]], rule: str) -> list[Entry]:
    """Of rows with a category that is rare, or that no training row has."""
    known = {name: frozenset(found) for name, found in categories.items()}
    bad: dict[int, dict[str, str]] = {}
    for name in categories:
        for row, category in enumerate(block.texts[name]):
            if category is not None and category not in known[name]:
                bad.setdefault(row, {})[name] = category
    return [lost(block.records[row], rule, bad[row]) for row in sorted(bad)]
