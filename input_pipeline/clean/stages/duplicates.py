"""sketch, exact, near: which records are the same as others, by two keyed exchanges.

Only numbers travel: a record's number is its place among all records of the cleaned blocks. Memory: a task holds one
partition, about PARTITION_BYTES and what `candidates.compare` says; who leads holds 40 bytes for each record and 24
for each pair.
"""

import functools
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline import cache
from input_pipeline.clean import blocks
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.similar import candidates, clusters, exact
from input_pipeline.clean.similar.candidates import Compared, Resolved, Standing
from input_pipeline.clean.similar.sketch import Evidence, Near, Sketches, Store, band_keys
from input_pipeline.clean.spec import Clean, Dedup
from input_pipeline.clean.stages.cleaning import blocks_of

PARTITION_BYTES = 64 << 20
_EXACT = np.dtype([("digest", "<u8", 2), ("number", "<i8")])
_BAND = np.dtype([("key", "<u8"), ("number", "<i8")])


@dataclass(frozen=True)
class Sketching:
    """Writes for each block `.sizes.npy`, `.bands.npy`, `.evidence.npy`, `.offsets.npy`, and then `.exact.npy`; all
    but the first and last only where near-duplicates are looked for.
    """

    source: pathlib.Path
    folder: pathlib.Path
    near: Near | None
    part: str  # of a record, that makes it what it is: a key of exact.PARTS

    def done(self, task: int) -> bool:
        return self._path(task, "exact").exists()

    def __call__(self, task: int) -> None:
        records = blocks.read(blocks_of(self.source)[task])
        _save(self._path(task, "sizes"), np.array([blocks.num_bytes(record) for record in records], np.int64))
        if self.near is not None:
            sketches = self.near.sketch(records)
            _save(self._path(task, "bands"), sketches.bands_NK)
            _save(self._path(task, "evidence"), sketches.evidence.flat)
            _save(self._path(task, "offsets"), sketches.evidence.offsets)
        _save(self._path(task, "exact"), exact.digests(records, part=self.part))

    def _path(self, task: int, name: str) -> pathlib.Path:
        return self.folder / f"{blocks_of(self.source)[task].stem}.{name}.npy"

    def load(self, task: int, name: str) -> np.ndarray:
        """One array of a block, memory-mapped."""
        return np.load(self._path(task, name), mmap_mode="r")

    def sizes(self) -> np.ndarray:
        """Bytes of text and payload of every record."""
        return np.concatenate([np.zeros(0, np.int64), *(self.load(task, "sizes") for task in self._tasks())])

    def store(self) -> Store:
        """The evidence of all records."""
        return Store([Evidence(self.load(task, "evidence"), self.load(task, "offsets")) for task in self._tasks()])

    def sketches(self, task: int) -> Sketches:
        """Of a block."""
        evidence = Evidence(self.load(task, "evidence"), self.load(task, "offsets"))
        return Sketches(self.load(task, "exact"), self.load(task, "bands"), evidence)

    def _tasks(self) -> range:
        return range(len(blocks_of(self.source)))


def sketch(cleaned: Stage, spec: Clean, engine: Engine) -> tuple[Stage, Sketching]:
    """The stage after `clean`, done."""
    stage = cleaned.then("sketch", spec.modality, repr(spec.near))
    work = Sketching(cleaned.folder, stage.folder, spec.near, exact.PART_OF[spec.modality])
    engine.run("sketching", work, len(blocks_of(cleaned.folder)))
    return stage, work


@dataclass(frozen=True)
class ByDigest:
    """The exchange by digest: writes (record, first record of its digest) [P, 2] for each partition."""

    sketches: Sketching
    offsets: tuple[int, ...]
    folder: pathlib.Path
    num_partitions: int

    def done(self, partition: int) -> bool:
        return _part(self.folder, partition).exists()

    def emit(self, task: int) -> Iterator[tuple[int, bytes]]:
        digests_N2 = self.sketches.load(task, "exact")
        rows = np.empty(len(digests_N2), _EXACT)
        rows["digest"], rows["number"] = digests_N2, np.arange(len(rows)) + self.offsets[task]
        yield from _parcels(rows, rows["digest"][:, 0], self.num_partitions)

    def reduce(self, partition: int, sent: Sequence[bytes]) -> None:
        rows = np.frombuffer(b"".join(sent), _EXACT)
        repeats, firsts = exact.repeats(rows["digest"], rows["number"])
        _save(_part(self.folder, partition), np.stack([rows["number"], firsts], axis=1)[repeats])


def equal(sketched: Stage, sketches: Sketching, spec: Clean, engine: Engine) -> tuple[Stage, np.ndarray]:
    """The stage after `sketch`, done, and for each record the number of the first one of its digest."""
    offsets = offsets_of(sketches.source)
    first_N = np.arange(offsets[-1])
    stage = sketched.then("exact", spec.dedup.exact)
    if spec.dedup.exact:
        exchange = ByDigest(sketches, offsets, stage.folder, _num_partitions(_EXACT.itemsize * offsets[-1]))
        engine.exchange("equal records", exchange, len(offsets) - 1, stage.folder / "sent")
        for partition in range(exchange.num_partitions):
            number_P, first_P = np.load(_part(stage.folder, partition)).T
            first_N[number_P] = first_P
    return stage, first_N


@dataclass(frozen=True)
class ByBand:
    """The exchange by band: writes the rows of each partition as they came."""

    sketches: Sketching
    offsets: tuple[int, ...]
    folder: pathlib.Path
    num_partitions: int

    def done(self, partition: int) -> bool:
        return _part(self.folder, partition).exists()

    def emit(self, task: int) -> Iterator[tuple[int, bytes]]:
        keys, numbers = band_keys(self.sketches.sketches(task), first=self.offsets[task])
        rows = np.empty(len(keys), _BAND)
        rows["key"], rows["number"] = keys, numbers
        yield from _parcels(rows, rows["key"], self.num_partitions)

    def reduce(self, partition: int, sent: Sequence[bytes]) -> None:
        _save(_part(self.folder, partition), np.frombuffer(b"".join(sent), _BAND))


@dataclass(frozen=True)
class Comparing:
    """One round: writes what `candidates.compare` finds in each partition, under the standing in `folder`."""

    bands: ByBand
    folder: pathlib.Path

    def done(self, partition: int) -> bool:
        return _part(self.folder, partition).exists()

    def __call__(self, partition: int) -> None:
        near = self.bands.sketches.near
        assert near is not None
        rows = np.load(_part(self.bands.folder, partition))
        store = _store(self.bands.sketches)
        found = candidates.compare(
            rows["key"],
            rows["number"],
            standing=_standing(self.folder),
            similarities=lambda pairs_P2: store.similarities(near, pairs_P2),
            threshold=near.threshold,
        )
        columns = np.zeros((len(found.edges_E2) + 1, 3))
        columns[0, 0] = found.num_uncompared
        columns[1:, :2], columns[1:, 2] = found.edges_E2, found.similarities_E
        _save(_part(self.folder, partition), columns)

    def found(self, partition: int) -> Compared:
        """What a task wrote. Numbers up to 2**53 are exact in it."""
        columns = np.load(_part(self.folder, partition))
        return Compared(columns[1:, :2].astype(np.int64), columns[1:, 2], int(columns[0, 0]))


def alike(
    stage: Stage, sketches: Sketching, first_N: np.ndarray, dedup: Dedup, engine: Engine
) -> tuple[Stage, Resolved]:
    """The stage after `exact`, done: which of the first records of their digests are near to others that stay."""
    offsets = offsets_of(sketches.source)
    stage = stage.then("near", dedup.prefer)
    numbers = np.arange(offsets[-1])
    if sketches.near is None or not len(numbers):
        return stage, Resolved(numbers, np.ones(len(numbers)), np.zeros((0, 2), np.int64), 0, 0)
    bytes_of_all = sum(sketches.load(task, "bands").nbytes for task in range(len(offsets) - 1)) * 2
    bands = ByBand(sketches, offsets, stage.folder, _num_partitions(bytes_of_all))
    engine.exchange("near-duplicates", bands, len(offsets) - 1, stage.folder / "sent")
    rounds = itertools.count(1)

    def compare_all(standing: Standing) -> Iterator[Compared]:
        work = Comparing(bands, stage.folder / f"round-{next(rounds)}")
        _save(work.folder / "standing.npy", np.stack([each.astype(np.int64) for each in standing]))
        engine.run("comparing near-duplicates", work, bands.num_partitions)
        return map(work.found, range(bands.num_partitions))

    rank_N = clusters.preference(sketches.sizes(), dedup.prefer)
    return stage, candidates.resolve(compare_all, rank_N=rank_N, is_alive_N=first_N == numbers)


@functools.lru_cache(4)
def offsets_of(folder: pathlib.Path) -> tuple[int, ...]:
    """The number of the first record of each block of a stage that is done, and the number of all records."""
    counts = [blocks.counts_of(path).records_out for path in blocks_of(folder)]
    return tuple(itertools.accumulate(counts, initial=0))


@functools.lru_cache(1)
def _store(sketches: Sketching) -> Store:
    return sketches.store()


@functools.lru_cache(1)
def _standing(folder: pathlib.Path) -> Standing:
    rank_N, is_alive_N, is_open_N = np.load(folder / "standing.npy")
    return Standing(rank_N, is_alive_N.astype(bool), is_open_N.astype(bool))


def _num_partitions(num_bytes: int) -> int:
    """Of an exchange of so many bytes; some at least, so that several processes find work."""
    return max(8, -(-num_bytes // PARTITION_BYTES))


def _parcels(rows: np.ndarray, keys: np.ndarray, count: int) -> Iterator[tuple[int, bytes]]:
    """The rows of each partition, in order."""
    partitions = (keys % np.uint64(count)).astype(np.int64)
    order = np.argsort(partitions, kind="stable")
    bounds = np.searchsorted(partitions[order], np.arange(count + 1))
    for partition, (low, high) in enumerate(itertools.pairwise(bounds)):
        if high > low:
            yield partition, rows[order[low:high]].tobytes()


def _part(folder: pathlib.Path, partition: int) -> pathlib.Path:
    return folder / f"{partition:05d}.npy"


def _save(path: pathlib.Path, array: np.ndarray) -> None:
    with cache.replacing(path) as file:
        np.save(file, array)
