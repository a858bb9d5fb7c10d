"""dedup: who stays of the records that are the same or alike, and what the ledger says of the others."""

import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Int64

from input_pipeline import cache
from input_pipeline.clean import blocks
from input_pipeline.clean.blocks import Counts
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.record import Entry, Record, as_json, excerpt
from input_pipeline.clean.similar import clusters
from input_pipeline.clean.similar.candidates import Resolved
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages import duplicates, sketching
from input_pipeline.clean.stages.cleaning import blocks_of, offsets_of
from input_pipeline.clean.stages.exchanges import save
from input_pipeline.clean.stages.sketching import All

NAME = "dedup"
KINDS = ("exact", "near")
# Of a record that was removed: its number, that of the one it repeats (which may itself be near to a third; below 0 in
# an earlier release), how alike they
# they are, and the kind.
REMOVED = np.dtype([("number", "<i8"), ("like", "<i8"), ("similarity", "<f8"), ("kind", "<i8")])


@dataclass(frozen=True)
class Decision:
    """What became of N records; files of one stage hold it, so that it is made once."""

    stage: Stage

    @property
    def is_done(self) -> bool:
        """Whether its files are there."""
        return self._counts.exists()

    def write(
        self,
        *,
        removed: np.ndarray,
        edges_E2: Int64[np.ndarray, "E 2"],
        num_records: int,
        num_uncompared: int,
        ledgers: Mapping[str, bytes],
        counts: Mapping[str, Counts],
    ) -> None:
        """Leaves its files, the counts last; `ledgers` and `counts` by kind."""
        save(self.stage.folder / "families.npy", clusters.clusters(num_records, edges_E2))
        save(self.stage.folder / "edges.npy", edges_E2)
        save(self.stage.folder / "removed.npy", removed)
        save(self.stage.folder / "uncompared.npy", np.array(num_uncompared))
        for kind, lines in ledgers.items():
            with cache.replacing(self.ledger(kind)) as file:
                file.write(lines)
        with cache.replacing(self._counts) as file:
            file.write(json.dumps({kind: asdict(each) for kind, each in counts.items()}).encode())

    @property
    def removed(self) -> np.ndarray:
        """REMOVED, in the order of numbers."""
        return np.load(self.stage.folder / "removed.npy")

    @property
    def edges(self) -> Int64[np.ndarray, "E 2"]:
        """Every pair of near-duplicates that was found, and of equal records where these stay."""
        return np.load(self.stage.folder / "edges.npy")

    @property
    def families(self) -> Int64[np.ndarray, "N"]:
        """For each record the least number of those that edges connect it with."""
        return np.load(self.stage.folder / "families.npy")

    @property
    def num_uncompared(self) -> int:
        """Records that were not compared with all candidates: see candidates.MOST_FAMILIES."""
        return int(np.load(self.stage.folder / "uncompared.npy"))

    def stays(self, num_records: int) -> Bool[np.ndarray, "{num_records}"]:
        """Which records were not removed."""
        stays = np.ones(num_records, bool)
        stays[self.removed["number"]] = False
        return stays

    @property
    def counts(self) -> dict[str, Counts]:
        """Of each kind, in order."""
        return {name: Counts(**found) for name, found in json.loads(self._counts.read_bytes()).items()}

    def ledger(self, kind: str) -> pathlib.Path:
        """The lines of one kind."""
        return self.stage.folder / f"{kind}.jsonl"

    @property
    def _counts(self) -> pathlib.Path:
        return self.stage.folder / "counts.json"


def run(cleaned: Stage, spec: Clean, engine: Engine) -> tuple[Decision, All]:
    """The stages after `clean`, done, and the sketches.

    Raises:
      ValueError: no index of an earlier release, or one of other sketches.
    """
    sketched, sketches = sketching.sketch(cleaned, spec, engine)
    stage, first_N = duplicates.equal(sketched, sketches, spec, engine)
    stage, resolved = duplicates.alike(stage, sketches, first_N, spec.dedup, engine)
    decision = Decision(stage.then(NAME, spec.dedup.action))
    if not decision.is_done:
        edges_E2 = resolved.edges_E2
        removed = _removed(first_N, resolved.original_N, resolved.similarity_N)
        if spec.dedup.action == "keep":
            edges_E2 = np.concatenate([edges_E2, np.stack([removed["like"], removed["number"]], axis=1)])
            removed = removed[removed["like"] < sketches.num_old]
        found = resolved._replace(edges_E2=edges_E2)
        _write(decision, removed, found, cleaned, sketches, threshold=spec.dedup.threshold)
    return decision, sketches


def _removed(first_N: np.ndarray, original_N: np.ndarray, similarity_N: np.ndarray) -> np.ndarray:
    """Equal records first; who repeats a near-duplicate is said to be like the one that stays."""
    numbers = np.arange(len(first_N))
    found = np.empty(len(numbers), REMOVED)
    found["number"], found["kind"] = numbers, first_N == numbers
    found["like"] = np.where(first_N == numbers, original_N, first_N)
    found["similarity"] = np.where(first_N == numbers, similarity_N, 1.0)
    return found[(first_N != numbers) | (original_N != numbers)]


def _write(
    decision: Decision, removed: np.ndarray, found: Resolved, cleaned: Stage, sketches: All, *, threshold: float
) -> None:
    """In the numbers of the cleaned records alone: old ones are -1, -2, ..."""
    num_old, sizes_N = sketches.num_old, sketches.sizes()
    removed = removed[removed["number"] >= num_old]
    removed["number"] -= num_old
    removed["like"] = np.where(removed["like"] < num_old, -1 - removed["like"], removed["like"] - num_old)
    decision.write(
        removed=removed,
        edges_E2=found.edges_E2[(found.edges_E2 >= num_old).all(axis=1)] - num_old,
        num_records=len(sizes_N) - num_old,
        num_uncompared=found.num_uncompared,
        ledgers=_ledgers(removed, cleaned.folder, sketches.old_ids(), threshold=threshold),
        counts=_counted(removed, sizes_N[num_old:]),
    )


def _ledgers(
    removed: np.ndarray, source: pathlib.Path, old_ids: Sequence[str], *, threshold: float
) -> dict[str, bytes]:
    offsets = offsets_of(source)
    ids = blocks.ids_at(blocks_of(source), offsets, removed["like"][removed["like"] >= 0])
    ids |= {-1 - number: id for number, id in enumerate(old_ids)}
    least = (1.0, threshold)
    lines: list[list[bytes]] = [[], []]
    for block, (low, high) in enumerate(itertools.pairwise(offsets)):
        begin, end = np.searchsorted(removed["number"], [low, high])
        records: Sequence[Record] = blocks.read(blocks_of(source)[block]) if end > begin else ()
        for number, like, similarity, kind in removed[begin:end].tolist():
            record = records[number - low]
            entry = Entry(
                record.id, KINDS[kind], round(similarity, 6), least[kind], excerpt=excerpt(record.text), like=ids[like]
            )
            lines[kind].append(json.dumps(as_json(entry, KINDS[kind]), ensure_ascii=False).encode() + b"\n")
    return {kind: b"".join(each) for kind, each in zip(KINDS, lines, strict=True)}


def _counted(removed: np.ndarray, sizes_N: np.ndarray) -> Mapping[str, Counts]:
    """What went into and came out of each kind, one after the other."""
    found = {}
    num_records, num_bytes = len(sizes_N), int(sizes_N.sum())
    for kind, name in enumerate(KINDS):
        gone = removed["number"][removed["kind"] == kind]
        found[name] = Counts(
            records_in=num_records,
            records_out=num_records - len(gone),
            bytes_in=num_bytes,
            bytes_out=num_bytes - int(sizes_N[gone].sum()),
            removed={name: len(gone)} if len(gone) else {},
        )
        num_records, num_bytes = found[name].records_out, found[name].bytes_out
    return found
