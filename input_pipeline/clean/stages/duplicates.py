"""exact, near: which records are the same as others, by two keyed exchanges.

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

from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.similar import candidates, clusters, exact
from input_pipeline.clean.similar.candidates import Compared, Resolved, Standing
from input_pipeline.clean.similar.sketch import Store, band_keys
from input_pipeline.clean.spec import Clean, Dedup
from input_pipeline.clean.stages.exchanges import num_partitions, parcels, part, save
from input_pipeline.clean.stages.sketching import All

_EXACT = np.dtype([("digest", "<u8", 2), ("number", "<i8")])
_BAND = np.dtype([("key", "<u8"), ("number", "<i8")])


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


@functools.lru_cache(1)
def _store(sketches: All) -> Store:
    return sketches.store()


@functools.lru_cache(1)
def _standing(folder: pathlib.Path) -> Standing:
    rank_N, is_alive_N, is_open_N = np.load(folder / "standing.npy")
    return Standing(rank_N, is_alive_N.astype(bool), is_open_N.astype(bool))
