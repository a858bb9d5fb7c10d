"""Blocks: some hundred records in one Parquet file, and beside it the ledger's lines of what was taken out of them.

A block appears whole or not at all, and its ledger before it: where `<name>.parquet` lies, all is done. What was
counted on the way stands in the file's own metadata.
"""

import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from input_pipeline import cache
from input_pipeline.clean.record import CHANGED, Entry, Record, as_json

# Part of every stage's key: changes whenever a block would be written otherwise.
FORMAT = "blocks 1"
MAX_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Of a block, or of many: what came in, what went out, and how often each rule removed or changed a record."""

    records_in: int = 0
    records_out: int = 0
    bytes_in: int = 0  # of text and payload
    bytes_out: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        added = {name: getattr(self, name) + getattr(other, name) for name in _NUMBERS}
        return Counts(**added, removed=_sum(self.removed, other.removed), changed=_sum(self.changed, other.changed))


_NUMBERS = ("records_in", "records_out", "bytes_in", "bytes_out")


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {rule: one.get(rule, 0) + other.get(rule, 0) for rule in sorted(one | other)}


def count(before: Sequence[Record], after: Sequence[Record], entries: Iterable[Entry]) -> Counts:
    """What a step, or several, did to the records of a block."""
    removed: dict[str, int] = {}
    changed: dict[str, int] = {}
    for entry in entries:
        rules = changed if entry.action == CHANGED else removed
        rules[entry.rule] = rules.get(entry.rule, 0) + 1
    return Counts(
        records_in=len(before),
        records_out=len(after),
        bytes_in=sum(map(num_bytes, before)),
        bytes_out=sum(map(num_bytes, after)),
        removed=_sum(removed, {}),
        changed=_sum(changed, {}),
    )


def num_bytes(record: Record) -> int:
    """Of its text, in UTF-8, and its payload."""
    return len(record.text.encode()) + len(record.payload)


def write(path: pathlib.Path, records: Sequence[Record], entries: Sequence[Entry], counts: Counts, stage: str) -> None:
    """A block and its ledger; the block comes last."""
    import pyarrow
    import pyarrow.parquet

    with cache.replacing(ledger_of(path)) as file:
        file.writelines(_line(as_json(entry, stage)) for entry in entries)
    columns = {
        "id": pyarrow.array([record.id for record in records], pyarrow.string()),
        "text": pyarrow.array([record.text for record in records], pyarrow.large_string()),
        "payload": pyarrow.array([record.payload for record in records], pyarrow.large_binary()),
        "fields": pyarrow.array([_compact(dict(record.fields)) for record in records], pyarrow.large_string()),
    }
    table = pyarrow.table(columns).replace_schema_metadata({"counts": _compact(asdict(counts))})
    with cache.replacing(path) as file:
        pyarrow.parquet.write_table(table, file, compression="zstd", use_dictionary=False, write_statistics=False)


def read(path: pathlib.Path) -> list[Record]:
    """The records of a block."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        columns = file.read().to_pydict()
    rows = zip(columns["id"], columns["text"], columns["payload"], columns["fields"], strict=True)
    return [Record(id, text, payload, json.loads(fields)) for id, text, payload, fields in rows]


def counts_of(path: pathlib.Path) -> Counts:
    """What was counted when the block was written."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        return Counts(**json.loads(file.schema_arrow.metadata[b"counts"]))


def ids_of(path: pathlib.Path) -> list[str]:
    """Of the records of a block."""
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path, columns=["id"])["id"].to_pylist()


def ids_at(paths: Sequence[pathlib.Path], offsets: Sequence[int], numbers: np.ndarray) -> dict[int, str]:
    """The ids of these records; `offsets`: the number of each block's first record, and the number of all."""
    import pyarrow.parquet

    wanted = np.unique(numbers)
    found: dict[int, str] = {}
    for path, low, high in zip(paths, offsets, offsets[1:], strict=False):
        begin, end = np.searchsorted(wanted, [low, high])
        if end > begin:
            ids = pyarrow.parquet.read_table(path, columns=["id"])["id"]
            found |= {number: ids[number - low].as_py() for number in wanted[begin:end].tolist()}
    return found


def ledger_of(path: pathlib.Path) -> pathlib.Path:
    """Where the ledger's lines of a block lie."""
    return path.with_suffix(".jsonl")


def cut(found: Iterable[Record | Entry], *, most: int) -> Iterator[list[Record | Entry]]:
    """Runs of what was found, each of at most `most`, and of MAX_BYTES unless one alone is larger."""
    block: list[Record | Entry] = []
    size = 0
    for each in found:
        more = num_bytes(each) if isinstance(each, Record) else 0
        if block and (len(block) == most or size + more > MAX_BYTES):
            yield block
            block, size = [], 0
        block.append(each)
        size += more
    if block:
        yield block


def listed(folder: pathlib.Path) -> list[pathlib.Path]:
    """The blocks of a stage, in order."""
    with os.scandir(folder) as entries:
        return sorted(pathlib.Path(entry.path) for entry in entries if entry.name.endswith(".parquet"))


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _line(value: Any) -> bytes:
    return (_compact(value) + "\n").encode("utf-8", "backslashreplace")
