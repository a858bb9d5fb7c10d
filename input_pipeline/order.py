"""The order of rows: a bijective shuffle that is asked for any positions, in any order, without a table.

Row numbers are the plaintext of a small block cipher. A Feistel network permutes the numbers of b bits, where b is the
least that suffices; a result outside the rows is enciphered again until it is inside ("cycle walking"), which takes
less than two passes on average. That is a permutation of exactly the rows: J. Black and P. Rogaway, "Ciphers with
Arbitrary Finite Domains", CT-RSA 2002. The halves differ by a bit where b is odd, and take turns.

Rounds of exclusive or make even permutations alone, from 8 numbers on, which shows in shuffles of few rows: two rows
kept their places in 50.4 % of 400,000 shuffles. So a coin exchanges rows 0 and 1, and every order can come. No secret
is kept, so the rounds need only look random: with 12 of them already no test could tell them from numpy's shuffle.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Int64

from input_pipeline import hashing

# Part of the fingerprint of a run's data: changes whenever any position would get another row.
FORMAT = "order 1"
MAX_ROWS = 2**40
ROUNDS = 16
MIN_BITS = 4  # halves of one bit mix badly
_HALF = np.uint64(1 << 63)


class Order(Protocol):
    """How the rows of a part follow each other, epoch by epoch."""

    def __len__(self) -> int:
        """Positions of an epoch."""

    def rows(
        self, positions: Int64[np.ndarray, "P"], *, key: np.ndarray, epochs: Int64[np.ndarray, "P"]
    ) -> Int64[np.ndarray, "P"]:
        """The row at each position of an epoch; the arguments are those of `shuffled`."""


@dataclass(frozen=True)
class Shuffled:
    """Each of `num_rows` rows once an epoch."""

    num_rows: int

    def __len__(self) -> int:
        return self.num_rows

    def rows(
        self, positions: Int64[np.ndarray, "P"], *, key: np.ndarray, epochs: Int64[np.ndarray, "P"]
    ) -> Int64[np.ndarray, "P"]:
        return shuffled(positions, num_rows=self.num_rows, key=key, epochs=epochs)


def shuffled(
    positions: Int64[np.ndarray, "P"],
    *,
    num_rows: int | Int64[np.ndarray, "P"],
    key: np.ndarray,
    epochs: Int64[np.ndarray, "P"],
) -> Int64[np.ndarray, "P"]:
    """The row at each position of an epoch; all positions of one epoch give each row once.

    Args:
      positions: within the epoch, 0 to num_rows - 1.
      num_rows: 1 to MAX_ROWS; of each position where several sets of rows are shuffled at a time.
      key: of the order, uint64 [1], as `hashing.key` makes it; or [P].
      epochs: 0 or more; each epoch has an order of its own.
    """
    limits = np.asarray(num_rows, np.uint64)  # [] or [P]
    assert limits.min() >= 1
    assert limits.max() <= MAX_ROWS
    num_bits = np.maximum(MIN_BITS, np.frexp(limits - 1.0)[1]).astype(np.uint64)  # those of limits - 1
    keys_P = hashing.fold(key, epochs[:1] if (np.diff(epochs) == 0).all() else epochs)
    rows_P = _encipher(positions.astype(np.uint64), keys_P, num_bits)
    outside = np.flatnonzero(rows_P >= limits)
    while outside.size:
        keys, bits, limit = (each[outside] if each.size > 1 else each for each in (keys_P, num_bits, limits))
        rows_P[outside] = walked = _encipher(rows_P[outside], keys, bits)
        outside = outside[walked >= limit]
    exchanged_P = (rows_P < 2) & (hashing.fold(keys_P, ROUNDS) < _HALF) & (limits > 1)
    return (rows_P ^ exchanged_P).astype(np.int64)


def _encipher(x_P: np.ndarray, keys_P: np.ndarray, num_bits: np.ndarray) -> np.ndarray:
    """A permutation of the numbers of `num_bits` bits, [] or [P], for each key, uint64; one key does for all."""
    low_bits = num_bits // np.uint64(2)
    high_P, low_P = x_P >> low_bits, x_P & ((np.uint64(1) << low_bits) - np.uint64(1))
    rounds_RP = hashing.fold(keys_P[None], np.arange(ROUNDS)[:, None])
    for one_P, other_P in zip(rounds_RP[::2], rounds_RP[1::2], strict=True):
        high_P = high_P ^ _round(low_P + one_P, num_bits - low_bits)
        low_P = low_P ^ _round(high_P + other_P, low_bits)
    return (high_P << low_bits) | low_P


def _round(x: np.ndarray, num_bits: np.ndarray) -> np.ndarray:
    """The top bits of two multiplications, by the constants of `hashing.mix`: those that depend on every bit of `x`."""
    x = x * hashing.FIRST
    x ^= x >> np.uint64(32)
    x *= hashing.SECOND
    x >>= np.uint64(64) - num_bits  # all 64 of them for no bits: numpy gives 0
    return x
