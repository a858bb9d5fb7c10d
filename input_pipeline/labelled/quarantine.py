"""Records that cannot be read are found before a run begins, told with their reason, and left out.

Every record is decoded once; what was found is remembered by the contents of all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from input_pipeline import audio, cache, images, workers
from input_pipeline.documents import BadRecord
from input_pipeline.labelled.examples import Examples, Reader
from input_pipeline.progress import Progress
from input_pipeline.transforms import Transform

# Changes whenever another record would be bad.
RECIPE = f"quarantine 2, {images.RECIPE}, {audio.RECIPE}"
_PIECE = 256  # records that one worker looks at
_NAMED = 3  # bad records in an error


def is_raw(examples: Examples) -> bool:
    """Whether inputs are records that have to be decoded."""
    first = examples.reader.read(np.zeros(1, np.int64))
    return isinstance(first, list) and isinstance(first[0], bytes)


def sound(examples: Examples, decode: Transform, *, data: Any, progress: Progress) -> Examples:
    """Those that `decode` can read. `data` tells the cache and how many processes help."""
    bad = _bad(examples, decode, data=data, progress=progress)
    return examples.without(bad) if bad else examples


def check_share(found: Examples, *, max_bad: float) -> None:
    """Raises a ValueError if more than this share of the records is bad, or all of them are."""
    total = len(found) + len(found.bad)
    if not total:
        raise ValueError("data.files: expected examples, but there is none in what data.source reads")
    share = len(found.bad) / total
    if share > max_bad or not len(found):
        remedy = f", or leave them out with --config.data.max_bad={_rounded_up(share)}" if len(found) else ""
        raise ValueError(
            f"data.max_bad: expected at most {max_bad * 100:g}% of the records to be bad, got {len(found.bad)} of "
            f"{total}: {'; '.join(found.bad[:_NAMED])}; mend them{remedy}"
        )


def _rounded_up(share: float) -> float:
    """A share of two digits or so, no less than this one."""
    return min(1.0, float(f"{share * 1.1:.2g}"))


def _bad(examples: Examples, decode: Transform, *, data: Any, progress: Progress) -> Mapping[int, str]:
    """{number: reason}, from the cache or by decoding everything."""
    key = cache.key(RECIPE, decode, examples.fingerprint(np.arange(len(examples))))
    path = cache.directory(data.cache) / "quarantine" / f"{key[:32]}.json"
    if not path.is_file():
        bad: dict[int, str] = {}
        whole = range(len(examples))
        pieces = [whole[low : low + _PIECE] for low in whole[::_PIECE]]
        look = _Look(examples.reader, decode)
        num_workers = min(data.prepare_workers, len(pieces) - 1)
        for done, found in enumerate(workers.completed(look, pieces, num_workers=num_workers), start=1):
            bad |= found
            progress("decoding records", min(done * _PIECE, len(examples)), len(examples))
        with cache.replacing(path) as file:
            file.write(json.dumps(bad).encode())
    return {int(number): reason for number, reason in json.loads(path.read_bytes()).items()}


@dataclass(frozen=True)
class _Look:
    """Decodes a piece of the records; pickles to the processes that help."""

    reader: Reader
    decode: Transform

    def __call__(self, piece: range) -> dict[int, str]:
        """-> {number: reason} of the bad ones."""
        found = {}
        for number in piece:
            try:
                record = self.reader.read(np.array([number]))
                self.decode({"inputs": record}, np.zeros(1, np.uint64))
            except BadRecord as error:
                found[number] = str(error)
        return found
