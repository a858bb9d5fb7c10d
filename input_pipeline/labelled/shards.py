"""Records of encoded images or sound beside their labels: ArrayRecord files, Parquet files, sets of TFDS."""

import bisect
import functools
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from input_pipeline import cache, example
from input_pipeline.documents import BadRecord
from input_pipeline.files import File
from input_pipeline.labelled.examples import Examples
from input_pipeline.progress import Progress
from input_pipeline.records import Format

RECIPE = "labelled shards 1"


@dataclass(frozen=True)
class Shards:
    """The bytes in one field of records that lie in files."""

    format: Format
    files: tuple[File, ...]
    places: tuple[tuple[int, ...], ...]  # of the records of each file
    field: str

    @functools.cached_property
    def _ends(self) -> list[int]:
        return list(itertools.accumulate(map(len, self.places)))

    def read(self, indices_B: np.ndarray) -> list[bytes]:
        """Encoded inputs by number."""
        return [self._read(i) for i in indices_B.tolist()]

    def _read(self, i: int) -> bytes:
        file = bisect.bisect_right(self._ends, i)
        row = i - (self._ends[file - 1] if file else 0)
        return example.text_of(self.format.read(self.files[file], self.places[file][row]), self.field)


def examples(
    parts: Mapping[str, tuple[Format, Sequence[File]]],
    *,
    input_field: str,
    label_field: str,
    classes: tuple[str, ...],
    cache_dir: Any,
    progress: Progress,
) -> Examples:
    """Records that are tf.train.Examples, by the part of the source they are in.

    Raises:
      ValueError: a file that cannot be read this way.
    """
    format = next(iter(parts.values()))[0]
    found = [(part, file) for part, (_, files) in parts.items() for file in files]
    entries = []
    for done, (part, file) in enumerate(found, start=1):
        index = _index(format, file, input_field, label_field, cache_dir)
        entries.append(_Entry(part, file, **index))
        progress("reading records (files)", done, len(found))
    of_part = np.repeat([entry.part for entry in entries], [len(entry.place) for entry in entries])
    digests = bytes.fromhex("".join(itertools.chain(*(entry.sha256 for entry in entries))))
    return Examples(
        reader=Shards(format, tuple(file for _, file in found), tuple(tuple(e.place) for e in entries), input_field),
        labels=np.array([label for entry in entries for label in entry.label], np.int32),
        names=[name for entry in entries for name in entry.names],
        digests=np.frombuffer(digests, np.uint8).reshape(-1, 32),
        classes=classes,
        parts={part: np.flatnonzero(of_part == part) for part in parts if part},
        bad=tuple(f"{entry.file.name}#{row:09d}: {reason}" for entry in entries for row, reason in entry.bad),
    )


@dataclass(frozen=True)
class _Entry:
    """What is known of one file: of each sound record its place, label and digest; of the bad ones the reasons."""

    part: str
    file: File
    place: list[int]
    label: list[int]
    sha256: list[str]
    bad: list[tuple[int, str]]

    @property
    def names(self) -> list[str]:
        return [f"{self.file.name}#{row:09d}" for row in self.place]


def _index(format: Format, file: File, input_field: str, label_field: str, cache_dir: Any) -> dict[str, list]:
    """Place, label and digest of each sound record of a file, and the bad ones; made once."""
    made = cache.key(RECIPE, format, file.content.sha256.hex(), input_field, label_field)
    path = cache_dir / "shards" / f"{made[:32]}.json"
    if not path.is_file():
        index: dict[str, list] = {"place": [], "label": [], "sha256": [], "bad": []}
        for place, content in format.scan(file):
            try:
                if isinstance(content, Exception):
                    raise content
                label = example.number_of(content, label_field)
                digest = hashlib.sha256(example.text_of(content, input_field)).hexdigest()
            except BadRecord as error:
                index["bad"].append([place, str(error)])
                continue
            for key, value in (("place", place), ("label", label), ("sha256", digest)):
                index[key].append(value)
        with cache.replacing(path) as draft:
            draft.write(json.dumps(index).encode())
    return json.loads(path.read_bytes())
