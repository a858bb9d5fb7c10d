"""ROC and precision-recall curves and the areas under them, from every distinct score: exact, with ties."""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import flax.struct
import numpy as np
from jaxtyping import Bool, Float, Real

from train.metrics.probabilities import one_versus_rest
from train.metrics.rows import Key, Part, Rows, parts_of


class Ranking(NamedTuple):
    """Rows in falling order of score, those of one score together: what stands at each score or above."""

    scores_T: Float[np.ndarray, "T"]  # every distinct score, falling
    hits_T: Float[np.ndarray, "T"]  # weight of positive rows
    false_T: Float[np.ndarray, "T"]  # weight of negative rows


class Roc(NamedTuple):
    """Begins at (0, 0) and ends at (1, 1); not a number where one kind of row is missing."""

    fpr: Float[np.ndarray, "T"]
    tpr: Float[np.ndarray, "T"]
    auc: float


class PrecisionRecall(NamedTuple):
    """Begins at recall 0 with precision 1; recall ends at 1."""

    recall: Float[np.ndarray, "T"]
    precision: Float[np.ndarray, "T"]
    average_precision: float


def rank(
    scores_B: Real[np.ndarray, "B"], is_positive_B: Bool[np.ndarray, "B"], weights_B: Float[np.ndarray, "B"]
) -> Ranking:
    """Whole weights add up exactly in any order; rows with others are put into one order, whichever way they came."""
    if np.all(weights_B == np.floor(weights_B)):
        order_B = np.argsort(scores_B)[::-1]
    else:
        order_B = np.lexsort((weights_B, is_positive_B, scores_B))[::-1]
    scores_B, weights_B, is_positive_B = scores_B[order_B], weights_B[order_B], is_positive_B[order_B]
    last_T = np.flatnonzero(np.append(scores_B[1:] != scores_B[:-1], True))
    hits_B, false_B = np.cumsum(weights_B * is_positive_B), np.cumsum(weights_B * ~is_positive_B)
    return Ranking(scores_B[last_T], hits_B[last_T], false_B[last_T])


def auc(ranking: Ranking) -> float:
    """The chance that a positive row stands above a negative one, ties counting half (Mann and Whitney, 1947); not a
    number where one kind is missing."""
    hits_T, false_T = np.append(0.0, ranking.hits_T), np.append(0.0, ranking.false_T)
    pairs = hits_T[-1] * false_T[-1]
    area = np.sum(np.diff(false_T) * (hits_T[1:] + hits_T[:-1])) / 2
    return float(area / pairs) if pairs else float("nan")


def average_precision(ranking: Ranking) -> float:
    """Precision averaged over the steps of recall, not interpolated (as scikit-learn's); 0 without positives."""
    hits_T = ranking.hits_T
    precision_T = hits_T / (hits_T + ranking.false_T)
    return float(np.sum(np.diff(hits_T, prepend=0.0) * precision_T) / hits_T[-1]) if hits_T[-1] else 0.0


def roc(ranking: Ranking) -> Roc:
    hits_T, false_T = np.append(0.0, ranking.hits_T), np.append(0.0, ranking.false_T)
    with np.errstate(invalid="ignore"):
        return Roc(false_T / false_T[-1], hits_T / hits_T[-1], auc(ranking))


def precision_recall(ranking: Ranking) -> PrecisionRecall:
    hits_T = ranking.hits_T
    with np.errstate(invalid="ignore"):
        recall_T = np.append(0.0, hits_T / hits_T[-1])
    return PrecisionRecall(recall_T, np.append(1.0, hits_T / (hits_T + ranking.false_T)), average_precision(ranking))


def rankings(parts: Sequence[Part]) -> Iterator[tuple[int, Ranking]]:
    """-> (class, its ranking). Scores [B] with labels [B] are a binary problem, of class 1. Scores [B, C] are
    logits: of a softmax with labels [B], each class that occurs against the rest; or of sigmoids, with labels [B, C].
    """
    if not parts:
        return
    scores = [part.scores for part in parts]
    labels = np.concatenate([part.labels for part in parts])
    weights_B = np.concatenate([part.weights_B for part in parts])
    if scores[0].ndim == 1:
        yield 1, rank(np.concatenate(scores), labels != 0, weights_B)
    elif labels.ndim == 1:
        for index, scores_B in enumerate(one_versus_rest(scores)):
            if np.any(is_positive_B := labels == index):
                yield index, rank(scores_B, is_positive_B, weights_B)
    else:
        for index in range(labels.shape[1]):
            scores_B = np.concatenate([part_BC[:, index] for part_BC in scores])
            yield index, rank(scores_B, labels[:, index], weights_B)


class Areas(NamedTuple):
    """Of each class that has a ranking."""

    auc_C: Float[np.ndarray, "C"]
    average_precision_C: Float[np.ndarray, "C"]


@functools.lru_cache(maxsize=1)
def areas(key: Key) -> Areas:
    """Sorting is the work, and several metrics want its result."""
    found = [(auc(ranking), average_precision(ranking)) for _, ranking in rankings(parts_of(key))]
    return Areas(*np.array(found).reshape(-1, 2).T)


def mean_defined(values_C: Float[np.ndarray, "C"]) -> float:
    """The mean over classes for which it is defined; not a number if there is none."""
    defined = values_C[~np.isnan(values_C)]
    return float(defined.mean()) if len(defined) else float("nan")


@flax.struct.dataclass
class Auc(Rows):
    def compute(self) -> float:
        return mean_defined(areas(self.key()).auc_C)


@flax.struct.dataclass
class AveragePrecision(Rows):
    def compute(self) -> float:
        return mean_defined(areas(self.key()).average_precision_C)
