"""Records that hold an input beside its label: tf.train.Examples, and rows of Parquet files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np

from input_pipeline import example, parquet
from input_pipeline.documents import BadRecord
from input_pipeline.files import File
from input_pipeline.labelled.labels import is_empty
from input_pipeline.records import Format

Input: TypeAlias = bytes | np.ndarray  # a file's bytes, or int16 samples of sound


class Record(NamedTuple):
    """An input, its label (a class, or a list of numbers) and its group."""

    input: Any  # an `Input`
    label: Any
    group: str = ""


class Records(Protocol):
    """How the records of a file are found. A frozen dataclass: its `repr` says what it reads."""

    def scan(self, file: File) -> Iterator[tuple[int, Record | BadRecord]]:
        """Place and content of all records, in order."""


@runtime_checkable
class ReadAlone(Records, Protocol):
    """Records of which one is read without its neighbours."""

    def read(self, file: File, place: int) -> Input:
        """One input. Raises a BadRecord where there is none."""


@dataclass(frozen=True)
class ExampleRecords:
    """tf.train.Examples that lie in records of another format.

    `num_numbers`: how many numbers a label is; 0 where it is a class. `is_named`: a class is called by its name.
    """

    records: Format
    input_field: str
    label_field: str
    group_field: str = ""
    num_numbers: int = 0
    is_named: bool = False

    def scan(self, file: File) -> Iterator[tuple[int, Record | BadRecord]]:
        for place, content in self.records.scan(file):
            try:
                yield place, self._record(content)
            except BadRecord as error:
                yield place, error

    def read(self, file: File, place: int) -> Input:
        return example.input_of(self.records.read(file, place), self.input_field)

    def _record(self, content: bytes | BadRecord) -> Record:
        if isinstance(content, BadRecord):
            raise content
        label: Any
        if self.num_numbers:
            label = example.numbers_of(content, self.label_field, count=self.num_numbers)
        elif self.is_named:
            label = _text(content, self.label_field)
        else:
            label = example.number_of(content, self.label_field)
        group = _text(content, self.group_field) if self.group_field else ""
        return Record(example.input_of(content, self.input_field), label, group)


@dataclass(frozen=True)
class ParquetRecords:
    """Rows of Parquet files; `input_field` may be `a.b`, a part of a struct. Several labels are numbers.

    A row is not read alone: a file is compressed in groups of rows, of a hundred pictures or a thousand.
    """

    input_field: str
    label_fields: tuple[str, ...]
    group_field: str = ""
    is_class: bool = True

    def scan(self, file: File) -> Iterator[tuple[int, Record | BadRecord]]:
        groups = [self.group_field] if self.group_field else []
        cells = parquet.cells(file, [*self.label_fields, *groups])
        inputs = parquet.Parquet(self.input_field).scan(file)
        for (place, content), row in zip(inputs, zip(*cells, strict=True), strict=True):
            empty = [name for name, cell in zip([*self.label_fields, *groups], row, strict=True) if is_empty(cell)]
            if isinstance(content, BadRecord):
                yield place, content
            elif empty:
                yield place, BadRecord(f"column {empty[0]!r} is empty")
            else:
                yield place, self._record(content, row)

    def _record(self, content: bytes, row: tuple[Any, ...]) -> Record:
        labels = row[: len(self.label_fields)]
        name = labels[0] if isinstance(labels[0], int | float | str) else str(labels[0])
        return Record(content, name if self.is_class else list(labels), str(row[-1]) if self.group_field else "")


def _text(content: bytes, field: str) -> str:
    """Raises BadRecord: there is none, or it is no UTF-8."""
    try:
        return example.text_of(content, field).decode()
    except UnicodeDecodeError:
        raise BadRecord(f"feature {field!r} is no UTF-8") from None
