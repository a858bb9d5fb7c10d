"""How a cleaned dataset is written: JSON lines, Parquet, or ArrayRecord with the metadata of TFDS.

The columns are the same in all (`schema.py`), and so is the order of records. The same records give the same bytes.
"""

import json
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from input_pipeline import cache, example
from input_pipeline.clean.record import Record
from input_pipeline.clean.schema import ID, Schema, base

_ROWS = 512  # of a row group, at most,
_BYTES = 8 << 20  # and of text and payload in it, unless a record alone is larger


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
    """One object a line; a missing value is null. JSON has no infinity: it is written 1e999, which reads as one."""

    def name(self, dataset: str, split: str, shard: int, num_shards: int) -> str:
        return f"{split}-{shard:05d}-of-{num_shards:05d}.jsonl"

    def write(self, path: pathlib.Path, records: Iterable[Record], schema: Schema) -> None:
        with cache.replacing(path) as file:
            for record in records:
                file.write(self._line(schema.row(record)).encode() + b"\n")

    def _line(self, row: Mapping[str, Any]) -> str:
        cells = (f"{json.dumps(name, ensure_ascii=False)}: {self._cell(value)}" for name, value in row.items())
        return f"{{{', '.join(cells)}}}"

    def _cell(self, value: Any) -> str:
        if isinstance(value, float) and math.isinf(value):
            return "1e999" if value > 0 else "-1e999"
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    def finish(
        self, folder: pathlib.Path, dataset: str, schema: Schema, splits: Mapping[str, Sequence[tuple[int, int]]]
    ) -> None:
        del folder, dataset, schema, splits


class Parquet:
    """Columns, in row groups of some megabytes; a missing value is null."""

    def name(self, dataset: str, split: str, shard: int, num_shards: int) -> str:
        return f"{split}-{shard:05d}-of-{num_shards:05d}.parquet"

    def write(self, path: pathlib.Path, records: Iterable[Record], schema: Schema) -> None:
        import pyarrow
        import pyarrow.parquet

        columns = arrow_schema(schema)
        with cache.replacing(path) as file, pyarrow.parquet.ParquetWriter(file, columns, compression="zstd") as writer:
            for group in _groups(records):
                rows = [schema.row(record) for record in group]
                writer.write_table(pyarrow.Table.from_pylist(rows, columns))

    def finish(
        self, folder: pathlib.Path, dataset: str, schema: Schema, splits: Mapping[str, Sequence[tuple[int, int]]]
    ) -> None:
        del folder, dataset, schema, splits


def arrow_schema(schema: Schema) -> Any:
    """The columns as Arrow has them."""
    import pyarrow

    kinds = {
        "null": pyarrow.large_string(),
        "bool": pyarrow.bool_(),
        "int": pyarrow.int64(),
        "long": pyarrow.int64(),
        "float": pyarrow.float64(),
        "str": pyarrow.large_string(),
    }
    columns = {ID: pyarrow.string()}
    if schema.content:
        columns[schema.content] = pyarrow.large_string() if schema.content == "text" else pyarrow.large_binary()
    return pyarrow.schema(columns | {name: kinds[base(kind)] for name, kind in schema.kinds.items()})


def _groups(records: Iterable[Record]) -> Iterator[list[Record]]:
    group: list[Record] = []
    size = 0
    for record in records:
        more = len(record.text) + len(record.payload)
        if group and (len(group) == _ROWS or size + more > _BYTES):
            yield group
            group, size = [], 0
        group.append(record)
        size += more
    if group:
        yield group


class ArrayRecord:
    """tf.train.Examples, and the files that `tfds.builder_from_directory` reads.

    A column that some record lacks is a list of one value, or of none. Fractions have 32 bits in an Example: what needs
    64 is for Parquet. Sound is its encoded bytes, since TFDS decodes its own `Audio` with TensorFlow alone; so are
    pictures whose channels differ, of which TFDS without OpenCV can read no grey ones.
    """

    _EMPTY: Mapping[str, type] = {"null": bytes, "str": bytes, "bool": int, "int": int, "long": int, "float": float}

    def name(self, dataset: str, split: str, shard: int, num_shards: int) -> str:
        return f"{dataset}-{split}.array_record-{shard:05d}-of-{num_shards:05d}"

    def write(self, path: pathlib.Path, records: Iterable[Record], schema: Schema) -> None:
        from array_record.python import array_record_module

        empty = {name: self._EMPTY[base(kind)] for name, kind in schema.kinds.items()}
        with cache.replacing(path) as file:
            writer = array_record_module.ArrayRecordWriter(file.name, "group_size:1")
            try:
                for record in records:
                    row = schema.row(record)
                    filled = {name: empty[name] if value is None else value for name, value in row.items()}
                    writer.write(example.encode(filled))
            finally:
                writer.close()

    def finish(
        self, folder: pathlib.Path, dataset: str, schema: Schema, splits: Mapping[str, Sequence[tuple[int, int]]]
    ) -> None:
        if not splits:
            return  # TFDS knows no dataset without a record
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
        from tensorflow_datasets import features

        found = {ID: features.Text()}
        if schema.content:
            found[schema.content] = self._content(schema)
        return features.FeaturesDict(found | {name: self._feature(kind) for name, kind in schema.kinds.items()})

    def _content(self, schema: Schema) -> Any:
        import numpy as np
        from tensorflow_datasets import features

        if schema.content == "text":
            return features.Text()
        if schema.content == "image" and schema.channels:
            return features.Image(shape=(None, None, schema.channels))
        return features.Tensor(shape=(), dtype=np.bytes_)

    def _feature(self, kind: str) -> Any:
        import numpy as np
        from tensorflow_datasets import features

        numbers = {"bool": np.bool_, "int": np.int64, "long": np.int64, "float": np.float32}
        known = base(kind)
        if known not in numbers:
            return features.Sequence(features.Text()) if known != kind or kind == "null" else features.Text()
        return features.Tensor(shape=() if known == kind else (None,), dtype=numbers[known])


FORMATS: Mapping[str, Format] = {"array_record": ArrayRecord(), "parquet": Parquet(), "jsonl": Jsonl()}
