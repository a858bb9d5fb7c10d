"""ArrayRecord files: records of bytes, which hold plain text, a JSON value, or a tf.train.Example."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from input_pipeline import example, jsonl
from input_pipeline.documents import BadRecord, Content, attempt
from input_pipeline.files import File

_FILES = 64  # that stay open
_EXAMPLE = b"\n"  # the first byte of a tf.train.Example: field 1, a message


@dataclass(frozen=True)
class ArrayRecord:
    """A record's place is its number in the file. Without a `field` it is the text itself."""

    field: str

    def scan(self, file: File) -> Iterator[tuple[int, Content]]:
        for place in range(_open(file).num_records()):
            yield place, attempt(self.read, file, place)

    def read(self, file: File, place: int) -> bytes:
        try:
            [raw] = _open(file).read([place])
        except RuntimeError as error:
            raise BadRecord(f"damaged: {error}") from None
        return text_of(raw, self.field)


def text_of(raw: bytes, field: str) -> bytes:
    """The text in a field of a record, which is a tf.train.Example or JSON; "" is the whole record.

    Raises:
      BadRecord: neither of them, or no text in the field.
    """
    if not field:
        return raw
    if raw.startswith(_EXAMPLE):
        return example.text_of(raw, field)
    return jsonl.text_of(jsonl.parse(raw), field)


@functools.lru_cache(_FILES)
def _open(file: File) -> Any:
    from array_record.python import array_record_module

    # Without reading ahead: 12 us a record read at random.
    reader = array_record_module.ArrayRecordReader(
        file.path, options="readahead_buffer_size:0,max_parallelism:0", file_reader_buffer_size=1 << 15
    )
    if not reader.ok():
        raise ValueError(f"data.files: expected an ArrayRecord file, but {file.path} does not open as one")
    return reader
