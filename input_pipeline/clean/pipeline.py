"""A whole cleaning: the stages in their order, each kept under the hash of all that it depends on.

DIR/stages/<stage>-<key>/   what each stage made; one whose key is as before is not run again
DIR/data/                   the dataset
DIR/ledger/*.jsonl          every record that was removed or changed, a file a stage
DIR/manifest.json           counts and fingerprints
"""

import pathlib
from collections.abc import Sequence
from typing import Any

from input_pipeline import cache
from input_pipeline.clean import inputs, publish
from input_pipeline.clean.engine import Engine
from input_pipeline.clean.spec import Clean
from input_pipeline.clean.stages import cleaning, collecting, deciding, fitting, indexing, spans, splitting, writing
from input_pipeline.progress import Progress, quiet


def run(spec: Clean, output: pathlib.Path, *, engine: Engine, progress: Progress = quiet) -> dict[str, Any]:
    """Makes the dataset in `output`, or what is missing of it.

    Returns:
      the manifest.

    Raises:
      ValueError: nothing is there to clean, a file that a step needs is not, or near-duplicates lie in two splits.
      OSError: the disk is full, or may not be written to.
    """
    found = inputs.find(spec.files, cache_dir=cache.directory(spec.cache), progress=progress)
    return run_on(found, spec, output, stages=output / "stages", engine=engine)


def run_on(
    found: Sequence[inputs.Input], spec: Clean, output: pathlib.Path, *, stages: pathlib.Path, engine: Engine
) -> dict[str, Any]:
    """As `run`, of files that were found already, with stages in a folder of their own."""
    collected = collecting.run(stages, spec, found, engine)
    cleaned = cleaning.run(collected, spec, engine)
    decision, sketches = deciding.run(cleaned, spec, engine)
    source, decisions = cleaned, [decision]
    if spec.dedup.substring_words:
        source, rest = spans.run(cleaned, decision, spec, engine)
        decisions.append(rest)
    placings = [splitting.run(source, decisions[-1], spec, engine)]
    if spec.fitted:
        source, fitted = fitting.run(source, placings[-1], spec, engine)
        placings.append(fitted)
    written = writing.run(source, placings[-1], spec, engine)
    indexed = indexing.run(decision, sketches.new, engine) if spec.dedup.index else None
    made = publish.Made(collected, cleaned, tuple(decisions), tuple(placings), written, indexed)
    return publish.run(spec, output, found, made, engine)
