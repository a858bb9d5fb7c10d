"""How a cleaned dataset is written: JSON lines, Parquet, or ArrayRecord with the metadata of TFDS.

The columns are the same in all: `id`, then `text` or the payload (`image`, `audio`), then every field that any record
has, each of one type in the whole dataset.
"""

import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from input_pipeline import cache, example
from input_pipeline.clean.record import Fields, Record

CONTENT = {"text": "text", "image": "image", "audio": "audio", "table": ""}  # by modality: its column
# From the narrowest to the widest: what can stand for the others.
TYPES = ("null", "bool", "int", "float", "str")
_TYPE_OF = {type(None): "null", bool: "bool", int: "int", float: "float", str: "str"}
_INT64 = 1 << 63


@dataclass(frozen=True)
class Schema:
    """The columns of a dataset."""

    modality: str
    types: Mapping[str, str]  # field -> one of TYPES

    def row(self, record: Record) -> dict[str, Any]:
        """A record's cells, in the order of the columns."""
        content = CONTENT[self.modality]
        row: dict[str, Any] = {"id": record.id}
        if content:
            row[content] = record.text if content == "text" else record.payload
        return row | {name: _as(record.fields.get(name), kind) for name, kind in self.types.items() if name not in row}


def types_of(fields: Iterable[Fields]) -> dict[str, str]:
    """The narrowest type of each field that holds all its values."""
    found: dict[str, str] = {}
    for each in fields:
        for name, value in each.items():
            kind = "float" if type(value) is int and abs(value) >= _INT64 else _TYPE_OF[type(value)]
            found[name] = wider(found.get(name, "null"), kind)
    return found


def wider(one: str, other: str) -> str:
    """The narrowest type that holds the values of both; a truth value beside a number is written as text."""
    low, high = sorted((one, other), key=TYPES.index)
    return "str" if low == "bool" and high in ("int", "float") else high


def _as(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "str" and not isinstance(value, str):
        return json.dumps(value)
    return float(value) if kind == "float" else value


class Format(Protocol):
    """How files of records are written."""

    def name(self, dataset: str, split: str, shard: int, num_shards: int) -> str:
        """Of a file."""

    def write(self, path: pathlib.Path, records: Iterable[Record], schema: Schema) -> None:
        """A file, whole or not at all, in memory for no more than some records."""

    def finish(
        self, folder: pathlib.Path, dataset: str, schema: Schema, splits: Mapping[str, Sequence[tuple[int, int]]]
    ) -> None:
        """What describes all files; `splits`: the (records, bytes) of each file."""


class Jsonl:
    """One object a line."""

    def name(self, dataset: str, split: str, shard: int, num_shards: int) -> str:
        return f"{split}-{shard:05d}-of-{num_shards:05d}.jsonl"

    def write(self, path: pathlib.Path, records: Iterable[Record], schema: Schema) -> None:
        with cache.replacing(path) as file:
            for record in records:
                line = json.dumps(schema.row(record), ensure_ascii=False, allow_nan=False)
                file.write(line.encode() + b"\n")

    def finish(
        self, folder: pathlib.Path, dataset: str, schema: Schema, splits: Mapping[str, Sequence[tuple[int, int]]]
    ) -> None:
        del folder, dataset, schema, splits


class Parquet:
    """Columns, in row groups of some hundred records."""

    _ROWS = 512

    def name(self, dataset: str, split: str, shard: int, num_shards: int) -> str:
        return f"{split}-{shard:05d}-of-{num_shards:05d}.parquet"

    def write(self, path: pathlib.Path, records: Iterable[Record], schema: Schema) -> None:
        import pyarrow
        import pyarrow.parquet

        columns = self._columns(schema)
        with cache.replacing(path) as file, pyarrow.parquet.ParquetWriter(file, columns, compression="zstd") as writer:
            rows: list[dict[str, Any]] = []
            for record in records:
                rows.append(schema.row(record))
                if len(rows) == self._ROWS:
                    writer.write_table(pyarrow.Table.from_pylist(rows, columns))
                    rows = []
            if rows:
                writer.write_table(pyarrow.Table.from_pylist(rows, columns))

    def _columns(self, schema: Schema) -> Any:
        import pyarrow

        kinds = {
            "null": pyarrow.string(),
            "bool": pyarrow.bool_(),
            "int": pyarrow.int64(),
            "float": pyarrow.float64(),
            "str": pyarrow.large_string(),
        }
        content = CONTENT[schema.modality]
        columns = {"id": pyarrow.string()}
        if content:
            columns[content] = pyarrow.large_string() if content == "text" else pyarrow.large_binary()
        return pyarrow.schema(
            columns | {name: kinds[kind] for name, kind in schema.types.items() if name not in columns}
        )

    def finish(
        self, folder: pathlib.Path, dataset: str, schema: Schema, splits: Mapping[str, Sequence[tuple[int, int]]]
    ) -> None:
        del folder, dataset, schema, splits


class ArrayRecord:
    """tf.train.Examples, and the files that `tfds.builder_from_directory` reads.

    There is no missing value in an Example: text is "", a number -1 or NaN. Sound is its encoded bytes, since
    TFDS decodes its own `Audio` with TensorFlow alone.
    """

    _MISSING: Mapping[str, Any] = {"null": "", "str": "", "bool": 0, "int": -1, "float": float("nan")}

    def name(self, dataset: str, split: str, shard: int, num_shards: int) -> str:
        return f"{dataset}-{split}.array_record-{shard:05d}-of-{num_shards:05d}"

    def write(self, path: pathlib.Path, records: Iterable[Record], schema: Schema) -> None:
        from array_record.python import array_record_module

        with cache.replacing(path) as file:
            writer = array_record_module.ArrayRecordWriter(file.name, "group_size:1")
            try:
                for record in records:
                    writer.write(example.encode(self._filled(schema.row(record), schema)))
            finally:
                writer.close()

    def _filled(self, row: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
        return {name: self._MISSING[schema.types[name]] if value is None else value for name, value in row.items()}

    def finish(
        self, folder: pathlib.Path, dataset: str, schema: Schema, splits: Mapping[str, Sequence[tuple[int, int]]]
    ) -> None:
        import tensorflow_datasets as tfds

        infos = [
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[num_records for num_records, _ in files],
                num_bytes=sum(num_bytes for _, num_bytes in files),
                filename_template=tfds.core.ShardedFileTemplate(
                    data_dir=folder, dataset_name=dataset, split=split, filetype_suffix="array_record"
                ),
            )
            for split, files in splits.items()
        ]
        tfds.folder_dataset.write_metadata(
            data_dir=folder, features=self._features(schema), split_infos=infos, check_data=False
        )

    def _features(self, schema: Schema) -> Any:
        import numpy as np
        from tensorflow_datasets import features

        kinds = {"null": features.Text, "str": features.Text}
        numbers = {"bool": np.bool_, "int": np.int64, "float": np.float32}
        content = CONTENT[schema.modality]
        contents = {
            "text": features.Text,
            "image": lambda: features.Image(shape=(None, None, None)),
            "audio": lambda: features.Tensor(shape=(), dtype=np.bytes_),
        }
        found = {"id": features.Text()} | ({content: contents[content]()} if content else {})
        return features.FeaturesDict(
            found
            | {
                name: kinds[kind]() if kind in kinds else features.Scalar(numbers[kind])
                for name, kind in schema.types.items()
                if name not in found
            }
        )


FORMATS: Mapping[str, Format] = {"array_record": ArrayRecord(), "parquet": Parquet(), "jsonl": Jsonl()}
