"""Sequences whose label needs memory: which of two symbols came first, and which second, among others that say nothing.

S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 1997, experiment 6a: the first symbol stands
from a tenth to a fifth of the way, the second from a half to three fifths. Here every sequence is of one length.
"""

import numpy as np
from jaxtyping import Float32

from input_pipeline import hashing

CLASSES = ("xx", "xy", "yx", "yy")
_MIN_LENGTH, _MIN_SYMBOLS = 10, 3


def example(number: int, *, shape: tuple[int, int], seed: int) -> tuple[Float32[np.ndarray, "L F"], int]:
    """Sequence `number`, a symbol a row, and which of `CLASSES` it is: symbol 0 is x, 1 is y, others mean nothing.

    Raises:
      ValueError: `shape` is not [L, F] with at least 10 rows and 3 symbols.
    """
    if len(shape) != 2 or shape[0] < _MIN_LENGTH or shape[1] < _MIN_SYMBOLS:
        raise ValueError(f"data.shape: expected (L, F) of {_MIN_LENGTH} x {_MIN_SYMBOLS} or more, got {shape}")
    length, num_symbols = shape
    label = number % len(CLASSES)
    key = hashing.fold(hashing.key("synthetic sequences 1", seed), number)
    [(first, second)] = hashing.uniform(hashing.fold(key, 0), 2)
    symbols_L = 2 + (hashing.uniform(hashing.fold(key, 1), length)[0] * (num_symbols - 2)).astype(int)
    symbols_L[int(length * (0.1 + 0.1 * first))] = label // 2
    symbols_L[int(length * (0.5 + 0.1 * second))] = label % 2
    return np.eye(num_symbols, dtype=np.float32)[symbols_L], label
