"""What is done to rows on their way into training batches, by a line of text: `"random_crop(28, 2)|flip_lr|normalize"`.

Operations act from left to right. Each is a frozen dataclass in `TRANSFORMS` that checks its arguments when it is made,
and a pure function from rows and one random key a row to rows of the same shapes. The key comes from the seed, the
row's position in the run and the operation's place in the line (`apply`): hosts, workers and resumes change nothing,
and a row meets other chances in each epoch. What stands after `batch` mixes rows (`mixing.py`) and comes last.

Images, sound and numbers are `rows["inputs"]`: an array [B, ...] where all agree in shape, else a list of B arrays, or
of B records before `decode`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Int64, UInt64

from input_pipeline import hashing
from input_pipeline.batch import Batch
from input_pipeline.transforms.audio import AUDIO
from input_pipeline.transforms.image import IMAGE
from input_pipeline.transforms.table import TABLE
from input_pipeline.transforms.text import DropTokens, MaskSpans

# Part of the fingerprint of a run's data: changes whenever an operation would give another result.
FORMAT = "transforms 1"


class Transform(Protocol):
    """An operation, bound to its arguments. Its repr tells it from others."""

    def __call__(self, rows: Batch, keys_B: UInt64[np.ndarray, "B"]) -> Batch:
        """New rows; what comes in is not written to. All chance comes from the key of each row (`hashing.uniform`)."""


Table = Mapping[str, Callable[..., Transform]]
TEXT: Table = {"drop_tokens": DropTokens, "mask_spans": MaskSpans}
# By modality. An operation's keyword-only fields are the run's to give (`parse.parse`); the others stand in the line.
TRANSFORMS: Mapping[str, Table] = {"text": TEXT, "image": IMAGE, "audio": AUDIO, "table": TABLE}


def apply(transforms: Sequence[Transform], rows: Batch, *, positions_B: Int64[np.ndarray, "B"], seed: int) -> Batch:
    """Rows after all operations; `positions_B` are the rows' places in the run."""
    if not transforms:
        return rows
    keys_B = hashing.fold(hashing.key("transforms", seed), positions_B)
    for place, transform in enumerate(transforms):
        rows = transform(rows, hashing.fold(keys_B, place))
    return rows
