"""dedup: who stays of the records that are the same or alike, and what the ledger says of the others."""

import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from input_pipeline import cache
from input_pipeline.clean import blocks
from input_pipeline.clean.blocks import Counts
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.record import Entry, Record, as_json, excerpt
from input_pipeline.clean.similar import clusters
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages import duplicates
from input_pipeline.clean.stages.cleaning import blocks_of
from input_pipeline.clean.stages.duplicates import offsets_of

NAME = "dedup"
KINDS = ("exact", "near")
# Of a record that was removed: its number, that of the one it repeats (which may itself be near to a third), how alike
# they are, and the kind.
REMOVED = np.dtype([("number", "<i8"), ("like", "<i8"), ("similarity", "<f8"), ("kind", "<i8")])


@dataclass(frozen=True)
class Decision:
    """What became of N records; files of one stage hold it, so that it is made once."""

    stage: Stage

    @property
    def removed(self) -> np.ndarray:
        """REMOVED, in the order of numbers."""
        return np.load(self.stage.folder / "removed.npy")

    @property
    def edges(self) -> np.ndarray:
        """Every pair of near-duplicates that was found, [E, 2], and of equal records where these stay."""
        return np.load(self.stage.folder / "edges.npy")

    @property
    def families(self) -> np.ndarray:
        """For each record the least number of those that edges connect it with, [N]."""
        return np.load(self.stage.folder / "families.npy")

    @property
    def counts(self) -> dict[str, Counts]:
        """Of `exact` and `near`."""
        return {name: Counts(**found) for name, found in json.loads(_counts_file(self.stage).read_bytes()).items()}

    def ledger(self, kind: str) -> pathlib.Path:
        """The lines of one of KINDS."""
        return self.stage.folder / f"{kind}.jsonl"


def run(cleaned: Stage, spec: Clean, engine: Engine) -> Decision:
    """The stages after `clean`, done."""
    sketched, sketches = duplicates.sketch(cleaned, spec, engine)
    stage, first_N = duplicates.equal(sketched, sketches, spec, engine)
    stage, resolved = duplicates.alike(stage, sketches, first_N, spec.dedup, engine)
    decision = Decision(stage.then(NAME, spec.dedup.action))
    if not _counts_file(decision.stage).exists():
        edges_E2 = resolved.edges_E2
        removed = _removed(first_N, resolved.original_N, resolved.similarity_N)
        if spec.dedup.action == "keep":
            edges_E2 = np.concatenate([edges_E2, np.stack([removed["like"], removed["number"]], axis=1)])
            removed = removed[:0]
        folder = decision.stage.folder
        _save(folder / "families.npy", clusters.clusters(len(first_N), edges_E2))
        _save(folder / "edges.npy", edges_E2)
        _save(folder / "removed.npy", removed)
        _tell(decision, removed, cleaned.folder, sketches.sizes(), threshold=spec.dedup.threshold)
    return decision


def _removed(first_N: np.ndarray, original_N: np.ndarray, similarity_N: np.ndarray) -> np.ndarray:
    """Equal records first; who repeats a near-duplicate is said to be like the one that stays."""
    numbers = np.arange(len(first_N))
    found = np.empty(len(numbers), REMOVED)
    found["number"], found["kind"] = numbers, first_N == numbers
    found["like"] = np.where(first_N == numbers, original_N, first_N)
    found["similarity"] = np.where(first_N == numbers, similarity_N, 1.0)
    return found[(first_N != numbers) | (original_N != numbers)]


def _tell(
    decision: Decision, removed: np.ndarray, source: pathlib.Path, sizes_N: np.ndarray, *, threshold: float
) -> None:
    """Writes the ledgers, and then the counts."""
    offsets = offsets_of(source)
    ids = blocks.ids_at(blocks_of(source), offsets, removed["like"])
    least = (1.0, threshold)
    lines: list[list[str]] = [[], []]
    for block, (low, high) in enumerate(itertools.pairwise(offsets)):
        begin, end = np.searchsorted(removed["number"], [low, high])
        records: Sequence[Record] = blocks.read(blocks_of(source)[block]) if end > begin else ()
        for number, like, similarity, kind in removed[begin:end].tolist():
            record = records[number - low]
            entry = Entry(
                record.id, KINDS[kind], round(similarity, 6), least[kind], excerpt=excerpt(record.text), like=ids[like]
            )
            lines[kind].append(json.dumps(as_json(entry, KINDS[kind]), ensure_ascii=False))
    for kind, each in zip(KINDS, lines, strict=True):
        with cache.replacing(decision.ledger(kind)) as file:
            file.writelines(f"{line}\n".encode() for line in each)
    with cache.replacing(_counts_file(decision.stage)) as file:
        counts = _counted(removed, sizes_N)
        file.write(json.dumps({kind: asdict(each) for kind, each in counts.items()}).encode())


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


def _counts_file(stage: Stage) -> pathlib.Path:
    return stage.folder / "counts.json"


def _save(path: pathlib.Path, array: np.ndarray) -> None:
    with cache.replacing(path) as file:
        np.save(file, array)
