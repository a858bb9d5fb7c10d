"""The batch contract of text: keys, shapes and dtypes. Everything that makes or takes batches holds to it.

tokens       what the model reads
targets      the token after each of them
segment_ids  1, 2, .. for the documents in a row, 0 for padding; attention stays within one number
positions    0, 1, .. from the start of each segment
weights      1 where the target counts, 0 for padding

Every array is [B, L]: rows, tokens of a row.
"""

from typing import TypeAlias

import numpy as np

Batch: TypeAlias = dict[str, np.ndarray]

DTYPES = {
    "tokens": np.dtype(np.int32),
    "targets": np.dtype(np.int32),
    "segment_ids": np.dtype(np.int32),
    "positions": np.dtype(np.int32),
    "weights": np.dtype(np.float32),
}


def empty_rows(num_rows: int, *, seq_len: int) -> Batch:
    """Rows that count for nothing: all zeros, so padding alone."""
    return {key: np.zeros((num_rows, seq_len), dtype) for key, dtype in DTYPES.items()}


def check(batch: Batch) -> Batch:
    """The batch itself, if it keeps the contract; looks at no element.

    Raises:
      ValueError: other keys, another dtype, or shapes that are not one common [B, L].
    """
    found = {key: (array.dtype, array.shape) for key, array in batch.items()}
    shape = next((array.shape for array in batch.values()), ())
    if found != {key: (dtype, shape) for key, dtype in DTYPES.items()} or len(shape) != 2:
        expected = ", ".join(f"{key} {dtype}" for key, dtype in DTYPES.items())
        came = ", ".join(f"{key} {dtype} {list(shape)}" for key, (dtype, shape) in found.items())
        raise ValueError(f"expected a batch of {expected}, all of one shape [B, L]; got {came or 'nothing'}")
    return batch
