"""Near-duplicate texts: MinHash signatures in bands, and the true Jaccard similarity of word n-grams.

A. Broder, "On the resemblance and containment of documents", 1997; J. Leskovec, A. Rajaraman, J. Ullman, "Mining of
Massive Datasets", third edition, sections 3.3 and 3.4.

A text is the set of its lower-cased word n-grams; what a word is stands in `words.py`. Punctuation and spaces play no
part. FineWeb (datatrove) also reads every number as 0, strips accents, and splits words by language with a tokenizer;
here "1,000 euros" and "2,000 euros" stay apart, so that our pairs are somewhat fewer and closer.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64, UInt32, UInt64

from input_pipeline import hashing
from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import exact, words
from input_pipeline.clean.similar.sketch import Evidence, Sketches, cuts, join, offsets_of, places

RECALL = 0.99  # of pairs whose similarity is the threshold, where `bands` and `rows` are not given
PIECE_SHINGLES = 1 << 22  # of pairs that are compared together: 100 MB


@dataclasses.dataclass(frozen=True)
class MinHash:
    """Two texts are near-duplicates if the Jaccard similarity of their sets of word n-grams reaches `threshold`.

    Each of bands x rows random orders of all n-grams gives a text its least n-gram; two texts agree in one with the
    probability s, their similarity, so they agree in a whole band of `rows` with s**rows, and in any of the bands with
    1 - (1 - s**rows)**bands (MMDS, section 3.4.2).

    Raises:
      ValueError: a field out of its range; no bands of `num_hashes` reach the threshold.
    """

    ngram: int = 5  # words
    bands: int = 0  # 0: chosen from the threshold, together with `rows`
    rows: int = 0
    num_hashes: int = 128  # at most, where bands and rows are chosen
    _: dataclasses.KW_ONLY
    threshold: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold: expected more than 0 and at most 1, got {self.threshold}; write 0.8")
        for name, least in dict(ngram=1, bands=0, rows=0, num_hashes=1).items():
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected {least} or more, got {getattr(self, name)}")
        if (self.bands == 0) != (self.rows == 0):
            raise ValueError(f"bands, rows: expected both or neither, got {self.bands} and {self.rows}")
        if not self.bands:
            bands, rows = choose_bands(self.threshold, num_hashes=self.num_hashes)
            object.__setattr__(self, "bands", bands)  # a frozen dataclass has no other way
            object.__setattr__(self, "rows", rows)

    def sketch(self, records: Sequence[Record]) -> Sketches:
        """Digests of the texts, `bands` keys each, and their sorted n-gram hashes as evidence.

        Working memory: some 20 bytes for each character of a piece, which is `words.PIECE` or one longer text; 60
        where each character is a word.
        """
        texts = [record.text for record in records]
        shingles = [self.shingles(texts[piece]) for piece in words.pieces(texts)]
        bands = [self.band_keys(self.signatures(piece)) for piece in shingles]
        return Sketches(
            exact_N2=exact.digests(records, part="text"),
            bands_NK=np.concatenate([np.zeros((0, self.bands), np.uint64), *bands]),
            evidence=join(shingles),
        )

    def shingles(self, texts: Sequence[str]) -> Evidence:
        """The hashes of each text's different word n-grams, sorted."""
        found = words.read([text.lower() for text in texts])
        within = words.is_within(found.offsets, self.ngram)
        flat = words.windows(found.hashes_W, self.ngram)[within]
        return _unique(Evidence(flat, offsets_of(np.maximum(np.diff(found.offsets) - self.ngram + 1, 0))))

    def signatures(self, shingles: Evidence) -> UInt32[np.ndarray, "bands*rows N"]:
        """The least of each text's n-grams in each of bands x rows orders; 2**32 - 1 for a text that has none.

        An order is that of a * x + b modulo 2**32, with a odd, over the upper halves x of the n-grams' hashes
        (Broder, Charikar, Frieze, Mitzenmacher, "Min-wise independent permutations", 2000, section 3.2).
        """
        signatures = np.full((self.bands * self.rows, len(shingles.offsets) - 1), 2**32 - 1, np.uint32)
        has_any = np.flatnonzero(np.diff(shingles.offsets))
        if not len(has_any):
            return signatures
        starts, x = shingles.offsets[has_any], (shingles.flat >> np.uint64(32)).astype(np.uint32)
        ordered, least = np.empty_like(x), np.empty((self.bands * self.rows, len(has_any)), np.uint32)
        for row, (a, b) in enumerate(zip(*_orders(self.bands * self.rows), strict=True)):
            np.multiply(x, a, out=ordered)
            np.add(ordered, b, out=ordered)
            np.minimum.reduceat(ordered, starts, out=least[row])
        signatures[:, has_any] = least
        return signatures

    def band_keys(self, signatures: UInt32[np.ndarray, "bands*rows N"]) -> UInt64[np.ndarray, "N bands"]:
        """One hash for the `rows` numbers of each band, and the band's own number."""
        by_band = signatures.reshape(self.bands, self.rows, -1)
        keys = hashing.fold(hashing.key("minhash", "band"), np.arange(self.bands))[:, None]
        for row in range(self.rows):
            keys = hashing.fold(keys, by_band[:, row])
        return np.ascontiguousarray(np.broadcast_to(keys, (self.bands, signatures.shape[1])).T)

    def similarities(self, evidence: Evidence, pairs_P2: Int64[np.ndarray, "P 2"]) -> Float64[np.ndarray, "P"]:
        """The Jaccard similarity of each pair: shared n-grams by all n-grams of the two, of 64-bit hashes.

        Two different n-grams share a hash with the probability 2**-64.
        """
        sizes_N = np.diff(evidence.offsets)
        totals_P = sizes_N[pairs_P2].sum(axis=1)
        shared = [_num_shared(evidence, pairs_P2[start:end]) for start, end in cuts(totals_P, PIECE_SHINGLES)]
        shared_P = np.concatenate([np.zeros(0, np.int64), *shared])
        is_real = sizes_N[pairs_P2].all(axis=1)
        return np.where(is_real, shared_P / np.maximum(totals_P - shared_P, 1), 0.0)


def choose_bands(threshold: float, *, num_hashes: int) -> tuple[int, int]:
    """-> (bands, rows): of all with recall >= RECALL at the threshold and at most `num_hashes`, the steepest.

    More rows in a band let fewer pairs below the threshold through; more bands find more of those above. Every pair
    above the threshold is found with at least the recall at the threshold, and what is let through costs time alone,
    since its true similarity is computed. So the error below is made small under a bound on the error above.

    Raises:
      ValueError: even one row needs more than `num_hashes` bands.
    """
    chosen = None
    for rows in range(1, num_hashes + 1):
        bands = 1 if threshold == 1 else math.ceil(math.log1p(-RECALL) / math.log1p(-(threshold**rows)))
        if bands * rows <= num_hashes:
            chosen = bands, rows
    if chosen is None:
        least = math.ceil(math.log1p(-RECALL) / math.log1p(-threshold))
        raise ValueError(f"num_hashes: expected {least} or more for a threshold of {threshold}, got {num_hashes}")
    return chosen


@functools.cache
def _orders(count: int) -> tuple[UInt32[np.ndarray, "{count}"], UInt32[np.ndarray, "{count}"]]:
    """a (odd) and b of each order."""
    drawn = hashing.fold(hashing.key("minhash", "order"), np.arange(count))
    return (drawn >> np.uint64(32)).astype(np.uint32) | np.uint32(1), drawn.astype(np.uint32)


def _unique(evidence: Evidence) -> Evidence:
    """Each record's numbers sorted, once each. `evidence.flat` is sorted in place."""
    flat, offsets = evidence
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        flat[start:end].sort()
    is_new = np.ones(len(flat), bool)
    np.not_equal(flat[1:], flat[:-1], out=is_new[1:])
    is_new[offsets[:-1][np.diff(offsets) > 0]] = True
    return Evidence(flat[is_new], offsets_of(is_new)[offsets])


def _num_shared(evidence: Evidence, pairs_P2: Int64[np.ndarray, "P 2"]) -> Int64[np.ndarray, "P"]:
    """How many numbers both records of each pair have: the two side by side, sorted, which is a merge of two runs."""
    members = pairs_P2.reshape(-1)
    starts, sizes = evidence.offsets[members], np.diff(evidence.offsets)[members]
    flat = evidence.flat[places(starts, sizes)]
    bounds = offsets_of(sizes)[::2]
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        flat[start:end].sort(kind="stable")
    is_shared = np.zeros(len(flat), np.int64)
    np.equal(flat[1:], flat[:-1], out=is_shared[1:], casting="unsafe")
    is_shared[bounds[bounds < len(flat)]] = 0  # the last of one pair and the first of the next
    sums = offsets_of(is_shared)
    return sums[bounds[1:]] - sums[bounds[:-1]]
