"""Files of many records: each record a document, found by number through an index of its file.

A file is read through once. Its index, kept under the hash of the file's bytes, says for each record where it
begins, how long its text is and what that hashes to, and so which records hold no text. From then on a record is
read alone, and no file is ever held in memory.

    records/<key>.npy    RECORD [records], memory-mapped
"""

import bisect
import functools
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from input_pipeline import cache, documents, workers
from input_pipeline.documents import BadRecord, Content, Documents, attempt, why_bad
from input_pipeline.files import File
from input_pipeline.progress import Progress, quiet

# Changes whenever an index would be another for the same bytes.
RECIPE = "records 1"
RECORD = np.dtype([("place", "<i8"), ("num_bytes", "<i8"), ("sha256", "u1", 32)])
_MADE = np.dtype([("place", "<i8"), ("num_bytes", "<i8"), ("sha256", "V32")])  # the same bytes, faster to fill
# Below this much to read, processes cost more than they bring.
_BYTES_PER_WORKER = 16 << 20
_NAMED = 3  # bad records in an error
_LINES = 1 << 16  # records whose lines are in memory at a time


class Format(Protocol):
    """How the records of a file are found and read. A frozen dataclass: its `repr` says what it reads."""

    def scan(self, file: File) -> Iterator[tuple[int, Content]]:
        """Place and content of all records, in order.

        Raises:
          ValueError: nothing in the file can be read this way.
        """

    def read(self, file: File, place: int) -> bytes:
        """The text of the record in this place.

        Raises:
          BadRecord: it holds none.
        """


@dataclass(frozen=True)
class Records(Documents):
    """The records of some files, in order; named `file#000000012`. Reads are held to what the index says."""

    files: tuple[File, ...]
    format: Format
    indices: tuple[pathlib.Path, ...]

    @functools.cached_property
    def _tables(self) -> list[np.ndarray]:
        return [np.asarray(np.load(path, mmap_mode="r")) for path in self.indices]

    @functools.cached_property
    def _ends(self) -> list[int]:
        """The number of records up to the end of each file."""
        return list(itertools.accumulate(map(len, self._tables)))

    def __len__(self) -> int:
        return self._ends[-1]

    def name(self, i: int) -> str:
        file, row = self._locate(i)
        return f"{self.files[file].name}#{row:09d}"

    def num_bytes(self, i: int) -> int:
        file, row = self._locate(i)
        return int(self._tables[file]["num_bytes"][row])

    def digest(self, i: int) -> bytes:
        file, row = self._locate(i)
        return self._tables[file]["sha256"][row].tobytes()

    def read(self, i: int) -> bytes:
        file, row = self._locate(i)
        entry = self._tables[file][row]
        content = attempt(self.format.read, self.files[file], int(entry["place"]))
        if documents.digest(content) != entry["sha256"].tobytes():
            raise ValueError(
                f"expected {self.files[file].path} as it was when the run began, but it has changed; run again"
            )
        if isinstance(content, BadRecord):
            raise content
        return content

    def bad(self) -> np.ndarray:
        """int64, the numbers of the bad records."""
        found = [np.flatnonzero(~table["sha256"].any(axis=1)) for table in self._tables]
        return np.concatenate([begin + rows for begin, rows in zip(self._begins, found, strict=True)])

    def lines(self, members: np.ndarray) -> Iterator[bytes]:
        """As `Documents` has it, for millions of records: nothing is sorted but numbers, and no name is spelt alone."""
        if not self._in_order:
            yield from super().lines(members)
            return
        members = np.sort(members)
        edges = np.searchsorted(members, [*self._begins, len(self)])
        for file, (first, last) in enumerate(itertools.pairwise(edges)):
            for start in range(first, last, _LINES):
                rows = members[start : min(start + _LINES, last)] - self._begins[file]
                yield _lines(self._prefixes[file], rows, self._tables[file]["sha256"][rows])

    @functools.cached_property
    def _begins(self) -> list[int]:
        """The number of the first record of each file."""
        return [0, *self._ends[:-1]]

    @functools.cached_property
    def _prefixes(self) -> list[bytes]:
        """What all names of each file begin with."""
        return [documents.encode(f"{file.name}#") for file in self.files]

    @property
    def _in_order(self) -> bool:
        """Whether names sort as their records are numbered."""
        pairs = itertools.pairwise(self._prefixes)
        return max(map(len, self._tables)) <= 10**9 and all(a < b and not b.startswith(a) for a, b in pairs)

    def _locate(self, i: int) -> tuple[int, int]:
        """-> file, and row in it."""
        i = range(len(self))[i]
        file = bisect.bisect_right(self._ends, i)
        return file, i - self._begins[file]

    def __reduce__(self):
        return Records, (self.files, self.format, self.indices)


def _lines(prefix: bytes, rows: np.ndarray, sha256: np.ndarray) -> bytes:
    """The line of each of these rows of one file, which `Documents.lines` would give; sha256 is [rows, 32]."""
    head = np.frombuffer(b"%d %b" % (len(prefix) + 9, prefix), np.uint8)
    digits = rows[:, None] // 10 ** np.arange(8, -1, -1) % 10 + ord("0")
    columns = [np.tile(head, (len(rows), 1)), digits, np.full((len(rows), 1), ord(" ")), sha256]
    lines = np.concatenate([*columns, np.full((len(rows), 1), ord("\n"))], axis=1)
    return lines.astype(np.uint8).tobytes()


def open_records(
    format: Format,
    files: Sequence[File],
    *,
    max_bad: float,
    cache_dir: pathlib.Path,
    num_workers: int = 0,
    progress: Progress = quiet,
) -> Records:
    """The records of these files, which are indexed now unless they were before.

    Args:
      max_bad: the greatest share of records that may be bad.
      num_workers: processes that read files through; 0 does it here.

    Raises:
      ValueError: no records, or too many bad ones; a file that cannot be read this way.
    """
    indexer = _Indexer(format, cache_dir)
    indexer.index(files, num_workers=num_workers, progress=progress)
    source = Records(tuple(files), format, tuple(map(indexer.path, files)))
    if not len(source):
        raise ValueError(f"data: expected records, got none in {len(files)} files, the first of them {files[0].path}")
    _check(source, max_bad=max_bad)
    return source


def _check(source: Records, *, max_bad: float) -> None:
    bad = source.bad()
    share = len(bad) / len(source)
    if share > max_bad:
        first = "; ".join(why_bad(source, i) for i in bad[:_NAMED])
        raise ValueError(
            f"data.max_bad: expected at most {max_bad * 100:g}% of the records to be bad, "
            f"got {len(bad)} of {len(source)}: {first}; write another data.field, mend them, or let them count for "
            f"nothing with --config.data.max_bad={min(1.0, float(f'{share * 1.1:.2g}'))}"
        )


@dataclass(frozen=True)
class _Indexer:
    """Makes indices; pickles to the processes that help."""

    format: Format
    cache_dir: pathlib.Path

    def path(self, file: File) -> pathlib.Path:
        return self.cache_dir / "records" / f"{cache.key(RECIPE, self.format, file.content.sha256.hex())[:32]}.npy"

    def index(self, files: Sequence[File], *, num_workers: int, progress: Progress) -> None:
        """Make every index that is not there yet."""
        missing = [file for file in files if not self.path(file).is_file()]
        total = sum(file.content.num_bytes for file in missing)
        num_workers = min(num_workers, len(missing), total // _BYTES_PER_WORKER)
        done = 0
        for num_bytes in workers.completed(self._make, missing, num_workers=num_workers):
            done += num_bytes
            progress("reading records (bytes)", done, total)

    def _make(self, file: File) -> int:
        """One index, unless another process was faster. -> bytes of the file."""
        path = self.path(file)
        with cache.locked(path.with_suffix(".lock")):
            if not path.is_file():
                table = np.fromiter(self._rows(file), _MADE).view(RECORD)
                with cache.replacing(path) as draft:
                    np.save(draft, table)
        return file.content.num_bytes

    def _rows(self, file: File) -> Iterator[tuple[int, int, bytes]]:
        for place, content in self.format.scan(file):
            yield place, documents.size(content), documents.digest(content)
