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
from input_pipeline.clean.similar import candidates, clusters, exact, index
from input_pipeline.clean.similar.candidates import Compared, Resolved, Standing
from input_pipeline.clean.similar.sketch import Evidence, Near, Sketches, Store, band_keys
from input_pipeline.clean.spec import Clean, Dedup
from input_pipeline.clean.stages.cleaning import blocks_of

PARTITION_BYTES = 64 << 20
INDEX = "index"  # below the output of a cleaning
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

    def reads(self, task: int) -> Sequence[object]:
        return (blocks_of(self.source)[task],)

    def __call__(self, task: int) -> None:
        records = blocks.read(blocks_of(self.source)[task])
        save(self._path(task, "sizes"), np.array([blocks.num_bytes(record) for record in records], np.int64))
        if self.near is not None:
            sketches = self.near.sketch(records)
            save(self._path(task, "bands"), sketches.bands_NK)
            save(self._path(task, "evidence"), sketches.evidence.flat)
            save(self._path(task, "offsets"), sketches.evidence.offsets)
        save(self._path(task, "exact"), exact.digests(records, part=self.part))

    def _path(self, task: int, name: str) -> pathlib.Path:
        return self.folder / f"{blocks_of(self.source)[task].stem}.{name}.npy"

    def load(self, task: int, name: str) -> np.ndarray:
        """One array of a block, memory-mapped."""
        return np.load(self._path(task, name), mmap_mode="r")

    def sketches(self, task: int) -> Sketches:
        """Of a block; without bands and evidence where near-duplicates are not looked for."""
        digests_N2 = self.load(task, "exact")
        if self.near is None:
            return no_sketches(digests_N2)
        evidence = Evidence(self.load(task, "evidence"), self.load(task, "offsets"))
        return Sketches(digests_N2, self.load(task, "bands"), evidence)


def no_sketches(digests_N2: np.ndarray) -> Sketches:
    """For exact deduplication alone."""
    num_records = len(digests_N2)
    evidence = Evidence(np.zeros(0, np.uint64), np.zeros(num_records + 1, np.int64))
    return Sketches(digests_N2, np.zeros((num_records, 0), np.uint64), evidence)


@dataclass(frozen=True)
class All:
    """The sketches of earlier releases, and then of the cleaned blocks: a record's number counts through all."""

    new: Sketching
    against: tuple[pathlib.Path, ...]  # folders of indices

    @property
    def num_old(self) -> int:
        """Records of earlier releases."""
        return self.offsets[len(_old(self))]

    @property
    def num_blocks(self) -> int:
        """Of both."""
        return len(self.offsets) - 1

    @property
    def offsets(self) -> tuple[int, ...]:
        """The number of the first record of each block, and the number of all."""
        counts = [len(block.ids) for block in _old(self)]
        first = sum(counts)
        return (
            *itertools.accumulate(counts, initial=0),
            *(first + number for number in offsets_of(self.new.source)[1:]),
        )

    def sketches(self, block: int) -> Sketches:
        """Of a block."""
        old = _old(self)
        return old[block].sketches if block < len(old) else self.new.sketches(block - len(old))

    def store(self) -> Store:
        """The evidence of all records."""
        return Store([self.sketches(block).evidence for block in range(self.num_blocks)])

    def sizes(self) -> np.ndarray:
        """Bytes of text and payload of every record; 0 of those of earlier releases."""
        blocks_here = range(len(blocks_of(self.new.source)))
        return np.concatenate(
            [np.zeros(self.num_old, np.int64), *(self.new.load(task, "sizes") for task in blocks_here)]
        )

    def old_ids(self) -> list[str]:
        """Of the records of earlier releases."""
        return [id for block in _old(self) for id in block.ids]


@functools.lru_cache(1)
def _old(sketches: All) -> list[index.Block]:
    releases = (index.read(folder, near=sketches.new.near) for folder in sketches.against)
    return [block for release in releases for block in release.blocks]


def sketch(cleaned: Stage, spec: Clean, engine: Engine) -> tuple[Stage, All]:
    """The stage after `clean`, done, and all sketches.

    Raises:
      ValueError: no index of an earlier release, or one of other sketches.
    """
    stage = cleaned.then("sketch", spec.modality, repr(spec.near))
    work = Sketching(cleaned.folder, stage.folder, spec.near, exact.PART_OF[spec.modality])
    engine.run("sketching", work, len(blocks_of(cleaned.folder)))
    folders = tuple(pathlib.Path(folder).expanduser().absolute() / INDEX for folder in spec.dedup.against)
    found = All(work, folders)
    return stage.then("against", *map(index.identity, folders)) if folders else stage, found


@dataclass(frozen=True)
class ByDigest:
    """The exchange by digest: writes (record, first record of its digest) [P, 2] for each partition."""

    sketches: All
    folder: pathlib.Path
    num_partitions: int

    def done(self, partition: int) -> bool:
        return part(self.folder, partition).exists()

    def emit(self, task: int) -> Iterator[tuple[int, bytes]]:
        digests_N2 = self.sketches.sketches(task).exact_N2
        rows = np.empty(len(digests_N2), _EXACT)
        rows["digest"], rows["number"] = digests_N2, np.arange(len(rows)) + self.sketches.offsets[task]
        yield from parcels(rows, rows["digest"][:, 0], self.num_partitions)

    def reduce(self, partition: int, sent: Sequence[bytes]) -> None:
        rows = np.frombuffer(b"".join(sent), _EXACT)
        repeats, firsts = exact.repeats(rows["digest"], rows["number"])
        save(part(self.folder, partition), np.stack([rows["number"], firsts], axis=1)[repeats])


def equal(sketched: Stage, sketches: All, spec: Clean, engine: Engine) -> tuple[Stage, np.ndarray]:
    """The stage after `sketch`, done, and for each record the number of the first one of its digest."""
    num_records = sketches.offsets[-1]
    first_N = np.arange(num_records)
    stage = sketched.then("exact", spec.dedup.exact)
    if spec.dedup.exact:
        exchange = ByDigest(sketches, stage.folder, num_partitions(_EXACT.itemsize * num_records))
        engine.exchange("equal records", exchange, sketches.num_blocks, stage.folder / "sent")
        for partition in range(exchange.num_partitions):
            number_P, first_P = np.load(part(stage.folder, partition)).T
            first_N[number_P] = first_P
    return stage, first_N


@dataclass(frozen=True)
class ByBand:
    """The exchange by band: writes the rows of each partition as they came."""

    sketches: All
    folder: pathlib.Path
    num_partitions: int

    def done(self, partition: int) -> bool:
        return part(self.folder, partition).exists()

    def emit(self, task: int) -> Iterator[tuple[int, bytes]]:
        keys, numbers = band_keys(self.sketches.sketches(task), first=self.sketches.offsets[task])
        rows = np.empty(len(keys), _BAND)
        rows["key"], rows["number"] = keys, numbers
        yield from parcels(rows, rows["key"], self.num_partitions)

    def reduce(self, partition: int, sent: Sequence[bytes]) -> None:
        save(part(self.folder, partition), np.frombuffer(b"".join(sent), _BAND))


_HOW = {"compare": candidates.compare, "connect": candidates.connect}


@dataclass(frozen=True)
class Comparing:
    """One round: writes what a key of `_HOW` finds in each partition, under the standing in `folder`."""

    bands: ByBand
    folder: pathlib.Path
    how: str = "compare"

    def done(self, partition: int) -> bool:
        return part(self.folder, partition).exists()

    def reads(self, partition: int) -> Sequence[object]:
        return (part(self.bands.folder, partition),)

    def __call__(self, partition: int) -> None:
        near = self.bands.sketches.new.near
        assert near is not None
        rows = np.load(part(self.bands.folder, partition))
        store = _store(self.bands.sketches)
        found = _HOW[self.how](
            rows["key"],
            rows["number"],
            standing=_standing(self.folder),
            similarities=lambda pairs_P2: store.similarities(near, pairs_P2),
            threshold=near.threshold,
        )
        columns = np.zeros((len(found.edges_E2) + 1, 3))
        columns[0, 0] = found.num_uncompared
        columns[1:, :2], columns[1:, 2] = found.edges_E2, found.similarities_E
        save(part(self.folder, partition), columns)

    def found(self, partition: int) -> Compared:
        """What a task wrote. Numbers up to 2**53 are exact in it."""
        columns = np.load(part(self.folder, partition))
        return Compared(columns[1:, :2].astype(np.int64), columns[1:, 2], int(columns[0, 0]))


def alike(stage: Stage, sketches: All, first_N: np.ndarray, dedup: Dedup, engine: Engine) -> tuple[Stage, Resolved]:
    """The stage after `exact`, done: which of the first records of their digests are near to others that stay."""
    stage = stage.then("near", dedup.prefer, dedup.action)
    numbers = np.arange(len(first_N))
    if sketches.new.near is None or not len(numbers):
        return stage, Resolved(numbers, np.ones(len(numbers)), np.zeros((0, 2), np.int64), 0, 0)
    num_bytes = sum(2 * sketches.sketches(block).bands_NK.nbytes for block in range(sketches.num_blocks))
    bands = ByBand(sketches, stage.folder, num_partitions(num_bytes))
    engine.exchange("near-duplicates", bands, sketches.num_blocks, stage.folder / "sent")
    rounds = itertools.count(1)

    def compare_all(standing: Standing, how: str = "compare") -> Iterator[Compared]:
        work = Comparing(bands, stage.folder / f"round-{next(rounds)}", how)
        save(work.folder / "standing.npy", np.stack([each.astype(np.int64) for each in standing]))
        engine.run("comparing near-duplicates", work, bands.num_partitions)
        return map(work.found, range(bands.num_partitions))

    rank_N = clusters.preference(sketches.sizes(), dedup.prefer, num_old=sketches.num_old)
    is_alive_N = first_N == numbers
    found = candidates.resolve(compare_all, rank_N=rank_N, is_alive_N=is_alive_N, num_old=sketches.num_old)
    if dedup.action == "keep":  # no near pair may be torn: more of them have to be known than decide who survives
        parts = list(compare_all(Standing(rank_N, is_alive_N, numbers >= sketches.num_old), "connect"))
        found = found._replace(
            edges_E2=np.unique(np.concatenate([each.edges_E2 for each in parts]), axis=0),
            num_uncompared=sum(each.num_uncompared for each in parts),
        )
    return stage, found


@functools.lru_cache(4)
def offsets_of(folder: pathlib.Path) -> tuple[int, ...]:
    """The number of the first record of each block of a stage that is done, and the number of all records."""
    counts = [blocks.counts_of(path).records_out for path in blocks_of(folder)]
    return tuple(itertools.accumulate(counts, initial=0))


@functools.lru_cache(1)
def _store(sketches: All) -> Store:
    return sketches.store()


@functools.lru_cache(1)
def _standing(folder: pathlib.Path) -> Standing:
    rank_N, is_alive_N, is_open_N = np.load(folder / "standing.npy")
    return Standing(rank_N, is_alive_N.astype(bool), is_open_N.astype(bool))


def num_partitions(num_bytes: int) -> int:
    """Of an exchange of so many bytes; some at least, so that several processes find work."""
    return max(8, -(-num_bytes // PARTITION_BYTES))


def parcels(rows: np.ndarray, keys: np.ndarray, count: int) -> Iterator[tuple[int, bytes]]:
    """The rows of each partition, in order."""
    partitions = (keys % np.uint64(count)).astype(np.int64)
    order = np.argsort(partitions, kind="stable")
    bounds = np.searchsorted(partitions[order], np.arange(count + 1))
    for partition, (low, high) in enumerate(itertools.pairwise(bounds)):
        if high > low:
            yield partition, rows[order[low:high]].tobytes()


def part(folder: pathlib.Path, partition: int) -> pathlib.Path:
    """The file of a partition's result."""
    return folder / f"{partition:05d}.npy"


def save(path: pathlib.Path, array: np.ndarray) -> None:
    """An array as a .npy file, whole or not at all."""
    with cache.replacing(path) as file:
        np.save(file, array)
