"""ArrayRecord, and with it the sets of TFDS: records of JSON, of tf.train.Example, or of plain text."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from input_pipeline import example
from input_pipeline.clean.collect import charset, jsonl, rows, text
from input_pipeline.clean.collect.content import Content, Refused
from input_pipeline.clean.record import Entry, Record
from input_pipeline.documents import BadRecord

_EXAMPLE = b"\n"  # the first byte of a tf.train.Example: field 1, a message


def read(content: Content) -> Iterator[Record | Entry]:
    """The records, named by their numbers from 0. Without a `field`, a record is the text itself."""
    with content.file() as file, contextlib.closing(_open(file.name)) as reader:
        for number in range(reader.num_records()):
            id = f"{content.name}#{number}"
            try:
                yield from _record(_raw(reader, number), id, content)
            except Refused as refused:
                yield refused.entry(id)


def _open(path: str) -> Any:
    from array_record.python import array_record_module

    reader = array_record_module.ArrayRecordReader(
        path, options="readahead_buffer_size:0,max_parallelism:0", file_reader_buffer_size=1 << 16
    )
    if not reader.ok():
        raise Refused("array_record", "does not open", "an ArrayRecord file")
    return reader


def _raw(reader: Any, number: int) -> bytes:
    try:
        [raw] = reader.read([number])
    except RuntimeError as error:
        raise Refused("array_record", " ".join(str(error).split())[:200], "a sound record") from None
    return raw


def _record(raw: bytes, id: str, content: Content) -> Iterator[Record | Entry]:
    spec = content.spec
    if len(raw) > spec.max_record_bytes:
        raise Refused("record_bytes", len(raw), spec.max_record_bytes)
    if not (spec.field or spec.payload_field):
        yield from text.document(id, *charset.decode(raw))
    elif raw.startswith(_EXAMPLE):
        yield from rows.record(_features(raw, spec.payload_field), id, spec)
    else:
        yield from rows.record(jsonl.parse(charset.decode(raw)[0]), id, spec)


def _features(raw: bytes, payload_field: str) -> Mapping[str, Any]:
    """The features of a tf.train.Example: what holds one value is that value, and text where it is UTF-8."""
    try:
        features = example.features_of(raw)
    except BadRecord as error:
        raise Refused("example", str(error)[:200], "a tf.train.Example") from None
    return {
        (field := name.replace("/", ".")): _value(values, is_text=field != payload_field)
        for name, values in features.items()
    }


def _value(values: list[Any], *, is_text: bool) -> Any:
    if len(values) != 1:
        return values
    if is_text and isinstance(values[0], bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return values[0].decode()
    return values[0]
