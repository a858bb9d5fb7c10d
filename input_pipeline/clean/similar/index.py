"""What is kept of a release, so that a later one is deduplicated against it and its records stay where they are.

A folder of blocks, each the arrays of `Sketches` as .npy files and the records' ids, and `index.json`, which is
written last. A later run takes the old records as its first numbers and opens all arrays memory-mapped: on disk, a
record takes `bytes_per_record` and its id; in memory, 10 bytes in `candidates.Standing`, and what is compared.
"""

import hashlib
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from input_pipeline import cache
from input_pipeline.clean.similar.sketch import Evidence, Near, Sketches, Store, take

FORMAT = "near-duplicates 1"
INDEX = "index.json"  # written last
_NAMES = ("exact", "bands", "evidence", "offsets")


class Block(NamedTuple):
    """Some records of a release."""

    ids: Sequence[str]
    sketches: Sketches


class Release(NamedTuple):
    """The records of an earlier release, in their order, memory-mapped."""

    blocks: Sequence[Block]

    @property
    def num_records(self) -> int:
        """How many there are: the `num_old` of `candidates.resolve`."""
        return sum(len(block.ids) for block in self.blocks)

    @property
    def store(self) -> Store:
        """The evidence of all of them."""
        return Store([block.sketches.evidence for block in self.blocks])


def bytes_per_record(num_bands: int, num_numbers: float) -> float:
    """On disk, without the id: a digest, the keys, an offset, and so many numbers of evidence (for a text, about as
    many as it has words).
    """
    return 16 + 8 * num_bands + 8 + 8 * num_numbers


def select(block: Block, numbers: np.ndarray) -> Block:
    """These records of a block alone, such as those that survive."""
    exact_N2, bands_NK, evidence = block.sketches
    ids = [block.ids[number] for number in numbers.tolist()]
    return Block(ids, Sketches(exact_N2[numbers], bands_NK[numbers], take(evidence, numbers)))


def write(folder: pathlib.Path, blocks: Iterable[Block], *, near: Near | None) -> None:
    """Writes a release's survivors, block by block, of which one is in memory at a time."""
    counts, digest = [], hashlib.sha256()
    for number, (ids, (exact_N2, bands_NK, evidence)) in enumerate(blocks):
        arrays = (exact_N2, bands_NK, evidence.flat, evidence.offsets)
        for name, array in zip(_NAMES, arrays, strict=True):
            with cache.replacing(_file(folder, number, f"{name}.npy")) as file:
                np.save(file, array)
        with cache.replacing(_file(folder, number, "ids.json")) as file:
            file.write(json.dumps(list(ids)).encode())
        counts.append(len(ids))
        digest.update(np.ascontiguousarray(exact_N2).tobytes())
    with cache.replacing(folder / INDEX) as file:
        about = {"format": FORMAT, "near": repr(near), "records": counts, "sha256": digest.hexdigest()}
        file.write(json.dumps(about).encode())


def read(folder: pathlib.Path, *, near: Near | None) -> Release:
    """The release in a folder.

    Raises:
      ValueError: no whole index there, or one of other sketches.
    """
    about = _about(folder)
    if about["near"] != repr(near):
        raise ValueError(f"dedup.against: expected an index of {near!r}, got one of {about['near']} in {folder}")
    try:
        blocks = [_block(folder, number) for number in range(len(about["records"]))]
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"dedup.against: expected a whole index in {folder}, but {error}; clean that again") from None
    if [len(block.ids) for block in blocks] != about["records"]:
        raise ValueError(f"dedup.against: expected {sum(about['records'])} records in {folder}; clean that again")
    return Release(blocks)


def identity(folder: pathlib.Path) -> str:
    """A hex name for what a release holds.

    Raises:
      ValueError: no whole index there.
    """
    return cache.key(json.dumps(_about(folder)))


def _about(folder: pathlib.Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / INDEX).read_bytes())
    except (OSError, ValueError) as error:
        message = f"expected the output of a cleaning with dedup.index=True, but {folder}: {error}"
        raise ValueError(f"dedup.against: {message}; run that again with --config.dedup.index=True") from None
    if about.get("format") != FORMAT:
        raise ValueError(f"dedup.against: expected {FORMAT!r} in {folder / INDEX}, got {about.get('format')!r}")
    return about


def _block(folder: pathlib.Path, number: int) -> Block:
    exact_N2, bands_NK, flat, offsets = (
        np.load(_file(folder, number, f"{name}.npy"), mmap_mode="r") for name in _NAMES
    )
    ids = json.loads(_file(folder, number, "ids.json").read_bytes())
    if not len(ids) == len(exact_N2) == len(bands_NK) == len(offsets) - 1 or offsets[-1] != len(flat):
        raise ValueError(f"the arrays of block {number} differ in length")
    return Block(ids, Sketches(exact_N2, bands_NK, Evidence(flat, offsets)))


def _file(folder: pathlib.Path, number: int, name: str) -> pathlib.Path:
    return folder / f"{number:06d}.{name}"
