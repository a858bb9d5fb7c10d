"""A cleaned dataset as a source of a run: a folder that scripts/clean_data.py made, or a cleaning that a config holds.

    cleaned/<key>/      the dataset of a cleaning, named by all that it depends on: data, ledger, manifest.json
    cleaned/stages/     the stages of all cleanings, so that another rule runs again only what depends on it

The splits are those that the cleaning made. A run names them: data.train_split="train", data.val_split="val".
"""

import glob
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from input_pipeline import cache, files, remote
from input_pipeline.clean import blocks, inputs, pipeline, publish, splits
from input_pipeline.clean.engine.local import Local
from input_pipeline.clean.schema import Schema
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages.cleaning import contents
from input_pipeline.files import File
from input_pipeline.progress import Progress

_EXPECTED = "expected the folder of a cleaned dataset"
_INSTEAD = "write the --output of scripts/clean_data.py"

if TYPE_CHECKING:
    from input_pipeline.labelled.spec import LabelledData
    from input_pipeline.spec import Data

    Section: TypeAlias = Data | LabelledData


@dataclass(frozen=True)
class Dataset:
    """A cleaned dataset whose files are on this machine."""

    format: str  # a key of formats.FORMATS
    parts: Mapping[str, Sequence[File]]  # by split, those that have a record
    schema: Schema
    account: Mapping[str, Any]  # "folder", "records_in" and "records_out": what a person should be told


def check(data: "Section") -> None:
    """Raises a ValueError unless the section says which dataset and which of its splits, or is none of a dataset."""
    if data.source != "cleaned":
        if data.clean is not None:
            raise ValueError(f"data.source: expected 'cleaned' beside data.clean, got {data.source!r}")
        return
    if (data.clean is None) != (len(data.files) == 1) or (data.clean and data.files):
        raise ValueError(
            f"data.files: {_EXPECTED} for data.source='cleaned', or none beside data.clean, got {data.files}; "
            f"{_INSTEAD}"
        )
    if data.clean and data.clean.modality != data.modality:
        raise ValueError(f"data.clean.modality: expected {data.modality!r}, that of data, got {data.clean.modality!r}")
    _check_splits(data)


def _check_splits(data: "Section") -> None:
    seen: dict[str, str] = {}
    for field in ("train_split", "val_split", "test_split"):
        split = getattr(data, field)
        if not split and field != "train_split":
            continue
        if split not in splits.NAMES:
            raise ValueError(
                f"data.{field}: expected a split that the cleaning made, one of {', '.join(map(repr, splits.NAMES))}, "
                f"got {split!r}; write data.{field}={field.removesuffix('_split')!r}"
            )
        if split in seen:
            raise ValueError(f"data.{field}: expected another split than data.{seen[split]}, got {split!r} too")
        if data.clean and not data.clean.split.shares[splits.NAMES.index(split)]:
            raise ValueError(f"data.clean.split.{split}: expected a share above 0, since data.{field} reads it, got 0")
        seen[split] = field


def find(data: "Section", *, progress: Progress) -> Dataset:
    """The dataset of a section, which is made now if it holds a cleaning that was not run yet.

    Raises:
      ValueError: no dataset there, one of another modality, or files that are not those of its manifest; and what
        `pipeline.run` raises.
    """
    cache_dir = cache.directory(data.cache)
    if data.clean is None:
        folder = data.files[0]
    else:
        cache_dir = cache.directory(data.clean.cache or data.cache)
        folder = str(_made(data.clean, data.prepare_workers, cache_dir, progress))
    manifest = _manifest(folder, cache_dir, progress)
    config = manifest["config"]
    if config["modality"] != data.modality:
        raise ValueError(f"data.modality: expected {config['modality']!r}, that of {folder}, got {data.modality!r}")
    parts = {
        split: [_file(folder, each, cache_dir, progress) for each in told["files"]]
        for split, told in manifest["splits"].items()
    }
    if not parts:
        raise ValueError(f"data: expected records, but the cleaning left none; {folder}/ledger says why")
    schema = Schema(data.modality, manifest["fields"])
    return Dataset(config["output"]["format"], parts, schema, _account(folder, manifest))


def _account(folder: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    read = manifest["stages"][0]
    records_in = read["records_in"] + sum(read["removed"].values())
    records_out = sum(told["records"] for told in manifest["splits"].values())
    return {"folder": folder, "records_in": records_in, "records_out": records_out}


def _made(spec: Clean, num_workers: int, cache_dir: pathlib.Path, progress: Progress) -> pathlib.Path:
    """The folder of a cleaning that is done. One process does it, and others on this machine wait."""
    try:
        found = inputs.find(spec.files, cache_dir=cache_dir, progress=progress)
    except ValueError as error:
        raise ValueError(str(error).replace("--input", "data.clean.files")) from None
    folder = cache_dir / "cleaned" / identity(spec, found)[:32]
    if not _is_done(folder):
        with cache.locked(cache_dir / "cleaned" / "lock", progress=progress):
            if not _is_done(folder):
                with Local(num_workers, progress=progress) as engine:
                    pipeline.run_on(found, spec, folder, stages=cache_dir / "cleaned" / "stages", engine=engine)
    return folder


def _is_done(folder: pathlib.Path) -> bool:
    return (folder / publish.MANIFEST).is_file()


def identity(spec: Clean, found: Sequence[inputs.Input]) -> str:
    """A hex name for a cleaning of these inputs, wherever they and the files of its steps lie."""
    against = [_sha256(pathlib.Path(folder) / publish.MANIFEST) for folder in spec.dedup.against]
    named = replace(spec, files=(), cache="", dedup=replace(spec.dedup, against=()))
    return cache.key(blocks.FORMAT, publish.FORMAT, named, inputs.identity(found), *contents(spec.operations), *against)


def _sha256(path: pathlib.Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise ValueError(f"dedup.against: {_EXPECTED}, got {str(path.parent)!r}; {_INSTEAD}") from None


def _manifest(folder: str, cache_dir: pathlib.Path, progress: Progress) -> dict[str, Any]:
    try:
        [file] = files.find([_pattern(folder, publish.MANIFEST)], cache_dir=cache_dir, progress=progress)
        found = json.loads(pathlib.Path(file.path).read_bytes())
    except (ValueError, OSError):
        raise ValueError(f"data.files: {_EXPECTED}, with manifest.json and data/, got {folder!r}; {_INSTEAD}") from None
    if found.get("format") != publish.FORMAT:
        raise ValueError(f"data.files: {_EXPECTED} of format {publish.FORMAT}, got {folder!r}; run its cleaning again")
    return found


def _file(folder: str, told: Mapping[str, Any], cache_dir: pathlib.Path, progress: Progress) -> File:
    """A file of the dataset, held to its manifest."""
    [file] = files.find([_pattern(folder, f"data/{told['name']}")], cache_dir=cache_dir, progress=progress)
    if file.content.sha256.hex() != told["sha256"]:
        raise ValueError(f"data.files: expected {file.path} as manifest.json has it, but it has changed; clean again")
    return file


def _pattern(folder: str, name: str) -> str:
    """A glob, or a URL, for one file."""
    folder = folder.rstrip("/") if remote.is_url(folder) else glob.escape(folder.rstrip("/"))
    return f"{folder}/{name}"
