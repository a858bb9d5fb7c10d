"""What the files of a cleaned dataset say: its manifest, and its ledger by rule. Imports nothing of ours.

manifest.json     counts, fingerprints, config, histograms; {"format": 1, "stages": [...], "splits": {...}, ...}
ledger/*.jsonl    one object a line: {"id", "stage", "rule", "action", "value", "threshold", "excerpt"}

All of their text was written by strangers: what cannot be seen, or turns a line around, is spelled out when it is read.
"""

import dataclasses
import hashlib
import heapq
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FORMAT = 1
NUM_EXAMPLES = 6  # of each rule
_BLOCK_BYTES = 1 << 20
# Controls but tab and line end, surrogates, and what changes the direction of text (Unicode Technical Report 36, 3.2).
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


@dataclasses.dataclass
class Rule:
    """What one rule did in one stage, gathered from the ledger."""

    stage: str
    name: str
    action: str  # "removed" or "changed"
    count: int = 0
    values: tuple[float, float] | None = None  # the least and the greatest that were measured, where they are numbers
    thresholds: dict[str, None] = dataclasses.field(default_factory=dict)  # as they stand in the ledger, a few
    heap: list[tuple[int, str, Mapping[str, Any]]] = dataclasses.field(default_factory=list)

    def take(self, entry: Mapping[str, Any]) -> None:
        """Counts an entry. Those of the least hashes are kept as examples, so that they are spread over all."""
        self.count += 1
        value, threshold = entry.get("value"), entry.get("threshold")
        if isinstance(value, int | float) and not isinstance(value, bool):
            least, greatest = self.values or (value, value)
            self.values = min(least, value), max(greatest, value)
        if threshold not in (None, "") and len(self.thresholds) < 4:
            self.thresholds[visible(str(threshold))] = None
        id = str(entry.get("id"))
        digest = hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        each = (-int.from_bytes(digest), f"{id} {self.count}", entry)
        if len(self.heap) < NUM_EXAMPLES:
            heapq.heappush(self.heap, each)
        elif each > self.heap[0]:
            heapq.heapreplace(self.heap, each)

    @property
    def examples(self) -> list[Mapping[str, Any]]:
        return [visible(entry) for _, _, entry in sorted(self.heap, reverse=True, key=lambda each: each[:2])]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A cleaned dataset's files, as they were when they were read."""

    path: Path
    manifest: Mapping[str, Any]
    rules: Sequence[Rule]  # in the order of the stages, then by count
    faults: Sequence[str]  # what is missing, cannot be read, or does not agree, each in words

    @property
    def name(self) -> str:
        return self.path.name

    def part(self, name: str) -> Mapping[str, Any]:
        """A section of the manifest, empty where there is none."""
        return mapping(self.manifest.get(name))

    def rows(self, name: str) -> list[Mapping[str, Any]]:
        """The objects of a list of the manifest, such as its stages."""
        return rows(self.manifest.get(name))


def read(folder: str | os.PathLike[str]) -> Cleaned:
    """All that there is; what is missing or does not agree stands in `faults`.

    Raises:
      ValueError: no manifest, or one of another format.
    """
    path = Path(folder).resolve()
    manifest = visible(_manifest(path / "manifest.json"))
    faults: list[str] = []
    order = {str(stage.get("name")): place for place, stage in enumerate(rows(manifest.get("stages")))}
    found = _ledger(path / "ledger", faults)
    found.sort(key=lambda rule: (order.get(rule.stage, len(order)), rule.action != "removed", -rule.count, rule.name))
    faults += _disagreements(rows(manifest.get("stages")), found)
    faults += _missing(path / "data", mapping(manifest.get("splits")))
    return Cleaned(path=path, manifest=manifest, rules=found, faults=faults)


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def visible(value: Any) -> Any:
    """A value of JSON in which every character of a text can be seen: "\\u202e" for what turns text around."""
    if isinstance(value, str):
        return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    if isinstance(value, Mapping):
        return {visible(key): visible(inner) for key, inner in value.items()}
    return [visible(inner) for inner in value] if isinstance(value, list) else value


def _manifest(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        raise ValueError(f"{path.parent}: expected a cleaned dataset with manifest.json, got none; clean it to its end")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON, got {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        kind = f"format {found.get('format')!r}" if isinstance(found, dict) else type(found).__name__
        raise ValueError(f"{path}: expected an object of format {FORMAT}, got {kind}")
    return found


def _ledger(folder: Path, faults: list[str]) -> list[Rule]:
    """The rules of all the ledger's files."""
    found: dict[tuple[str, str, str], Rule] = {}
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
    if not files:
        faults.append("ledger/*.jsonl is not there")
    for file in files:
        bad = 0
        for line in _lines(file):
            entry = _entry(line)
            if entry is None:
                bad += 1
                continue
            key = _key(entry)
            if key not in found:
                found[key] = Rule(*key)
            found[key].take(entry)
        if bad:
            faults.append(f"ledger/{file.name}: {bad:,} lines are no entry")
    return list(found.values())


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=_BLOCK_BYTES) as lines:
        for line in lines:
            if not line.isspace():
                yield line


def _entry(line: bytes) -> Mapping[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and "rule" in entry else None


def _key(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    stage, rule, action = (visible(str(entry.get(field, ""))) for field in ("stage", "rule", "action"))
    return stage, rule, action


def _disagreements(stages: Sequence[Mapping[str, Any]], found: Sequence[Rule]) -> list[str]:
    """Where manifest and ledger count differently: nothing is dropped in silence."""
    counted = {
        (str(stage.get("name")), rule, action): count
        for stage in stages
        for action in ("removed", "changed")
        for rule, count in mapping(stage.get(action)).items()
    }
    listed = {(rule.stage, rule.name, rule.action): rule.count for rule in found}
    return [
        f"{key[0]}: {key[1]} {key[2]} {counted.get(key, 0):,} records by the manifest, {listed.get(key, 0):,} by the "
        "ledger"
        for key in {**counted, **listed}
        if counted.get(key, 0) != listed.get(key, 0)
    ]


def _missing(folder: Path, splits: Mapping[str, Any]) -> list[str]:
    """Files of the data that are not there, or not of the size they should have."""
    told = []
    for split in splits.values():
        for file in rows(mapping(split).get("files")):
            path = folder / str(file.get("name"))
            if not path.is_file():
                told.append(f"data/{file.get('name')} is not there")
            elif path.stat().st_size != file.get("bytes"):
                told.append(f"data/{file.get('name')} has {path.stat().st_size:,} bytes, expected {file.get('bytes')}")
    return told
