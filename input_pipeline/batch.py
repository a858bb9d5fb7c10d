"""The batch contract: keys, shapes and dtypes. Everything that makes or takes batches holds to it.

A batch of text, every array [B, L] (rows, tokens of a row):

tokens       what the model reads
targets      the token after each of them
segment_ids  1, 2, .. for the documents in a row, 0 for padding; attention stays within one number
positions    0, 1, .. from the start of each segment
weights      1 where the target counts, 0 for padding

A batch of labelled examples:

inputs   [B, *shape]: images [H, W, C], spectrograms [frames, mels], sound [T], tables [F], sequences [L, F]
labels   [B] numbers of classes (int32), or [B, *shape] of numbers (float32)
weights  [B], 1 for an example, 0 for a row that fills up the last batch of an evaluation
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Batch: TypeAlias = dict[str, Any]  # of arrays; inputs that differ in shape are a list until a transform ends it

DTYPES = {
    "tokens": np.dtype(np.int32),
    "targets": np.dtype(np.int32),
    "segment_ids": np.dtype(np.int32),
    "positions": np.dtype(np.int32),
    "weights": np.dtype(np.float32),
}


class Field(NamedTuple):
    """One array of a batch: its dtype, and the shape of one row."""

    dtype: np.dtype
    shape: tuple[int, ...]


Contract: TypeAlias = Mapping[str, Field]


def text(seq_len: int) -> Contract:
    """Of rows of `seq_len` tokens."""
    return {key: Field(dtype, (seq_len,)) for key, dtype in DTYPES.items()}


def labelled(shape: tuple[int, ...], *, labels: Field) -> Contract:
    """Of examples of this shape."""
    real = np.dtype(np.float32)
    return {"inputs": Field(real, shape), "labels": labels, "weights": Field(real, ())}


def empty_rows(num_rows: int, contract: Contract) -> Batch:
    """Rows that count for nothing: all zeros."""
    return {key: np.zeros((num_rows, *field.shape), field.dtype) for key, field in contract.items()}


def check(batch: Batch, contract: Contract) -> Batch:
    """The batch itself, if it keeps the contract; looks at no element.

    Raises:
      ValueError: other keys, another dtype, other shapes, or arrays of different numbers of rows.
    """
    found = {key: (getattr(array, "dtype", type(array)), np.shape(array)) for key, array in batch.items()}
    num_rows = next((shape[0] for _, shape in found.values() if shape), 0)
    if found != {key: (field.dtype, (num_rows, *field.shape)) for key, field in contract.items()}:
        expected = ", ".join(f"{key} {field.dtype} {['B', *field.shape]}" for key, field in contract.items())
        came = ", ".join(f"{key} {dtype} {list(shape)}" for key, (dtype, shape) in found.items())
        raise ValueError(f"expected a batch of {expected}; got {came or 'nothing'}".replace("'B'", "B"))
    return batch
