"""Tables in CSV and Parquet files: columns of numbers, and one or several with labels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from input_pipeline.files import File
from input_pipeline.labelled.examples import Examples, InMemory, digests_of
from input_pipeline.labelled.labels import is_empty, numbered


def read(file: File) -> Any:
    """A CSV or Parquet file as an Arrow table."""
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


def examples(
    found: Sequence[File],
    *,
    columns: Sequence[str],
    label_fields: Sequence[str],
    labels: str,
    group_field: str = "",
    read: Callable[[File], Any] = read,
) -> Examples:
    """Every row an example; its inputs are [F] numbers, in the order of `columns` (all that are left, if none).

    A column `id` of text, which a cleaned dataset has, is no input unless it is named.

    A row with an empty cell, or a number that is not finite, is bad.

    Args:
      labels: "class", where the one label is the name of a class; else labels are numbers [K], and for "classes" the
        columns' names are those of the classes.
      read: a file -> an Arrow table.

    Raises:
      ValueError: a file that cannot be read, a column that is not there or holds no numbers.
    """
    tables = [read(file) for file in found]
    table = _joined(found, tables)
    chosen = list(columns) or [
        name for name in table.column_names if name not in (*label_fields, group_field) and not _is_id(table, name)
    ]
    for name in (*chosen, *label_fields, *([group_field] if group_field else [])):
        _check_column(table, name)
    inputs, bad = _numbers(table, chosen, field="columns")
    if labels == "class":
        values = table.column(label_fields[0]).to_pylist()
        made, classes = numbered(values)
        bad |= {row: f"column {label_fields[0]!r} is empty" for row, value in enumerate(values) if is_empty(value)}
    else:
        made, bad_labels = _numbers(table, label_fields, field="label_fields")
        bad, classes = bad | bad_labels, tuple(label_fields) if labels == "classes" else ()
    groups = table.column(group_field).to_pylist() if group_field else []
    bad |= {row: f"column {group_field!r} is empty" for row, group in enumerate(groups) if is_empty(group)}
    whole = Examples(
        reader=InMemory(inputs),
        labels=made,
        names=[
            f"{file.name}#{row:09d}" for file, table in zip(found, tables, strict=True) for row in range(len(table))
        ],
        digests=digests_of(inputs),
        classes=classes,
        groups=np.array(list(map(str, groups))) if group_field else None,
    )
    return whole.without(bad) if bad else whole


def _is_id(table: Any, name: str) -> bool:
    import pyarrow

    return name == "id" and pyarrow.types.is_string(table.schema.field(name).type)


def _check_column(table: Any, name: str) -> None:
    if name not in table.column_names:
        raise ValueError(
            f"data: expected a column, one of {', '.join(table.column_names)}, got {name!r}; write another name in "
            "data.columns, data.label_fields or data.group_field"
        )


def _joined(found: Sequence[File], tables: Sequence[Any]) -> Any:
    import pyarrow

    for file, table in zip(found, tables, strict=True):
        if table.column_names != tables[0].column_names:
            raise ValueError(
                f"data.files: expected the columns of {found[0].path} in {file.path}, got "
                f"{', '.join(table.column_names)}"
            )
    try:
        return pyarrow.concat_tables(tables, promote_options="permissive")
    except pyarrow.ArrowException as error:
        raise ValueError(f"data.files: expected columns of one type in all files, got others: {error}") from None


def _numbers(table: Any, names: Sequence[str], *, field: str) -> tuple[np.ndarray, dict[int, str]]:
    """-> (columns as float32 [N, F], what is wrong with the first bad cell of each bad row)."""
    numbers = np.stack([_column(table.column(name), name, field) for name in names], axis=1)
    bad = np.argwhere(~np.isfinite(numbers))[::-1]
    return numbers, {int(row): f"column {names[column]!r} is empty or not finite" for row, column in bad}


def _column(column: Any, name: str, field: str) -> np.ndarray:
    """A column as float32, NaN where it is empty."""
    import pyarrow

    try:
        with np.errstate(over="ignore"):  # a number too great becomes infinite, and is told of as such
            return np.asarray(column.cast(pyarrow.float64())).astype(np.float32)
    except (pyarrow.ArrowException, ValueError):
        raise ValueError(
            f"data.{field}: expected numbers, but column {name!r} holds {column.type}; write data.{field} without it"
        ) from None
