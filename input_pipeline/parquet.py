"""Parquet: one column of a file, read by row groups."""

import bisect
import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from input_pipeline.documents import BadRecord, Content, attempt
from input_pipeline.files import File

# Row groups that stay in memory, and files that stay open.
_GROUPS = 2
_FILES = 64


@dataclass(frozen=True)
class Parquet:
    """Records are rows, and a record's place is its row. `field` may be `a.b`, a part of a struct."""

    field: str

    def scan(self, file: File) -> Iterator[tuple[int, Content]]:
        for row in range(_ends(file)[-1]):
            yield row, attempt(self.read, file, row)

    def read(self, file: File, place: int) -> bytes:
        ends = _ends(file)
        group = bisect.bisect_right(ends, place)
        cell = _column(file, group - 1, self.field)[place - ends[group - 1]].as_py()
        if cell is None:
            raise BadRecord(f"field {self.field!r} is null")
        return cell if isinstance(cell, bytes) else cell.encode()


def cells(file: File, columns: Sequence[str]) -> list[list[Any]]:
    """All cells of some columns, which fit in memory, as Python's values.

    Raises:
      ValueError: no such column, or one that cannot be read.
    """
    from pyarrow import ArrowException

    opened = _open(file)
    for name in columns:
        if name not in opened.schema_arrow.names:
            there = ", ".join(map(repr, opened.schema_arrow.names))
            raise ValueError(f"data.files: expected a column {name!r} in {file.path}, which has {there}")
    try:
        table = opened.read(columns=list(columns))
    except (ArrowException, OSError) as error:
        raise ValueError(f"data.files: expected {', '.join(columns)} in {file.path}, got: {error}") from None
    return [table.column(name).to_pylist() for name in columns]


def class_names(files: Sequence[File], column: str) -> tuple[str, ...] | None:
    """What the numbers in a column mean, where Hugging Face datasets wrote the files and so told it; else None.

    Raises:
      ValueError: the files do not tell the same.
    """
    first, *others = (_class_names(file, column) for file in files)
    for file, told in zip(files[1:], others, strict=True):
        if told != first:
            raise ValueError(
                f"data.files: expected the same names of classes for {column!r} in all files, got {first} in "
                f"{files[0].path} and {told} in {file.path}; write globs that match one dataset alone"
            )
    return first


def _class_names(file: File, column: str) -> tuple[str, ...] | None:
    metadata = _open(file).schema_arrow.metadata or {}
    told = json.loads(metadata.get(b"huggingface", b"{}"))
    names = told.get("info", {}).get("features", {}).get(column, {}).get("names")
    return tuple(names) if names else None


@functools.lru_cache(_FILES)
def _open(file: File) -> Any:
    from pyarrow import ArrowException, parquet

    try:
        return parquet.ParquetFile(file.path, page_checksum_verification=True)
    except (ArrowException, OSError) as error:
        raise ValueError(f"data.files: expected a Parquet file, but {file.path} does not open: {error}") from None


@functools.lru_cache(_FILES)
def _ends(file: File) -> list[int]:
    """0, and the number of rows up to the end of each row group."""
    metadata = _open(file).metadata
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return [0, *np.cumsum(sizes, dtype=np.int64).tolist()]


@functools.lru_cache(_GROUPS)
def _column(file: File, group: int, field: str) -> Any:
    """One field of a row group, as an Arrow array; a group that is damaged is an array of errors."""
    import pyarrow
    import pyarrow.compute

    name, *path = _path(file, field)
    try:
        table = _open(file).read_row_group(group, columns=[field])
    except (pyarrow.ArrowException, OSError) as error:
        return _Damaged(str(error))
    column = table.column(name).combine_chunks()
    for part in path:
        column = pyarrow.compute.struct_field(column, part)
    return column


@dataclass(frozen=True)
class _Damaged:
    """Stands for the rows of a row group that cannot be read."""

    reason: str

    def __getitem__(self, row: int) -> Any:
        raise BadRecord(f"its row group cannot be read: {self.reason}")


def _path(file: File, field: str) -> list[str]:
    """The name of a column, and of the parts of structs that lead to the field.

    Raises:
      ValueError: no such field, or none of text.
    """
    schema = _open(file).schema_arrow
    path = [field] if field in schema.names else field.split(".")
    fields = {found.name: found for found in schema}
    for depth, part in enumerate(path):
        if part not in fields:
            raise ValueError(
                f"data.field or data.input_field: expected a column of {file.path}, got {field!r}; "
                f"it has {', '.join(map(repr, fields))}" + (f" in {'.'.join(path[:depth])!r}" if depth else "")
            )
        kind = fields[part].type
        fields = {found.name: found for found in kind} if _is_struct(kind) else {}
    if not _is_text(kind):
        raise ValueError(
            f"data.field or data.input_field: expected a column of text, but {field!r} of {file.path} is {kind}"
        )
    return path


def _is_struct(kind: Any) -> bool:
    import pyarrow

    return pyarrow.types.is_struct(kind)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in tests)
