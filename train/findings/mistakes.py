"""What an evaluation found as files: its findings, and the inputs of its mistakes as pictures or text."""

from collections.abc import Mapping, Sequence

import numpy as np

from input_pipeline import transforms
from input_pipeline.batch import Batch
from input_pipeline.labelled.rows import Rows
from input_pipeline.transforms import Transform
from train.findings import drawing, facts
from train.findings.kept import Found


def explain(
    evaluated: Mapping[str, np.ndarray],
    *,
    rows: Rows,
    operations: Sequence[Transform],
    modality: str,
    labels: str,
    classes: Sequence[str],
) -> Found:
    """The findings of evaluated rows.

    Args:
      evaluated: what an objective kept of each row (train/objectives), in the order of `rows`.
      rows: the same rows as the feed has them, to be read again.
      operations: what was done to them before the model saw them.
      modality: of the data: image, audio or table.
      labels, classes: of the data, as `facts.of` takes them.
    """
    told = facts.of(evaluated, labels=labels, classes=classes)
    files = {}
    for mistake in told.get("mistakes", ()):
        row = mistake["row"]
        mistake["name"] = rows.name(row)
        content = shown(rows, row, operations=operations, modality=modality)
        if isinstance(content, str):
            mistake["text"] = content
        else:
            files[f"{row}.png"] = drawing.png(content)
            mistake["picture"] = f"{row}.png"
    return Found(told, files)


def shown(rows: Rows, row: int, *, operations: Sequence[Transform], modality: str) -> np.ndarray | str:
    """A row's input for people: pixels [H, W, 3], or the values of a table as text.

    Images in memory and tables as they are; whatever else has to be decoded first is what the model saw.
    """
    place_B = np.array([row])
    raw: Batch = rows.read(place_B)
    inputs = raw["inputs"]
    if modality == "table" and len(rows.shape) == 1:
        return drawing.values(np.asarray(inputs[0], np.float64))
    if not (isinstance(inputs, np.ndarray) and inputs.dtype == np.uint8 and inputs.ndim == 4):
        inputs = transforms.apply(operations, raw, positions_B=place_B, seed=0)["inputs"]
    return drawing.draw(np.asarray(inputs[0]))
