"""What tables learn from training rows and do to the rows of every split: `"impute('median')|one_hot|standardize"`.

    read(line) -> Fit;  Fit.fit(training rows) -> Fitted, which is JSON;  Fitted(records) -> Outcome

Operations act from left to right, each fitted on the output of those before it, in one pass over the training rows each
and one more for their columns. Memory is bounded (`summaries`). Neither the order of rows nor where blocks are cut
changes what is found, but for the order of columns, which is that in which they are met. Nothing but training rows is
looked at: other rows can change nothing.

A value that is filled in, cut off or not understood has an entry in the ledger. What is done to every row alike (types,
scales, columns of categories) stands in the fitted file alone.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

from input_pipeline.clean.record import Entry, Outcome, Record
from input_pipeline.clean.tabular.blocks import Block, Layout, layout
from input_pipeline.clean.tabular.categories import Numbered, OneHot, OneHotted, Ordinal
from input_pipeline.clean.tabular.columns import DropColumns, Dropped, InferTypes, Typed
from input_pipeline.clean.tabular.impute import Impute, Imputed
from input_pipeline.clean.tabular.outliers import FlagOutliers, Limited, Outliers, RemoveOutliers
from input_pipeline.clean.tabular.scale import Standardize, Standardized
from input_pipeline.transforms import parse

# Part of a fitted file: changes whenever an operation would give another result.
FORMAT = "tabular 1"


class Applied(Protocol):
    """A fitted operation: a frozen dataclass of JSON's values. A row's fate depends on it and the row alone."""

    def __call__(self, block: Block) -> tuple[Block, list[Entry]]:
        """What stays, and what was removed or changed."""


class Operation(Protocol):
    """An operation of the line, bound to its arguments: a frozen dataclass. Its repr tells it from others."""

    def fit(self, like: Block, blocks: Iterable[Block]) -> Applied:
        """From training rows, in one pass; `like` is a block of no rows with their columns."""


# By the name that stands in the line: what is fitted, and what comes of it.
OPERATIONS: Mapping[str, tuple[Callable[..., Operation], type[Any]]] = {
    "infer_types": (InferTypes, Typed),
    "drop_columns": (DropColumns, Dropped),
    "impute": (Impute, Imputed),
    "clip_outliers": (Outliers, Limited),
    "remove_outliers": (RemoveOutliers, Limited),
    "flag_outliers": (FlagOutliers, Limited),
    "one_hot": (OneHot, OneHotted),
    "ordinal": (Ordinal, Numbered),
    "standardize": (Standardize, Standardized),
}
_APPLIED = {made.__name__: made for _, made in OPERATIONS.values()}


@dataclass(frozen=True)
class Fitted:
    """All operations, fitted: a `Step`."""

    layout: Layout
    operations: tuple[Applied, ...]

    def __call__(self, records: Sequence[Record]) -> Outcome:
        """Rows whose cells are numbers, and an entry for each that was removed or changed."""
        block, entries = self.layout.block(records)
        for operation in self.operations:
            block, more = operation(block)
            entries += more
        return block.outcome(entries)

    @property
    def entries(self) -> list[Entry]:
        """Of columns that were left out."""
        return [entry for each in self.operations if isinstance(each, Dropped) for entry in each.entries]

    def as_json(self) -> str:
        """All that was found, with every digit."""
        found = [{"name": type(each).__name__, **asdict(each)} for each in self.operations]  # type: ignore[call-overload]
        written = {"format": FORMAT, "layout": asdict(self.layout), "operations": found}
        return json.dumps(written, indent=1, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Fitted:
    """What `Fitted.as_json` wrote.

    Raises:
      ValueError: it is of another format.
    """
    found = json.loads(text)
    if found.get("format") != FORMAT:
        raise ValueError(f"expected a fitted file of format {FORMAT!r}, got {found.get('format')!r}; fit again")
    operations = [_made(_APPLIED[each["name"]], each) for each in found["operations"]]
    return Fitted(_made(Layout, found["layout"]), tuple(operations))


def _made(cls: type[Any], values: Mapping[str, Any]) -> Any:
    return cls(**{each.name: _tuples(values[each.name]) for each in fields(cls)})


def _tuples(value: Any) -> Any:
    """With tuples where JSON has lists."""
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


@dataclass(frozen=True)
class Fit:
    """A line of operations, read."""

    operations: tuple[Operation, ...]
    untouched: tuple[str, ...] = ()  # columns that stay as they are: labels, groups

    def fit(self, rows: Callable[[], Iterable[Sequence[Record]]]) -> Fitted:
        """From the training rows, which are read once for each operation and once more.

        Args:
          rows: the training rows from the first on, in blocks of any size, each time it is called.

        Raises:
          ValueError: no rows, or columns that an operation cannot take.
        """
        may_mix = any(isinstance(operation, InferTypes) for operation in self.operations)
        columns = layout(rows(), self.untouched, may_mix=may_mix)
        done: tuple[Applied, ...] = ()
        for operation in self.operations:
            like = next(_through(columns, done, [()]))
            try:
                done = (*done, operation.fit(like, _through(columns, done, rows())))
                done[-1](like)  # names of new columns that are taken
            except ValueError as error:
                raise ValueError(f"fitted: {operation}: {error}") from None
        return Fitted(columns, done)


def _through(columns: Layout, done: Sequence[Applied], rows: Iterable[Sequence[Record]]) -> Iterator[Block]:
    """Training rows after the operations that are fitted."""
    for records in rows:
        block, _ = columns.block(records)
        for operation in done:
            block, _ = operation(block)
        yield block


def read(line: str, *, untouched: Sequence[str] = ()) -> Fit:
    """The fitted operations of a line, from left to right; none for "".

    Raises:
      ValueError: no such operation, or arguments that it does not take.
    """
    operations = parse.read(line, {name: made for name, (made, _) in OPERATIONS.items()}, field="fitted")
    return Fit(operations, tuple(untouched))
