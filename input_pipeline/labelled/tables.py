"""Tables in CSV and Parquet files: columns of numbers, and one with the label."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from input_pipeline.documents import BAD, attempt, digest
from input_pipeline.files import File
from input_pipeline.labelled.examples import Examples, InMemory, digests_of
from input_pipeline.parquet import Parquet


def examples(found: Sequence[File], *, columns: Sequence[str], label: str, labels: str, group: str = "") -> Examples:
    """Every row an example; its inputs are [F] numbers, in the order of `columns` (all but label and group, if none).

    A row with an empty cell is bad. Labels that are no numbers are classes by the alphabet.

    Raises:
      ValueError: a file that cannot be read, a column that is not there or holds no numbers.
    """
    table = _joined(found)
    chosen = list(columns) or [name for name in table.column_names if name not in (label, group)]
    for name in (*chosen, label, *([group] if group else [])):
        _check_column(table, name)
    inputs = np.stack([_numbers(table.column(name), name) for name in chosen], axis=1)
    values = table.column(label)
    made, classes = _classes(values) if labels == "class" else (_numbers(values, label)[:, None], ())
    whole = Examples(
        reader=InMemory(inputs),
        labels=made,
        names=[f"{file.name}#{row:09d}" for file in found for row in range(_read(file).num_rows)],
        digests=digests_of(inputs),
        classes=classes,
        groups=np.array(table.column(group).to_pylist()).astype(str) if group else None,
    )
    bad = {int(row): f"column {chosen[column]!r} is empty" for row, column in np.argwhere(np.isnan(inputs))[::-1]}
    bad |= {int(row): f"column {label!r} is empty" for row in np.flatnonzero(np.asarray(values.is_null()))}
    return whole.without(bad) if bad else whole


@dataclass(frozen=True)
class Cells:
    """The bytes in one column of Parquet files."""

    format: Parquet
    files: tuple[File, ...]
    ends: tuple[int, ...]  # the number of rows up to the end of each file

    def read(self, indices_B: np.ndarray) -> list[bytes]:
        """Cells by number."""
        return [self._read(i) for i in indices_B.tolist()]

    def _read(self, i: int) -> bytes:
        file = bisect.bisect_right(self.ends, i)
        return self.format.read(self.files[file], i - (self.ends[file - 1] if file else 0))


def encoded(found: Sequence[File], *, field: str, label: str, group: str = "") -> Examples:
    """Encoded images or sound in the column `field` (`a.b`: b of the struct a) of Parquet files.

    Raises:
      ValueError: a file that cannot be read, a column that is not there.
    """
    table = _joined(found)
    for name in (label, *([group] if group else [])):
        _check_column(table, name)
    labels, classes = _classes(table.column(label))
    sizes = [(file, _read(file).num_rows) for file in found]
    cells = Cells(Parquet(field), tuple(found), tuple(np.cumsum([rows for _, rows in sizes]).tolist()))
    digests = [digest(attempt(cells._read, i)) for i in range(len(labels))]
    whole = Examples(
        reader=cells,
        labels=labels,
        names=[f"{file.name}#{row:09d}" for file, rows in sizes for row in range(rows)],
        digests=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32),
        classes=classes,
        groups=np.array(table.column(group).to_pylist()).astype(str) if group else None,
    )
    empty = [*np.flatnonzero([each == BAD for each in digests]), *np.flatnonzero(table.column(label).is_null())]
    return whole.without({int(row): "its cell or its label is empty" for row in empty}) if empty else whole


def _check_column(table: Any, name: str) -> None:
    if name not in table.column_names:
        raise ValueError(f"data: expected a column, one of {', '.join(table.column_names)}, got {name!r}")


def _read(file: File) -> Any:
    import pyarrow
    from pyarrow import csv, parquet

    try:
        if file.path.endswith((".parquet", ".pq")):
            return parquet.read_table(file.path, page_checksum_verification=True)
        return csv.read_csv(file.path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(
            f"data.files: expected a CSV or Parquet file, but {file.path} does not open: {error}"
        ) from None


def _joined(found: Sequence[File]) -> Any:
    import pyarrow

    tables = [_read(file) for file in found]
    for file, table in zip(found, tables, strict=True):
        if table.column_names != tables[0].column_names:
            raise ValueError(f"data.files: expected the columns of {found[0].path} in {file.path}, got others")
    return pyarrow.concat_tables(tables, promote_options="permissive")


def _numbers(column: Any, name: str) -> np.ndarray:
    """A column as float32, NaN where it is empty."""
    import pyarrow

    try:
        return np.asarray(column.cast(pyarrow.float64())).astype(np.float32)
    except (pyarrow.ArrowException, ValueError):
        raise ValueError(
            f"data.columns: expected numbers, but column {name!r} holds {column.type}; write data.columns without it"
        ) from None


def _classes(column: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """-> (class numbers, 0 where it is empty; the names of the classes)."""
    values = column.to_pylist()
    there = {value for value in values if value is not None}
    are_numbers = all(isinstance(value, int | float) for value in there)
    ordered = sorted(there, key=None if are_numbers else str)
    number = {value: i for i, value in enumerate(ordered)}
    return np.array([number.get(value, 0) for value in values], np.int32), tuple(map(str, ordered))
