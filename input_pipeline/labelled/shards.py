"""Inputs that lie in records of files, found through an index of each file that is made once and kept by its hash.

shards/<key>.json      the index
shards/<key>.inputs    the inputs end to end, where the file gives no record alone (Parquet); written first
"""

import bisect
import contextlib
import functools
import hashlib
import itertools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from input_pipeline import cache
from input_pipeline.documents import BadRecord
from input_pipeline.files import File
from input_pipeline.labelled.copies import Copies
from input_pipeline.labelled.examples import Examples, Reader
from input_pipeline.labelled.labels import numbered
from input_pipeline.labelled.records import Input, ReadAlone, Records
from input_pipeline.progress import Progress

RECIPE = "labelled shards 3"


@dataclass(frozen=True)
class Shards:
    """The inputs of records that are read alone."""

    records: ReadAlone
    files: tuple[File, ...]
    places: tuple[tuple[int, ...], ...]  # of the records of each file

    @functools.cached_property
    def _ends(self) -> list[int]:
        return list(itertools.accumulate(map(len, self.places)))

    def read(self, indices_B: np.ndarray) -> list[Input]:
        """Inputs by number."""
        return [self._read(i) for i in indices_B.tolist()]

    def _read(self, i: int) -> Input:
        file = bisect.bisect_right(self._ends, i)
        row = i - (self._ends[file - 1] if file else 0)
        return self.records.read(self.files[file], self.places[file][row])


def examples(
    records: Records,
    parts: Mapping[str, Sequence[File]],
    *,
    labels: str,
    classes: Sequence[str] | None,
    group_of: Callable[[str], str] | None,
    cache_dir: pathlib.Path,
    progress: Progress,
) -> Examples:
    """The records of files, by the part of the source that these are ("" for none).

    Args:
      labels: "class", or anything else where they are numbers.
      classes: what the numbers of classes mean, () where nobody knows; None: labels are names of classes.
      group_of: from what the records tell to a group; None: they tell of no groups.

    Raises:
      ValueError: a file that cannot be read this way.
    """
    files = [(part, file) for part, members in parts.items() for file in members]
    indices = []
    for done, (_, file) in enumerate(files, start=1):
        indices.append(_index(records, file, cache_dir))
        progress("reading records (files)", done, len(files))
    values = [label for index in indices for label in index.label]
    if labels == "class" and classes is None:
        numbers, classes = numbered(values)
    else:
        numbers = np.array(values, np.int32 if labels == "class" else np.float32)
    of_part = np.repeat([part for part, _ in files], [len(index.place) for index in indices])
    digests = bytes.fromhex("".join(itertools.chain(*(index.sha256 for index in indices))))
    return Examples(
        reader=_reader(records, [file for _, file in files], indices, cache_dir),
        labels=numbers,
        names=[_name(file, row) for (_, file), index in zip(files, indices, strict=True) for row in index.place],
        digests=np.frombuffer(digests, np.uint8).reshape(-1, 32),
        classes=tuple(classes or ()),
        groups=np.array([group_of(each) for index in indices for each in index.group]) if group_of else None,
        parts={part: np.flatnonzero(of_part == part) for part in parts if part},
        bad=tuple(
            f"{_name(file, row)}: {reason}"
            for (_, file), index in zip(files, indices, strict=True)
            for row, reason in index.bad
        ),
    )


def _name(file: File, row: int) -> str:
    return f"{file.name}#{row:09d}"


@dataclass(frozen=True)
class _Index:
    """What is known of a file: of each sound record its place, label, group and digest; why the others are bad."""

    place: list[int]
    label: list
    group: list[str]
    size: list[int]  # of the input, in bytes
    sha256: list[str]
    bad: list[tuple[int, str]]


def _reader(records: Records, files: Sequence[File], indices: Sequence[_Index], cache_dir: pathlib.Path) -> Reader:
    if isinstance(records, ReadAlone):
        return Shards(records, tuple(files), tuple(tuple(index.place) for index in indices))
    paths = tuple(_path(records, file, cache_dir, "inputs") for file in files)
    return Copies(paths, tuple(tuple(index.size) for index in indices))


def _index(records: Records, file: File, cache_dir: pathlib.Path) -> _Index:
    path, copy = (_path(records, file, cache_dir, kind) for kind in ("json", "inputs"))
    is_copied = not isinstance(records, ReadAlone)
    if not path.is_file() or (is_copied and not copy.is_file()):
        with cache.replacing(copy) if is_copied else contextlib.nullcontext() as copied:
            made = _scan(records, file, copied)
        with cache.replacing(path) as draft:
            draft.write(json.dumps(vars(made)).encode())
    return _Index(**json.loads(path.read_bytes()))


def _scan(records: Records, file: File, copied: IO[bytes] | None) -> _Index:
    """What is known of a file; its inputs are copied where there is a file for them."""
    made = _Index([], [], [], [], [], [])
    for place, found in records.scan(file):
        if isinstance(found, BadRecord):
            made.bad.append((place, str(found)))
            continue
        made.place.append(place)
        made.label.append(found.label)
        made.group.append(found.group)
        made.size.append(memoryview(found.input).nbytes)
        made.sha256.append(hashlib.sha256(found.input).hexdigest())
        if copied:
            copied.write(found.input)
    return made


def _path(records: Records, file: File, cache_dir: pathlib.Path, kind: str) -> pathlib.Path:
    return cache_dir / "shards" / f"{cache.key(RECIPE, records, file.content.sha256.hex())[:32]}.{kind}"
