"""A model-based score of quality: how like a text is to reference texts, and how unlike to raw ones.

Words and pairs of words are hashed, and a text's score is the logistic function of the mean of their weights. That is
the classifier of fastText (Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification", section 2, with a
logistic regression in the place of an embedding), as DCLM filters with (Li et al. 2024, "DataComp-LM", section 4.4).
Weights are whole numbers, so that a score is the same on every machine and in every batch.
"""

import functools
import io
import json
import math
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32, Int64

from input_pipeline import cache
from input_pipeline.clean.similar import words

FORMAT = "quality 1"
NUM_BUCKETS = 1 << 18
ORDERS = (1, 2)  # words of an n-gram
_ONE = 1 << 12  # a weight of 1
_BLOCK_CHARS = 1 << 18  # hashed at a time


@dataclass(frozen=True, eq=False)
class Quality:
    """A fitted classifier. `facts`: what it was fitted on, and how well it did on texts that it had not seen."""

    weights_B: Int32[np.ndarray, "B"]  # in units of 1 / _ONE
    intercept: float
    facts: Mapping[str, Any]

    def scores(self, texts: Sequence[str]) -> Float64[np.ndarray, "T"]:
        """The probability of each text to be of the reference, were both kinds equally frequent; 6 digits."""
        return np.concatenate([np.empty(0), *(self._scores(block) for block in blocks(texts))])

    def _scores(self, texts: Sequence[str]) -> Float64[np.ndarray, "T"]:
        totals_T, counts_T = np.zeros((2, len(texts)), np.int64)
        for buckets_G, offsets in grams(texts):
            sums = np.concatenate([[0], np.cumsum(self.weights_B[buckets_G], dtype=np.int64)])
            totals_T += sums[offsets[1:]] - sums[offsets[:-1]]
            counts_T += np.diff(offsets)
        logits_T = self.intercept + totals_T / (_ONE * np.maximum(counts_T, 1))
        return np.array([round(1 / (1 + math.exp(-logit)), 6) for logit in np.clip(logits_T, -50, 50).tolist()])


def grams(texts: Sequence[str]) -> Iterator[tuple[Int64[np.ndarray, "G"], Int64[np.ndarray, "T+1"]]]:
    """For each order the buckets of the n-grams, one text after the other, and where each text's begin."""
    found = words.read([text.lower() for text in texts])
    for n in ORDERS:
        hashes_G = words.windows(found.hashes_W, n)[words.is_within(found.offsets, n)]
        counts_T = np.maximum(np.diff(found.offsets) - (n - 1), 0)
        yield (hashes_G % np.uint64(NUM_BUCKETS)).astype(np.int64), np.concatenate([[0], np.cumsum(counts_T)])


def blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts of about so many characters together, one at least."""
    start, num_chars = 0, 0
    for place, text in enumerate(texts):
        num_chars += len(text)
        if num_chars >= _BLOCK_CHARS:
            yield texts[start : place + 1]
            start, num_chars = place + 1, 0
    if start < len(texts):
        yield texts[start:]


def quantized(weights_B: Float64[np.ndarray, "B"], intercept: float, facts: Mapping[str, Any]) -> Quality:
    """A classifier of these weights, as whole numbers."""
    return Quality(np.rint(weights_B * _ONE).astype(np.int32), round(intercept, 6), facts)


def save(quality: Quality, path: str | os.PathLike[str]) -> None:
    """Writes an .npz without pickles: the same classifier gives the same bytes."""
    told = json.dumps({"format": FORMAT, "intercept": quality.intercept, "facts": quality.facts})
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, weights=quality.weights_B, told=np.frombuffer(told.encode("utf-8", "surrogatepass"), np.uint8)
    )
    with cache.replacing(pathlib.Path(path)) as file:
        file.write(buffer.getvalue())


def load(path: str) -> Quality:
    """A classifier that `scripts/fit_quality.py` wrote; a file that has not changed is read once.

    Raises:
      ValueError: there is none, or it is broken.
    """
    try:
        status = os.stat(path)
        return _load(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ValueError(
            f"file: expected a classifier, got {path!r}: {error.strerror}; write one with scripts/fit_quality.py"
        ) from None


@functools.lru_cache(maxsize=4)
def _load(path: str, _changed_ns: int, _num_bytes: int) -> Quality:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
            weights_B, told = kept["weights"], json.loads(kept["told"].tobytes())
        if told["format"] != FORMAT or weights_B.shape != (NUM_BUCKETS,) or weights_B.dtype != np.int32:
            raise ValueError(f"its format is {told['format']!r}, not {FORMAT!r}")
        return Quality(weights_B, float(told["intercept"]), told["facts"])
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"file: expected a classifier of scripts/fit_quality.py, got {path!r}: {error}") from None
