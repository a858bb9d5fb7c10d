"""split: the place of every record that stays, in one array."""

import json
import pathlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from input_pipeline import cache
from input_pipeline.clean import blocks, splits
from input_pipeline.clean.blocks import Counts
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.record import Entry, as_json
from input_pipeline.clean.similar.exact import PART_OF
from input_pipeline.clean.spec import Clean, Split
from input_pipeline.clean.stages import describing
from input_pipeline.clean.stages.cleaning import blocks_of
from input_pipeline.clean.stages.deciding import Decision
from input_pipeline.clean.stages.duplicates import offsets_of

NAME = "split"


@dataclass(frozen=True)
class Placing:
    """Where every record goes; files of one stage hold it, so that it is decided once."""

    stage: Stage

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
        """Of `split`."""
        return {NAME: Counts(**json.loads(_counts_file(self.stage).read_bytes()))}

    @property
    def ledger(self) -> pathlib.Path:
        """The lines of the records that no split has."""
        return self.stage.folder / "split.jsonl"


def run(cleaned: Stage, decision: Decision, spec: Clean, engine: Engine) -> Placing:
    """The stages after `dedup`, done.

    Raises:
      ValueError: two near-duplicates would lie in two splits.
    """
    described = cleaned.then(describing.NAME, spec.split.by, spec.split.stratify, spec.split.time, spec.modality)
    work = describing.Describing(cleaned.folder, described.folder, spec.split, PART_OF[spec.modality])
    engine.run("describing", work, len(blocks_of(cleaned.folder)))
    placing = Placing(decision.stage.then(NAME, described.key, spec.split))
    if not _counts_file(placing.stage).exists():
        facts, types = describing.read(described.folder, [path.stem for path in blocks_of(cleaned.folder)])
        places = _places(facts, decision, spec)
        _check(places, decision.edges, cleaned.folder)
        with cache.replacing(placing.stage.folder / "types.json") as file:
            file.write(json.dumps(types).encode())
        for path, array in ((placing.places, places), (placing.stage.folder / "facts.npy", facts)):
            with cache.replacing(path) as file:
                np.save(file, array)
        _tell(placing, places, facts["bytes"], decision, cleaned.folder, shares=_shares(spec.split))
    return placing


def _places(facts: np.ndarray, decision: Decision, spec: Clean) -> np.ndarray:
    """Records that are alike but stay share the group of the first of them, unless the config says what a group is."""
    if spec.dedup.action == "keep" and not spec.split.by:
        facts["group"] = facts["group"][decision.families]
    stays = np.ones(len(facts), bool)
    stays[decision.removed["number"]] = False
    places = np.full(len(facts), splits.NOWHERE, np.int8)
    places[stays] = _drawn(facts[stays], spec.split)
    return places


def _drawn(facts: np.ndarray, split: Split) -> np.ndarray:
    if split.time:
        return splits.by_time(facts["time"], _shares(split))
    if split.stratify:
        return splits.by_stratum(facts["group"], facts["stratum"], _shares(split), seed=split.seed)
    return splits.by_hash(facts["group"], _shares(split), seed=split.seed)


def _shares(split: Split) -> Sequence[float]:
    return (split.train, split.val, split.test)


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


def _tell(
    placing: Placing,
    places: np.ndarray,
    sizes_N: np.ndarray,
    decision: Decision,
    source: pathlib.Path,
    *,
    shares: Sequence[float],
) -> None:
    """Writes the ledger, and then the counts."""
    is_rest = places == splits.NOWHERE
    is_rest[decision.removed["number"]] = False
    ids = blocks.ids_at(blocks_of(source), offsets_of(source), np.flatnonzero(is_rest))
    with cache.replacing(placing.ledger) as file:
        for id in ids.values():
            entry = Entry(id, "split.rest", "in no split", round(sum(shares), 6))
            file.write(json.dumps(as_json(entry, NAME), ensure_ascii=False).encode() + b"\n")
    is_placed = places != splits.NOWHERE
    counts = Counts(
        records_in=int((is_placed | is_rest).sum()),
        records_out=int(is_placed.sum()),
        bytes_in=int(sizes_N[is_placed | is_rest].sum()),
        bytes_out=int(sizes_N[is_placed].sum()),
        removed={"split.rest": len(ids)} if ids else {},
    )
    with cache.replacing(_counts_file(placing.stage)) as file:
        file.write(json.dumps(asdict(counts)).encode())


def _counts_file(stage: Stage) -> pathlib.Path:
    return stage.folder / "counts.json"
