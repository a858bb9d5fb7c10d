"""What a task of an exchange sends, in one file: a table of where each partition's bytes begin, and the bytes."""

import pathlib
from collections.abc import Iterable

import numpy as np

from input_pipeline import cache


def write(path: pathlib.Path, sent: Iterable[tuple[int, bytes]], *, num_partitions: int) -> None:
    """One file of (partition, bytes), whole or not there; a partition occurs once at most."""
    parcels = dict(sent)
    sizes = [len(parcels.get(partition, b"")) for partition in range(num_partitions)]
    bounds = np.cumsum([8 * (num_partitions + 1), *sizes], dtype="<i8")
    with cache.replacing(path) as file:
        file.write(bounds.tobytes())
        file.writelines(parcels[partition] for partition in sorted(parcels))


def read(path: pathlib.Path, partition: int) -> bytes:
    """The bytes of one partition; b"" for none."""
    with open(path, "rb") as file:
        file.seek(8 * partition)
        begin, end = np.frombuffer(file.read(16), "<i8").tolist()
        file.seek(begin)
        return file.read(end - begin)
