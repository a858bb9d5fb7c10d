"""split: the place of every record that stays, in one array."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Int8

from input_pipeline import cache
from input_pipeline.clean import blocks, splits
from input_pipeline.clean.blocks import Counts
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.record import CHANGED, Entry, as_json
from input_pipeline.clean.similar.exact import PART_OF
from input_pipeline.clean.spec import Clean, Split
from input_pipeline.clean.stages import describing
from input_pipeline.clean.stages.cleaning import blocks_of, offsets_of
from input_pipeline.clean.stages.deciding import Decision

NAME = "split"


@dataclass(frozen=True)
class Placing:
    """Where every record goes; files of one stage hold it, so that it is decided once."""

    stage: Stage
    name: str = NAME  # in the ledger and the manifest

    @property
    def is_done(self) -> bool:
        """Whether its files are there."""
        return self._counts.exists()

    def write(
        self,
        *,
        places: Int8[np.ndarray, "N"],
        facts: np.ndarray,
        types: Mapping[str, str],
        ledger: bytes,
        counts: Counts,
    ) -> None:
        """Leaves its files, the counts last."""
        with cache.replacing(self.stage.folder / "types.json") as file:
            file.write(json.dumps(types).encode())
        for path, array in ((self.places, places), (self.stage.folder / "facts.npy", facts)):
            with cache.replacing(path) as file:
                np.save(file, array)
        with cache.replacing(self.ledger) as file:
            file.write(ledger)
        with cache.replacing(self._counts) as file:
            file.write(json.dumps(asdict(counts)).encode())

    @property
    def _counts(self) -> pathlib.Path:
        return self.stage.folder / "counts.json"

    @property
    def places(self) -> pathlib.Path:
        """The number of each record's split, or NOWHERE: int8 [N], .npy."""
        return self.stage.folder / "places.npy"

    @property
    def facts(self) -> np.ndarray:
        """describing.FACTS of every record."""
        return np.load(self.stage.folder / "facts.npy")

    @property
    def types(self) -> dict[str, str]:
        """Of all fields."""
        return json.loads((self.stage.folder / "types.json").read_bytes())

    @property
    def counts(self) -> dict[str, Counts]:
        """Of this stage."""
        return {self.name: Counts(**json.loads(self._counts.read_bytes()))}

    @property
    def ledger(self) -> pathlib.Path:
        """The lines of the records that no split has."""
        return self.stage.folder / "ledger.jsonl"


def run(cleaned: Stage, decision: Decision, spec: Clean, engine: Engine) -> Placing:
    """The stages after `dedup`, done.

    Raises:
      ValueError: two near-duplicates would lie in two splits, or two records have one id.
    """
    described = cleaned.then(describing.NAME, spec.split.by, spec.split.stratify, spec.split.time, spec.modality)
    work = describing.Describing(cleaned.folder, described.folder, spec.split, PART_OF[spec.modality])
    engine.run("describing", work, len(blocks_of(cleaned.folder)))
    placing = Placing(decision.stage.then(NAME, described.key, spec.split))
    if not placing.is_done:
        facts, types = describing.read(described.folder, [path.stem for path in blocks_of(cleaned.folder)])
        _check_ids(facts["id"], cleaned.folder)
        places = _places(facts, decision, spec)
        _check(places, decision.edges, cleaned.folder)
        placed = places != splits.NOWHERE
        rest = ~placed & decision.stays(len(places))
        timeless = placed & np.isneginf(facts["time"])
        placing.write(
            places=places,
            facts=facts,
            types=types,
            ledger=_ledger(rest, timeless, cleaned.folder, shares=spec.split.shares),
            counts=_counted(placed, rest, timeless, facts["bytes"]),
        )
    return placing


def _places(facts: np.ndarray, decision: Decision, spec: Clean) -> np.ndarray:
    """Records that are alike but stay are one group, unless the config says what a group is."""
    if spec.dedup.action == "keep" and not spec.split.by:
        facts["group"] = splits.least(facts["group"], decision.families)
    stays = decision.stays(len(facts))
    places = np.full(len(facts), splits.NOWHERE, np.int8)
    places[stays] = _drawn(facts[stays], spec.split)
    return places


def _drawn(facts: np.ndarray, split: Split) -> np.ndarray:
    if split.time:
        return splits.by_time(facts["time"], split.shares)
    if split.stratify:
        return splits.by_stratum(facts["group"], facts["stratum"], split.shares, seed=split.seed)
    return splits.by_hash(facts["group"], split.shares, seed=split.seed)


def _check_ids(ids_N: np.ndarray, source: pathlib.Path) -> None:
    """Raises a ValueError for an id that two records have."""
    order = np.argsort(ids_N, kind="stable")
    twice = order[1:][ids_N[order[1:]] == ids_N[order[:-1]]]
    if len(twice):
        number = int(twice.min())
        id = blocks.ids_at(blocks_of(source), offsets_of(source), np.array([number]))[number]
        raise ValueError(
            f"source.id_field: expected an id of its own for each record, but {len(twice)} have one that another has, "
            f"such as {id!r}; write source.id_field='' for the file's name and the place in it"
        )


def _check(places: np.ndarray, edges_E2: np.ndarray, source: pathlib.Path) -> None:
    """Raises a ValueError for near-duplicates in two splits."""
    torn = edges_E2[splits.straddling(places, edges_E2)]
    if len(torn):
        ids = blocks.ids_at(blocks_of(source), offsets_of(source), torn[0])
        one, other = (f"{ids[number]} ({splits.NAMES[places[number]]})" for number in torn[0].tolist())
        raise ValueError(
            f"split: expected near-duplicates in one split, but {len(torn)} pairs lie in two, such as {one} "
            f"and {other}; write dedup.action='remove', or a split.by that keeps them together"
        )


def _ledger(rest: np.ndarray, timeless: np.ndarray, source: pathlib.Path, *, shares: Sequence[float]) -> bytes:
    """The lines of the records that no split has, and of those whose time cannot be read."""
    ids = blocks.ids_at(blocks_of(source), offsets_of(source), np.flatnonzero(rest | timeless))
    entries = (
        Entry(id, "split.rest", "in no split", round(sum(shares), 6))
        if rest[number]
        else Entry(id, "split.no_time", "taken as the earliest", "a number or a date", action=CHANGED)
        for number, id in ids.items()
    )
    return b"".join(json.dumps(as_json(entry, NAME), ensure_ascii=False).encode() + b"\n" for entry in entries)


def _counted(placed: np.ndarray, rest: np.ndarray, timeless: np.ndarray, sizes_N: np.ndarray) -> Counts:
    return Counts(
        records_in=int((placed | rest).sum()),
        records_out=int(placed.sum()),
        bytes_in=int(sizes_N[placed | rest].sum()),
        bytes_out=int(sizes_N[placed].sum()),
        removed={"split.rest": int(rest.sum())} if rest.any() else {},
        changed={"split.no_time": int(timeless.sum())} if timeless.any() else {},
    )
