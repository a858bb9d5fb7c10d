"""describe: what the split asks of each record, its size, and the types of its fields; one array for each block."""

import contextlib
import json
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from input_pipeline import cache, hashing
from input_pipeline.clean import blocks, schema
from input_pipeline.clean.record import Record
from input_pipeline.clean.similar.exact import digests
from input_pipeline.clean.spec import Split
from input_pipeline.clean.stages.cleaning import blocks_of

NAME = "describe"
FACTS = np.dtype([("id", "<u8"), ("group", "<u8"), ("stratum", "<u8"), ("time", "<f8"), ("bytes", "<i8")])


@dataclass(frozen=True)
class Describing:
    """Writes `<block>.npy` of FACTS and, after it, `<block>.json` with the types of fields."""

    source: pathlib.Path
    folder: pathlib.Path
    split: Split
    part: str  # of a record, that makes it what it is: a key of exact.PARTS

    def done(self, task: int) -> bool:
        return self._path(task, ".json").exists()

    def reads(self, task: int) -> Sequence[object]:
        return (blocks_of(self.source)[task],)

    def __call__(self, task: int) -> None:
        records = blocks.read(blocks_of(self.source)[task])
        with cache.replacing(self._path(task, ".npy")) as file:
            np.save(file, facts(records, self.split, part=self.part))
        with cache.replacing(self._path(task, ".json")) as file:
            file.write(json.dumps(schema.types_of(record.fields for record in records)).encode())

    def _path(self, task: int, suffix: str) -> pathlib.Path:
        return self.folder / f"{blocks_of(self.source)[task].stem}{suffix}"


def facts(records: Sequence[Record], split: Split, *, part: str) -> np.ndarray:
    """FACTS of each record. A record without the field of `split.by` is a group of its own."""
    found = np.zeros(len(records), FACTS)
    found["group"] = digests(records, part=part)[:, 0]
    for row, record in enumerate(records):
        if split.by and record.fields.get(split.by) is not None:
            found["group"][row] = hashing.key("group", record.fields[split.by])[0]
        if split.stratify:
            found["stratum"][row] = hashing.key("stratum", record.fields.get(split.stratify))[0]
        if split.time:
            found["time"][row] = _time(record.fields.get(split.time))
        found["id"][row] = hashing.key("id", record.id)[0]
        found["bytes"][row] = blocks.num_bytes(record)
    return found


def _time(value: object) -> float:
    """Seconds since 1970 of an ISO 8601 date or that of a mail; a number as it is. What is neither is the earliest."""
    text = str(value).strip()
    for parse in (_iso_date, _mail_date, float) if isinstance(value, str) else (float,):
        with contextlib.suppress(ValueError, TypeError, IndexError, OverflowError):
            found = parse(text)
            return found if found == found else float("-inf")
    return float("-inf")


def _iso_date(text: str) -> float:
    import datetime

    return _seconds(datetime.datetime.fromisoformat(text))


def _mail_date(text: str) -> float:
    import email.utils

    return _seconds(email.utils.parsedate_to_datetime(text))


def _seconds(moment: Any) -> float:
    """Without a zone, it is of UTC."""
    import datetime

    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def read(folder: pathlib.Path, names: Sequence[str]) -> tuple[np.ndarray, dict[str, str]]:
    """The FACTS of all records, and the types of all fields."""
    found = [np.load(folder / f"{name}.npy") for name in names]
    filled = [name for name, facts in zip(names, found, strict=True) if len(facts)]
    types = schema.together(json.loads((folder / f"{name}.json").read_bytes()) for name in filled)
    return np.concatenate([np.zeros(0, FACTS), *found]), types
