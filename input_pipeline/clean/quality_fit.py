"""A classifier of quality, fitted on reference texts against raw ones, and judged by texts that it has not seen.

The held-out part is chosen by a hash of each text's words, so that copies of a text lie on one side.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from input_pipeline import hashing
from input_pipeline.clean.quality import NUM_BUCKETS, ORDERS, Quality, blocks, grams, quantized
from input_pipeline.clean.similar import words

HELD_OUT = 0.2  # of the texts
SCALE = 64.0  # of the features: with it a strength of 1 neither starves nor overfits; see LOG.md
TOLD_SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)  # of raw texts; DCLM keeps the first tenth
TOLD_GRAMS = 20
_TELLING_TEXTS = 2000  # whose n-grams are spelled


class Fitted(NamedTuple):
    """A classifier, and n-grams that speak most for either side, spelled."""

    quality: Quality
    for_reference: list[str]
    for_raw: list[str]


def fit(reference: Sequence[str], raw: Sequence[str], *, seed: int = 0, strength: float = 1.0) -> Fitted:
    """Fits by logistic regression with both sides of equal weight; `strength` is that of its L2 penalty.

    `facts` holds the accuracy and the area under the ROC curve on the held-out part, and the thresholds that keep some
    shares of its raw texts.

    Raises:
      ValueError: a side with too few texts to hold some out.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    texts = [*reference, *raw]
    is_reference_T = np.arange(len(texts)) < len(reference)
    is_held_out_T = held_out(texts, seed=seed)
    _check(is_reference_T, is_held_out_T)
    model = LogisticRegression(C=1 / strength, class_weight="balanced", max_iter=1000)
    train = np.flatnonzero(~is_held_out_T)
    with threadpool_limits(1):  # the same sums on the same machine, however busy it is
        model.fit(_features([texts[each] for each in train]), is_reference_T[train])
    made = quantized(model.coef_[0] * SCALE, float(model.intercept_[0]), {})
    test = np.flatnonzero(is_held_out_T)
    scores_T = made.scores([texts[each] for each in test])
    facts = {"seed": seed, "strength": strength, **_facts(is_reference_T, is_held_out_T)}
    made = Quality(made.weights_B, made.intercept, facts | judged(scores_T, is_reference_T[test]))
    return Fitted(made, *_telling(made, [texts[each] for each in train]))


def held_out(texts: Sequence[str], *, seed: int) -> Bool[np.ndarray, "T"]:
    """Whether a text is kept from the fit; copies, but for case and spaces, go together."""
    key = hashing.key("quality", "held out", seed)
    hashes = np.concatenate([hashing.key(" ".join(text.lower().split())) for text in texts])
    return hashing.uniform(hashing.fold(key, hashes), 1)[:, 0] < HELD_OUT


def judged(scores_T: Float64[np.ndarray, "T"], is_reference_T: Bool[np.ndarray, "T"]) -> dict[str, Any]:
    """What scores of held-out texts are worth. Accuracy is the mean over both sides, at a threshold of one half."""
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    raw = np.sort(scores_T[~is_reference_T])
    kept = {str(share): raw[min(len(raw) - 1, int(np.ceil(len(raw) * (1 - share))))] for share in TOLD_SHARES}
    return {
        "accuracy": round(float(balanced_accuracy_score(is_reference_T, scores_T >= 0.5)), 6),
        "auc": round(float(roc_auc_score(is_reference_T, scores_T)), 6),
        "least_for_raw_share": {share: float(score) for share, score in kept.items()},
    }


def _facts(is_reference_T: np.ndarray, is_held_out_T: np.ndarray) -> dict[str, int]:
    return {
        f"{side}_{part}": int((of_side & of_part).sum())
        for side, of_side in (("reference", is_reference_T), ("raw", ~is_reference_T))
        for part, of_part in (("fitted", ~is_held_out_T), ("held_out", is_held_out_T))
    }


def _check(is_reference_T: np.ndarray, is_held_out_T: np.ndarray) -> None:
    for name, count in _facts(is_reference_T, is_held_out_T).items():
        if count < 10:
            side = name.split("_")[0]
            raise ValueError(f"--{side}: expected at least 10 texts in each part, got {count} as {name}; bring more")


def _features(texts: Sequence[str]) -> Any:
    """The share of each bucket among a text's n-grams, times SCALE: CSR [T, NUM_BUCKETS], float64."""
    from scipy.sparse import vstack

    return vstack([_block(block) for block in blocks(texts)], format="csr")


def _block(texts: Sequence[str]) -> Any:
    from scipy.sparse import csr_array

    shape = (len(texts), NUM_BUCKETS)
    counts_TB = sum(
        (csr_array((np.ones(len(buckets_G)), buckets_G, offsets), shape) for buckets_G, offsets in grams(texts)),
        start=csr_array(shape),
    )
    counts_TB.sum_duplicates()
    totals_T = np.maximum(counts_TB.sum(1), 1)
    counts_TB.data *= np.repeat(SCALE / totals_T, np.diff(counts_TB.indptr))
    return counts_TB


def _telling(quality: Quality, texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The n-grams that did most for either side, spelled: by weight and by the root of how many texts have them."""
    step = max(1, len(texts) // _TELLING_TEXTS)
    seen: Counter[str] = Counter()
    weights: dict[str, int] = {}
    for text in texts[::step]:
        spelled = _spelled(text.lower())
        seen.update(spelled.keys())
        weights |= {gram: int(quality.weights_B[bucket]) for gram, bucket in spelled.items()}
    ranked = sorted(seen, key=lambda gram: (-weights[gram] * seen[gram] ** 0.5, gram))
    return ranked[:TOLD_GRAMS], ranked[::-1][:TOLD_GRAMS]


def _spelled(text: str) -> dict[str, int]:
    """{n-gram: its bucket}."""
    found = words.read([text])
    listed = [text[start:end] for start, end in zip(found.starts_W.tolist(), found.ends_W.tolist(), strict=True)]
    return {
        " ".join(listed[place : place + n]): bucket
        for n, (buckets_G, _) in zip(ORDERS, grams([text]), strict=True)
        for place, bucket in enumerate(buckets_G.tolist())
    }
