"""What a person finds in the end: data, ledger and manifest, put together from the stages."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from input_pipeline import cache
from input_pipeline.clean import blocks, splits
from input_pipeline.clean.blocks import Counts
from input_pipeline.clean.engine import Engine, Stage
from input_pipeline.clean.inputs import Input
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages import cleaning, collecting
from input_pipeline.clean.stages.cleaning import blocks_of, offsets_of
from input_pipeline.clean.stages.deciding import Decision
from input_pipeline.clean.stages.sketching import INDEX
from input_pipeline.clean.stages.splitting import Placing

FORMAT = 1  # of the manifest
MANIFEST = "manifest.json"
FITTED = "fitted.json"  # what a table learnt from its training rows: tabular.from_json
_STALE_S = 600
_PACKAGES = (
    "numpy",
    "pyarrow",
    "ftfy",
    "py3langid",
    "charset-normalizer",
    "resiliparse",
    "fastwarc",
    "pillow",
    "scipy",
)


class Made(NamedTuple):
    """The stages of a cleaning that is done."""

    collected: Stage
    cleaned: Stage
    decisions: tuple[Decision, ...]
    placings: tuple[Placing, ...]
    written: Stage
    indexed: Stage | None

    @property
    def stages(self) -> list[Stage]:
        """All of them, in order."""
        decided = [*(each.stage for each in self.decisions), *(each.stage for each in self.placings)]
        return [self.collected, self.cleaned, *decided, self.written, *([self.indexed] if self.indexed else [])]


def run(spec: Clean, output: pathlib.Path, found: Sequence[Input], made: Made, engine: Engine) -> dict[str, Any]:
    """Puts what was made in the place of what was there; -> the manifest."""
    engine.run("publishing", Publishing(spec, output, tuple(found), made), 1)
    return json.loads((output / MANIFEST).read_bytes())


@dataclass(frozen=True)
class Publishing:
    """One task: writes `data`, `ledger`, `index` and `fitted.json` where there are any, and then the manifest."""

    spec: Clean
    output: pathlib.Path
    inputs: tuple[Input, ...]
    made: Made

    def done(self, task: int) -> bool:
        del task
        try:
            manifest = json.loads((self.output / MANIFEST).read_bytes())
            is_there = [(self.output / name).is_dir() for name, _ in self._parts()]
            files = [file for split in manifest["splits"].values() for file in split["files"]]
            sizes = [(self.output / "data" / file["name"]).stat().st_size == file["bytes"] for file in files]
        except (OSError, ValueError, KeyError):
            return False
        return manifest.get("keys") == [stage.key for stage in self.made.stages] and all(is_there) and all(sizes)

    def reads(self, task: int) -> Sequence[object]:
        del task
        return (self.made.written.folder,)

    def __call__(self, task: int) -> None:
        del task
        _sweep(self.made)
        for name, fill in self._parts():
            draft = self.output / f"{name}.tmp"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            fill(draft, self.made)
            _replace(draft, self.output / name)
        if self.spec.fitted:
            with cache.replacing(self.output / FITTED) as file:
                file.write((self.made.placings[-1].stage.folder / FITTED).read_bytes())
        manifest = _manifest(self.spec, self.inputs, self.made)
        with cache.replacing(self.output / MANIFEST) as file:
            file.write(json.dumps(manifest, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def _parts(self) -> list[tuple[str, Callable[[pathlib.Path, Made], None]]]:
        return [("data", _data), ("ledger", _ledger), *([(INDEX, _index)] if self.made.indexed else [])]


def _sweep(made: Made) -> None:
    """Removes the drafts that killed tasks left: nobody has written to them for long. What is younger may be that of
    another machine, each of which writes what it decides.
    """
    for stage in made.stages:
        for draft in stage.folder.rglob("*.tmp"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime > _STALE_S:
                    draft.unlink()


def _replace(draft: pathlib.Path, final: pathlib.Path) -> None:
    """The draft's folder in the place of another. Killed in between, the next run does it again."""
    old = final.with_name(f"{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        os.rename(final, old)
    os.rename(draft, final)
    shutil.rmtree(old, ignore_errors=True)


def _data(draft: pathlib.Path, made: Made) -> None:
    _link(made.written.folder / "data", draft)


def _index(draft: pathlib.Path, made: Made) -> None:
    assert made.indexed is not None
    _link(made.indexed.folder, draft)


def _link(folder: pathlib.Path, draft: pathlib.Path) -> None:
    """Hard links to the files of a folder; copies where the file system has none."""
    for path in sorted(folder.iterdir()):
        try:
            os.link(path, draft / path.name)
        except OSError:
            shutil.copyfile(path, draft / path.name)


def _ledger(draft: pathlib.Path, made: Made) -> None:
    for number, (name, paths) in enumerate(_ledgers(made)):
        with open(draft / f"{number}-{name}.jsonl", "wb") as file:
            for path in paths:
                with open(path, "rb") as part:
                    shutil.copyfileobj(part, file)


def _ledgers(made: Made) -> Iterator[tuple[str, list[pathlib.Path]]]:
    """The parts of each stage's ledger."""
    for name, stage in ((collecting.NAME, made.collected), (cleaning.NAME, made.cleaned)):
        yield name, [blocks.ledger_of(path) for path in blocks_of(stage.folder)]
    for decision in made.decisions:
        for kind in decision.counts:
            yield kind, [decision.ledger(kind)]
    for placing in made.placings:
        yield placing.name, [placing.ledger]


def _manifest(spec: Clean, found: Sequence[Input], made: Made) -> dict[str, Any]:
    files = json.loads((made.written.folder / "files.json").read_bytes())
    split_of = lambda split: [file for file in files if file["split"] == split]
    return {
        "format": FORMAT,
        "fingerprint": cache.key(*((file["name"], file["sha256"]) for file in files)),
        "keys": [stage.key for stage in made.stages],
        "config": asdict(spec),
        "inputs": [{"name": each.name, "bytes": each.num_bytes, "sha256": each.sha256} for each in found],
        "stages": list(_stages(made)),
        "splits": {
            split: {
                "records": sum(file["records"] for file in split_of(split)),
                "bytes": sum(file["bytes"] for file in split_of(split)),
                "files": [
                    {key: file[key] for key in ("name", "records", "bytes", "sha256")} for file in split_of(split)
                ],
            }
            for split in splits.NAMES
            if split_of(split)
        },
        "fields": dict(made.placings[-1].types),
        "clusters": _clusters(made),
        "uncompared": made.decisions[0].num_uncompared,  # records that near-duplicates may have escaped
        **json.loads((made.written.folder / "summary.json").read_bytes()),
        "versions": {"python": sys.version.split()[0]} | dict(_versions()),
    }


def _stages(made: Made) -> Iterator[dict[str, Any]]:
    """Of each stage: its name, its key and what it counted."""
    for name, stage in ((collecting.NAME, made.collected), (cleaning.NAME, made.cleaned)):
        counts = sum((blocks.counts_of(path) for path in blocks_of(stage.folder)), Counts())
        yield {"name": name, "key": stage.key, **asdict(counts)}
    counted = [(each.stage, each.counts) for each in made.decisions]
    counted += [(each.stage, each.counts) for each in made.placings]
    for stage, found in counted:
        for name, counts in found.items():
            yield {"name": name, "key": stage.key, **asdict(counts)}


def _clusters(made: Made, most: int = 50) -> list[dict[str, Any]]:
    """The records that stay in the place of the most others."""
    removed = made.decisions[0].removed
    removed = removed[removed["like"] >= 0]
    like, counts = np.unique(removed["like"], return_counts=True)
    largest = like[np.lexsort((like, -counts))][:most]
    shown = {number: removed[removed["like"] == number][:most] for number in largest.tolist()}
    wanted = np.concatenate([largest, *(each["number"] for each in shown.values())])
    ids = blocks.ids_at(blocks_of(made.cleaned.folder), offsets_of(made.cleaned.folder), wanted)
    return [
        {
            "survivor": ids[number],
            "size": int(counts[like == number][0]),
            "removed": [[ids[n], round(s, 6)] for n, _, s, _ in each.tolist()],
        }
        for number, each in shown.items()
    ]


def _versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
