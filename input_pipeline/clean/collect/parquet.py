"""Parquet: a row is a record. Row groups are read in pieces; a damaged one costs its own rows alone."""

import errno
from collections.abc import Iterator
from typing import Any

from input_pipeline.clean.collect import rows
from input_pipeline.clean.collect.content import FREE_BYTES, Content, Refused
from input_pipeline.clean.collect.spec import ALL, Collect
from input_pipeline.clean.record import Entry, Record

_PIECE_BYTES, _MAX_ROWS = 16 << 20, 1_024  # of a piece, by what the file says of itself
_BUFFER_BYTES = 1 << 20


def read(content: Content) -> Iterator[Record | Entry]:
    """The rows, named by their numbers from 0; what is lost of a damaged row group is one entry at its first row."""
    begin = 0
    with content.file() as file:
        opened = _open(file)
        columns = _columns(opened.schema_arrow, content.spec)
        for group in range(opened.metadata.num_row_groups):
            row, end = begin, begin + opened.metadata.row_group(group).num_rows
            for cells in _cells(opened, group, columns, content.spec):
                id = f"{content.name}#{row}"
                if isinstance(cells, Refused):
                    yield cells.entry(id)
                else:
                    yield from rows.record(cells, id, content.spec)
                row += 1
            begin = end


def _open(file: Any) -> Any:
    """The file, its columns of text as dictionaries: a long text that stands in many rows is in memory once."""
    from pyarrow import ArrowException, parquet, types

    options = dict(page_checksum_verification=True, pre_buffer=False, buffer_size=_BUFFER_BYTES)
    try:
        opened = parquet.ParquetFile(file, **options)
        texts = [column.name for column in opened.schema_arrow if types.is_string(column.type)]
        return parquet.ParquetFile(file, metadata=opened.metadata, read_dictionary=texts, **options)
    except (ArrowException, OSError, ValueError) as error:
        raise _refused(error) from None


def _columns(schema: Any, spec: Collect) -> list[str]:
    """Those that are asked for; of all others, the ones that hold one value a row and are no bytes."""
    from pyarrow import types

    taken = [*filter(None, (spec.field, spec.payload_field, spec.id_field))]
    wanted = [*taken, *(() if spec.fields == ALL else spec.fields)]
    tops = {name if name in schema.names else name.partition(".")[0] for name in wanted}
    if missing := [name for name in taken if not tops & {name, name.partition(".")[0]} & {*schema.names}]:
        raise Refused("field", ", ".join(map(repr, schema.names))[:200], missing[0])
    if spec.fields == ALL:
        tests = (types.is_nested, types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
        tops |= {column.name for column in schema if not any(test(column.type) for test in tests)}
    return [name for name in schema.names if name in tops]


def _cells(opened: Any, group: int, columns: list[str], spec: Collect) -> Iterator[dict[str, Any] | Refused]:
    """The rows of one row group, up to where it is damaged."""
    from pyarrow import ArrowException

    told = opened.metadata.row_group(group)
    packed = sum(max(0, told.column(i).total_compressed_size) for i in range(told.num_columns))
    if told.total_byte_size > max(FREE_BYTES, spec.max_ratio * packed):
        yield Refused("ratio", round(told.total_byte_size / max(1, packed), 1), spec.max_ratio)
        return
    size = max(1, min(_MAX_ROWS, _PIECE_BYTES * told.num_rows // max(1, told.total_byte_size)))
    try:
        batches = opened.iter_batches(batch_size=size, row_groups=[group], columns=columns, use_threads=False)
        for batch in batches:
            yield from _values(batch)
    except (ArrowException, OSError, ValueError) as error:
        yield _refused(error)


def _values(batch: Any) -> Iterator[dict[str, Any] | Refused]:
    """Rows as Python's values; one by one where some of them are none, such as text that is not UTF-8."""
    try:
        columns = [_cells_of(column) for column in batch.columns]
    except (ValueError, OverflowError):
        if batch.num_rows == 1:
            yield Refused("parquet", "values that are none, such as text that is not UTF-8", "values")
        else:
            for row in range(batch.num_rows):
                yield from _values(batch.slice(row, 1))
        return
    for cells in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, cells, strict=True))


def _cells_of(column: Any) -> list[Any]:
    if not hasattr(column, "dictionary"):
        return column.to_pylist()
    if len(column) == 1:
        return [column[0].as_py()]
    values = column.dictionary.to_pylist()
    return [None if index is None else values[index] for index in column.indices.to_pylist()]


def _refused(error: Exception) -> Refused:
    """What a fault of the file is called; raises what is the machine's."""
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise error
    return Refused("parquet", " ".join(str(error).split())[:200], "a sound Parquet file")
