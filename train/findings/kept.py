"""`evaluations/` of a workdir: what evaluators found at the last step, for the report."""

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Found(NamedTuple):
    """What an evaluator found: the facts for its JSON, and files by name, which the facts name too."""

    facts: dict[str, Any]
    files: dict[str, bytes]


def write(folder: Path, name: str, found: Found) -> None:
    """Writes `<name>.json`, and beside it a folder `<name>` of the files, in place of what was there.

    The JSON appears whole, and last. Numbers that it does not have become null, and a mistake's picture is named from
    the workdir on.
    """
    shutil.rmtree(folder / name, ignore_errors=True)
    (folder / name).mkdir(parents=True)
    for picture, content in found.files.items():
        (folder / name / picture).write_bytes(content)
    facts = finite(found.facts)
    for mistake in facts.get("mistakes", ()):
        if "picture" in mistake:
            mistake["picture"] = f"{folder.name}/{name}/{mistake['picture']}"
    path = folder / f"{name}.json"
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(facts, file, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def finite(value: Any) -> Any:
    """A copy in which what is no number is None."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
