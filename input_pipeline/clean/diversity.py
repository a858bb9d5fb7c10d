"""How diverse texts are: their n-grams, and the clusters in which they lie. Of a sample, so that memory is bounded.

Distinct n-grams are fewer in proportion the more text there is, so only samples of about the same size compare.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from input_pipeline.clean.record import excerpt
from input_pipeline.clean.similar import words
from input_pipeline.clean.similar.words import Words

ORDERS = (1, 2, 3)  # words of an n-gram
_COLUMNS = 1 << 16  # that words are hashed to
_COMPONENTS = 32  # of an embedding
_MOST_CLUSTERS = 32
_LEAST_TEXTS = 64  # fewer have no clusters worth the name
_NAMED_WORDS = 6


def of_texts(texts: Sequence[str], *, seed: int = 0) -> dict[str, Any]:
    """All measures of some texts: {"texts", "ngrams": {"1": {...}, ...}, "clusters": {...} where there are enough}."""
    texts = [text.lower() for text in texts]
    found = words.read(texts)
    measured = {
        "texts": len(texts),
        "ngrams": {str(n): ngram_measures(ngrams(found, n)) for n in ORDERS},
    }
    return measured | ({"clusters": clusters(texts, found, seed=seed)} if len(texts) >= _LEAST_TEXTS else {})


def ngrams(found: Words, n: int) -> UInt64[np.ndarray, "G"]:
    """Every n words that follow one another in a text, as hashes."""
    return words.windows(found.hashes_W, n)[words.is_within(found.offsets, n)]


def ngram_measures(grams_G: UInt64[np.ndarray, "G"]) -> dict[str, Any]:
    """Their number, how many are distinct, the share of those (distinct-n: Li et al. 2016, "A Diversity-Promoting
    Objective Function for Neural Conversation Models", section 5), and the entropy in bits of one drawn at random.
    """
    counts = np.unique(grams_G, return_counts=True)[1]
    total = int(counts.sum())
    if not total:
        return {"total": 0, "distinct": 0, "share": 0.0, "entropy": 0.0}
    entropy = math.log2(total) - math.fsum((counts * np.log2(counts)).tolist()) / total
    return {
        "total": total,
        "distinct": len(counts),
        "share": round(len(counts) / total, 6),
        "entropy": round(max(0.0, entropy), 6),
    }


def clusters(texts: Sequence[str], found: Words, *, seed: int = 0) -> dict[str, Any]:
    """Clusters of the texts' embeddings, the largest first: TF-IDF of hashed words, truncated SVD, k-means.

    -> {"effective": effective number of clusters, "clusters": [{"texts", "words": [...], "example"}, ...]}. On one
    thread and from a seed, so that the same machine finds the same.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(invalid="ignore"):  # texts may be all alike
        warnings.filterwarnings("ignore", message="Number of distinct clusters")
        weights_TC = _weights(found)
        labels_T = _cluster(weights_TC, seed=seed)
    order = np.argsort(-np.bincount(labels_T), kind="stable")
    members = [np.flatnonzero(labels_T == label) for label in order]
    members = [each for each in members if len(each)]
    shares = np.array([len(each) for each in members]) / len(texts)
    mean_C = np.asarray(weights_TC.mean(0)).ravel()
    return {
        "effective": round(float(np.exp(-(shares * np.log(shares)).sum())), 4),
        "clusters": [
            {
                "texts": len(each),
                "words": _typical(weights_TC[each], mean_C, _spelling(texts, found, each[:_LEAST_TEXTS])),
                "example": excerpt(texts[each[0]]),
            }
            for each in members
        ],
    }


def _columns(found: Words) -> Int64[np.ndarray, "W"]:
    return (found.hashes_W % np.uint64(_COLUMNS)).astype(np.int64)


def _weights(found: Words) -> Any:
    """TF-IDF of each text's words, rows of length 1, float64 [T, _COLUMNS] in CSR form."""
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfTransformer

    ones = np.ones(len(found.hashes_W))
    offsets = found.offsets.copy()  # scipy sums duplicates in place
    counts_TC = csr_array((ones, _columns(found), offsets), (len(offsets) - 1, _COLUMNS))
    counts_TC.sum_duplicates()
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts_TC)


def _cluster(weights_TC: Any, *, seed: int) -> Int64[np.ndarray, "T"]:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import TruncatedSVD

    svd = TruncatedSVD(_COMPONENTS, random_state=seed)
    embeddings_TE = _normalized(svd.fit_transform(weights_TC))
    count = min(_MOST_CLUSTERS, math.isqrt(len(embeddings_TE) // 2))
    return MiniBatchKMeans(count, random_state=seed, n_init=3, batch_size=1024).fit_predict(embeddings_TE)


def _normalized(x_TE: Float64[np.ndarray, "T E"]) -> Float64[np.ndarray, "T E"]:
    return x_TE / np.maximum(np.linalg.norm(x_TE, axis=1, keepdims=True), 1e-12)


def _spelling(texts: Sequence[str], found: Words, members: np.ndarray) -> dict[int, str]:
    """How the words of some texts are written, by their columns."""
    columns_W = _columns(found)
    spelling: dict[int, str] = {}
    for text in members.tolist():
        first, last, start = found.offsets[text], found.offsets[text + 1], found.text_starts[text]
        bounds = (found.starts_W[first:last] - start, found.ends_W[first:last] - start)
        for column, low, high in zip(columns_W[first:last].tolist(), *(each.tolist() for each in bounds), strict=True):
            spelling.setdefault(column, texts[text][low:high])
    return spelling


def _typical(weights_KC: Any, mean_C: np.ndarray, spelling: Mapping[int, str]) -> list[str]:
    """The words that weigh more in these texts than in all."""
    lift_C = np.asarray(weights_KC.mean(0)).ravel() - mean_C
    best = sorted(spelling, key=lambda column: (-lift_C[column], spelling[column]))[:_NAMED_WORDS]
    return [spelling[column] for column in best if lift_C[column] > 0]
