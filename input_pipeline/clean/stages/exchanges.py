"""What the keyed exchanges of stages share: how many partitions, what goes to each, and where its result lies."""

import itertools
import pathlib
from collections.abc import Iterator

import numpy as np

from input_pipeline import cache

PARTITION_BYTES = 64 << 20


def num_partitions(num_bytes: int) -> int:
    """Of an exchange of so many bytes; some at least, so that several processes find work."""
    return max(8, -(-num_bytes // PARTITION_BYTES))


def parcels(rows: np.ndarray, keys: np.ndarray, count: int) -> Iterator[tuple[int, bytes]]:
    """The rows of each partition, in order."""
    partitions = (keys % np.uint64(count)).astype(np.int64)
    order = np.argsort(partitions, kind="stable")
    bounds = np.searchsorted(partitions[order], np.arange(count + 1))
    for partition, (low, high) in enumerate(itertools.pairwise(bounds)):
        if high > low:
            yield partition, rows[order[low:high]].tobytes()


def part(folder: pathlib.Path, partition: int) -> pathlib.Path:
    """The file of a partition's result."""
    return folder / f"{partition:05d}.npy"


def save(path: pathlib.Path, array: np.ndarray) -> None:
    """An array as a .npy file, whole or not at all."""
    with cache.replacing(path) as file:
        np.save(file, array)
