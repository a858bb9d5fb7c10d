"""A dry run: what each rule would do to a sample, without writing anything."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from input_pipeline import cache
from input_pipeline.clean import blocks, collect, inputs
from input_pipeline.clean.record import Entry, Outcome, Record, split_outcome
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages.cleaning import apply
from input_pipeline.progress import Progress, quiet

EXAMPLES = 3  # of each rule


def rehearse(spec: Clean, *, num_records: int, progress: Progress = quiet) -> dict[str, Any]:
    """Reads files in a random order, the same each time, until there are so many records, and cleans these.

    Returns:
      {"stages": what `collect` and each operation counted, "examples": {rule: some entries of it}}.
    """
    found = inputs.find(spec.files, cache_dir=cache.directory(spec.cache), progress=progress)
    random.Random(0).shuffle(found)
    read = itertools.chain.from_iterable(_some(each, spec, num_records) for each in found)
    records, entries = split_outcome(_until(read, num_records))
    stages = [{"name": "collect", **asdict(blocks.count(records, records, entries))}]
    examples = _examples({}, entries)
    for number, step in enumerate(spec.operations, start=1):
        outcome = Outcome(*apply([step], records))
        stages.append({"name": type(step).__name__, **asdict(blocks.count(records, *outcome))})
        examples = _examples(examples, outcome.entries)
        records = outcome.records
        progress("trying steps", number, len(spec.operations))
    return {"stages": stages, "examples": examples}


def _some(one: inputs.Input, spec: Clean, num_records: int):
    """A part of a file, so that one large file is not the whole sample."""
    return itertools.islice(collect.read(one.path, one.name, spec=spec.source), max(1, num_records // 4))


def _until(read, num_records: int):
    seen = 0
    for each in read:
        yield each
        seen += isinstance(each, Record)
        if seen == num_records:
            return


def _examples(known: dict[str, list[Entry]], entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    for entry in entries:
        kept = known.setdefault(entry.rule, [])
        if len(kept) < EXAMPLES:
            kept.append(entry)
    return known
