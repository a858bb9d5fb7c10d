"""A cleaned dataset as labelled examples: its splits are the parts of the source."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from input_pipeline import cache, example
from input_pipeline.array_record import ArrayRecord
from input_pipeline.clean import dataset
from input_pipeline.clean.dataset import Dataset
from input_pipeline.clean.formats import arrow_schema
from input_pipeline.clean.schema import ID, Schema, base
from input_pipeline.files import File
from input_pipeline.labelled import shards, tables
from input_pipeline.labelled.examples import Examples
from input_pipeline.labelled.records import ExampleRecords, ParquetRecords, Records
from input_pipeline.progress import Progress

if TYPE_CHECKING:
    from input_pipeline.labelled.spec import LabelledData


def examples(data: "LabelledData", *, progress: Progress) -> Examples:
    """The examples of a cleaned dataset, which is made now if `data.clean` says how.

    Raises:
      ValueError: no such dataset, or no such column in it.
    """
    found = dataset.find(data, progress=progress)
    for field in (*data.label_fields, *data.columns, *filter(None, [data.group_field])):
        if field not in found.schema.kinds:
            there = ", ".join(map(repr, found.schema.kinds)) or "none"
            raise ValueError(f"data: expected a column of the cleaned dataset, one of {there}, got {field!r}")
    made = _table(found, data) if data.modality == "table" else _payloads(found, data, progress)
    return replace(made, account=found.account)


def _payloads(found: Dataset, data: "LabelledData", progress: Progress) -> Examples:
    return shards.examples(
        _records(found, data),
        found.parts,
        labels=data.labels,
        classes=data.label_fields if data.labels == "classes" else None,
        group_of=str if data.group_field else None,
        cache_dir=cache.directory(data.cache),
        progress=progress,
    )


def _records(found: Dataset, data: "LabelledData") -> Records:
    content = data.input_field or found.schema.content
    if found.format == "parquet":
        return ParquetRecords(content, data.label_fields, data.group_field, is_class=data.labels == "class")
    return ExampleRecords(
        ArrayRecord(""),
        input_field=content,
        label_field=data.label_fields[0],
        group_field=data.group_field,
        num_numbers=data.label_width,
        is_named=base(found.schema.kinds[data.label_fields[0]]) == "str",
    )


def _table(found: Dataset, data: "LabelledData") -> Examples:
    files = [file for members in found.parts.values() for file in members]
    whole = tables.examples(
        files,
        columns=data.columns,
        label_fields=data.label_fields,
        labels=data.labels,
        group_field=data.group_field,
        read=lambda file: _arrow(file, found),
    )
    part_of = {file.name: split for split, members in found.parts.items() for file in members}
    split_N = np.array([part_of[name.rpartition("#")[0]] for name in whole.names])
    return replace(whole, parts={split: np.flatnonzero(split_N == split) for split in found.parts})


def _arrow(file: File, found: Dataset) -> Any:
    """A file as an Arrow table, without ids."""
    import pyarrow

    if found.format == "parquet":
        return tables.read(file).drop_columns([ID])
    rows = list(_ROWS[found.format](file, found.schema))
    return pyarrow.Table.from_pylist(rows, arrow_schema(found.schema)).drop_columns([ID])


def _lines(file: File, schema: Schema) -> Iterator[dict[str, Any]]:
    del schema
    with open(file.path, "rb") as lines:
        yield from map(json.loads, lines)


def _examples(file: File, schema: Schema) -> Iterator[dict[str, Any]]:
    kinds = {name: base(kind) for name, kind in schema.kinds.items()}
    for _, raw in ArrayRecord("").scan(file):
        if isinstance(raw, Exception):
            raise raw
        row = example.features_of(raw)
        yield {name: _cell(row[name], kind) for name, kind in kinds.items()}


def _cell(values: Sequence[Any], kind: str) -> Any:
    if not values:
        return None
    return values[0].decode() if isinstance(values[0], bytes) else bool(values[0]) if kind == "bool" else values[0]


_ROWS: Mapping[str, Callable[[File, Schema], Iterator[dict[str, Any]]]] = {"jsonl": _lines, "array_record": _examples}
