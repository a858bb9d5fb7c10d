"""Missing cells: rows without them, or values in their place."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from input_pipeline.clean.record import CHANGED, Entry, excerpt
from input_pipeline.clean.steps.table import Names, names_of
from input_pipeline.clean.tabular.blocks import Block
from input_pipeline.clean.tabular.summaries import Counts, Extent, Moments, Sample, gather

STRATEGIES = ("drop", "constant", "mean", "median", "mode", "iterative")
SAMPLED = ("median", "mode", "iterative")
MAX_COLUMNS = 200  # of iterative: its models are columns x columns x rounds numbers
GREATEST = 1e100  # of iterative: sums of squares must be float64s
# Of iterative: (column, coefficients of all other columns in their order, intercept)
Model: TypeAlias = tuple[str, tuple[float, ...], float]


@dataclass(frozen=True)
class Impute:
    """Puts a value of the training rows in the place of each missing one, or drops the row.

    mean, median: of columns of numbers. mode: of numbers and text, the least of those that are met most often.
    constant: `value`, in columns of its type. drop: removes rows that miss any of the columns.
    iterative: each column of numbers by Bayesian ridge regression on all others, in rounds (S. van Buuren, K.
    Groothuis-Oudshoorn, "mice: Multivariate Imputation by Chained Equations in R", 2011; scikit-learn's
    IterativeImputer with its defaults). Its linear models are kept, not the object.
    """

    strategy: str
    value: float | str = 0.0  # of constant
    indicator: bool = False  # adds `<column>_missing`, 1 or 0, for columns that miss values in training rows
    columns: Names = ()  # (): all that the strategy is for
    max_iter: int = 10  # rounds of iterative

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(f"strategy: expected one of {', '.join(STRATEGIES)}, got {self.strategy!r}")
        if self.max_iter < 1:
            raise ValueError(f"max_iter: expected 1 or more, got {self.max_iter}")

    def fit(self, like: Block, blocks: Iterable[Block]) -> "Imputed":
        """Of training rows.

        Raises:
          ValueError: a column has no value at all, or is not what the strategy is for; too many for iterative.
        """
        names, texts = self._chosen(like)
        if self.strategy == "iterative" and len(names) > MAX_COLUMNS:
            raise ValueError(f"expected at most {MAX_COLUMNS} columns of numbers, got {len(names)}; name some of them")
        extent, counts = Extent(names, texts), Counts(texts if self.strategy == "mode" else ())
        moments = Moments(names if self.strategy in ("mean", "iterative") else ())
        sample = Sample(names if self.strategy in SAMPLED else ())
        num_rows = gather(blocks, extent, moments, sample, counts)
        self._check(extent)
        numbers = {name: self._number(name, moments, sample) for name in names}
        models, converged = _models(sample, self.max_iter) if self.strategy == "iterative" else ((), True)
        return Imputed(
            self.strategy,
            numbers,
            {name: self._text(name, counts) for name in texts},
            tuple(f for f in (*names, *texts) if self.indicator and extent.counts[f] < num_rows),
            models,
            converged,
            num_rows,
            len(sample),
        )

    def _chosen(self, like: Block) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Columns of numbers and of text that the strategy is for."""
        both = self.strategy in ("drop", "mode")
        numeric = both or not (self.strategy == "constant" and isinstance(self.value, str))
        textual = both or (self.strategy == "constant" and isinstance(self.value, str))
        if not self.columns or not both:
            return (
                like.chosen_numbers(self.columns, flags=True) if numeric else (),
                like.chosen_texts(self.columns) if textual else (),
            )
        named = names_of(self.columns)
        texts = tuple(name for name in named if name in like.texts)
        numbers = tuple(name for name in named if name not in texts)
        return like.chosen_numbers(numbers, flags=True) if numbers else (), texts

    def _check(self, extent: Extent) -> None:
        lacking = [name for name, count in extent.counts.items() if not count]
        if lacking and self.strategy not in ("constant", "drop"):
            raise ValueError(
                f"column {lacking[0]!r} has no value in the training rows, so it has no {self.strategy}; write "
                "drop_columns before impute, or impute('constant', 0.0)"
            )

    def _number(self, name: str, moments: Moments, sample: Sample) -> float | None:
        if self.strategy in ("mean", "iterative"):
            return moments.mean(name)
        if self.strategy in ("median", "mode"):
            column = sample.column(name)
            return float(np.median(column)) if self.strategy == "median" else _mode(column)
        return float(self.value) if self.strategy == "constant" else None

    def _text(self, name: str, counts: Counts) -> str | None:
        if self.strategy == "mode":
            return min(counts.values[name].items(), key=lambda pair: (-pair[1], pair[0]))[0]
        return str(self.value) if self.strategy == "constant" else None


def _mode(column_N: np.ndarray) -> float:
    values, counts = np.unique(column_N, return_counts=True)
    return float(values[counts.argmax()])


def _models(sample: Sample, max_iter: int) -> tuple[tuple[Model, ...], bool]:
    """The linear models of scikit-learn's IterativeImputer, and whether its rounds converged.

    Raises:
      ValueError: numbers that are too great for it.
    """
    values_NF = sample.values()
    if not values_NF.size:
        return (), True
    if np.nanmax(np.abs(values_NF)) > GREATEST:
        raise ValueError(f"expected numbers up to {GREATEST:g} for regression, got greater ones; write within(..)")
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from threadpoolctl import threadpool_limits  # the order of sums must not depend on the number of threads

    imputer = IterativeImputer(max_iter=max_iter, random_state=0)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # that rounds do not converge: `converged` tells
        imputer.fit(values_NF)
    models = tuple(
        (sample.names[step.feat_idx], tuple(step.estimator.coef_.tolist()), float(step.estimator.intercept_))
        for step in imputer.imputation_sequence_
    )
    return models, imputer.n_iter_ < max_iter


@dataclass(frozen=True)
class Imputed:
    """A fitted `Impute`."""

    strategy: str
    numbers: Mapping[str, float | None]  # by column, what stands in for a missing cell; None where rows are dropped
    texts: Mapping[str, str | None]
    indicators: tuple[str, ...] = ()
    models: tuple[Model, ...] = ()  # applied one after another to rows filled with `numbers`
    converged: bool = True  # whether the rounds of iterative ended before max_iter
    num_rows: int = 0  # that were seen
    num_sampled: int = 0  # of them, where a sample was taken

    def __call__(self, block: Block) -> tuple[Block, list[Entry]]:
        names = tuple(self.numbers)
        before = block.of(names)
        missing = np.isnan(before)
        missing_text = {name: _is_none(block.texts[name]) for name in self.texts}
        lacking = missing.any(axis=1) | np.any([*missing_text.values(), np.zeros(len(before), bool)], axis=0)
        if self.strategy == "drop":
            removed = np.flatnonzero(lacking).tolist()
            return block.take(~lacking), [self._removed(block, row, missing, missing_text) for row in removed]
        flagged = self._flagged(block, names, missing, missing_text)
        fills = np.array([self.numbers[name] for name in names], float)
        after = self._predicted(np.where(missing, fills, before), missing)
        texts = dict(block.texts)
        for name, gone in missing_text.items():
            texts[name] = np.where(gone, np.array(self.texts[name], object), block.texts[name])
        made = replace(flagged.replaced(names, after), texts=texts)
        return made, [
            self._filled(block, row, after, missing, missing_text) for row in np.flatnonzero(lacking).tolist()
        ]

    def _flagged(self, block: Block, names: tuple[str, ...], missing: np.ndarray, missing_text: dict) -> Block:
        every = {**dict(zip(names, missing.T, strict=True)), **missing_text}
        columns = [every[name] for name in self.indicators]
        made = np.array(columns, float).reshape(len(columns), len(missing)).T
        return block.with_columns([f"{name}_missing" for name in self.indicators], made, are_flags=True)

    def _predicted(self, filled_NF: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """Column by column, so that a row's result does not depend on how many rows there are.

        A prediction that no float64 holds is the column's mean.
        """
        places = {name: i for i, name in enumerate(self.numbers)}
        for name, coefficients, intercept in self.models:
            place = places[name]
            rows = np.flatnonzero(missing[:, place])
            others = np.delete(filled_NF[rows], place, axis=1)
            made = np.full(len(rows), intercept)
            with np.errstate(over="ignore", invalid="ignore"):
                for coefficient, column in zip(coefficients, others.T, strict=True):
                    made += coefficient * column
            made[~np.isfinite(made)] = self.numbers[name]
            filled_NF[rows, place] = made
        return filled_NF

    def _missed(self, row: int, missing: np.ndarray, missing_text: dict[str, np.ndarray]) -> list[str]:
        numbers = [name for name, gone in zip(self.numbers, missing[row], strict=True) if gone]
        return numbers + [name for name, gone in missing_text.items() if gone[row]]

    def _removed(self, block: Block, row: int, *missing: Any) -> Entry:
        gone = self._missed(row, *missing)
        return Entry(block.records[row].id, "impute.drop", len(gone), 0, excerpt=excerpt("missing: " + ", ".join(gone)))

    def _filled(self, block: Block, row: int, after: np.ndarray, *missing: Any) -> Entry:
        gone = self._missed(row, *missing)
        made = dict(zip(self.numbers, after[row].tolist(), strict=True)) | dict(self.texts)
        told = ", ".join(f"{name}: {_short(made[name])}" for name in gone[:20])
        return Entry(block.records[row].id, f"impute.{self.strategy}", len(gone), "", CHANGED, excerpt(told))


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _is_none(column_N: np.ndarray) -> np.ndarray:
    return np.array([cell is None for cell in column_N], bool)
