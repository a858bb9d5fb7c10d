"""From evaluated rows to metrics by name, for each kind of problem: what an objective's `metrics` gives.

All take scores as the model gave them (logits, numbers, embeddings) and weights [B]. A row whose scores are not finite
makes what it touches not a number.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np
from clu import metrics
from jaxtyping import Bool, Float, Int, Real, Shaped

from train.metrics import counts
from train.metrics.calibration import CalibrationError
from train.metrics.counts import Counts
from train.metrics.mean import Mean
from train.metrics.neighbours import Distance, recall_at
from train.metrics.probabilities import blocks, log_sigmoid, log_softmax
from train.metrics.ranking import Auc, AveragePrecision
from train.metrics.residuals import R2
from train.metrics.rows import Rows

Metrics = dict[str, metrics.Metric]
MEASURES = {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
BINARY = {"": counts.positive}
CLASS_AVERAGES = {"_macro": counts.macro, "_weighted": counts.weighted}  # micro would be the accuracy, three times
LABEL_AVERAGES = {"_macro": counts.macro_of_all, "_weighted": counts.weighted, "_micro": counts.micro}


def classification(
    scores_BC: Real[np.ndarray, "B C"], labels_B: Int[np.ndarray, "B"], weights_B: Real[np.ndarray, "B"]
) -> Metrics:
    """One class a row, from logits of a softmax. Two classes are a binary problem, whose positive class is 1.

    Raises:
      ValueError: fewer than two classes, a label that is none of them, or a negative weight.
    """
    num_classes = scores_BC.shape[1]
    if num_classes < 2:
        raise ValueError(f"scores: expected two classes or more, got {num_classes}; write multilabel for one output")
    scores_BC, labels_B, weights_B = counted(scores_BC, labels_B, weights_B, is_finite_B=np.isfinite(scores_BC.max(-1)))
    if len(labels_B) and not 0 <= labels_B.min() <= labels_B.max() < num_classes:
        raise ValueError(f"labels: expected 0 to {num_classes - 1}, got {labels_B.min()} to {labels_B.max()}")
    sums = in_pieces(_softmax_sums, scores_BC, labels_B, weights_B)
    if num_classes == 2:
        difference_B = scores_BC[:, 1].astype(np.float64) - scores_BC[:, 0]
        return sums | ranked(difference_B, labels_B == 1, weights_B, suffix="")
    return sums | ranked(scores_BC, labels_B, weights_B, suffix="_macro")


def multilabel(
    scores_BC: Real[np.ndarray, "B C"], labels_BC: Shaped[np.ndarray, "B C"], weights_B: Real[np.ndarray, "B"]
) -> Metrics:
    """Any of C classes a row, from logits of sigmoids; labels count as 1 above a half, and a logit above 0 says yes.

    `accuracy` is the share of rows with every label right; calibration, log loss and Brier score are those of single
    labels. One class is a binary problem.

    Raises:
      ValueError: a negative weight.
    """
    is_finite_B = ~np.isnan(scores_BC).any(-1)
    scores_BC, labels_BC, weights_B = counted(scores_BC, labels_BC > 0.5, weights_B, is_finite_B=is_finite_B)
    sums = in_pieces(_sigmoid_sums, scores_BC, labels_BC, weights_B)
    if scores_BC.shape[1] == 1:
        return sums | ranked(scores_BC[:, 0], labels_BC[:, 0], weights_B, suffix="")
    return sums | ranked(scores_BC, labels_BC, weights_B, suffix="_macro")


def regression(
    predictions: Real[np.ndarray, "B ..."], labels: Real[np.ndarray, "B ..."], weights_B: Real[np.ndarray, "B"]
) -> Metrics:
    """One number a row or K, each alike; predictions [B, 1] fit labels [B].

    Raises:
      ValueError: predictions and labels of different sizes, or a negative weight.
    """
    if predictions.size != labels.size:
        raise ValueError(f"predictions: expected labels' shape {labels.shape}, got {predictions.shape}")
    columns = lambda rows: rows.reshape(len(rows), math.prod(rows.shape[1:])).astype(np.float64)
    is_finite_B = np.isfinite(columns(predictions)).all(-1)
    predictions_BK, labels_BK, weights_B = counted(
        columns(predictions), columns(labels), weights_B, is_finite_B=is_finite_B
    )
    errors_BK = predictions_BK - labels_BK
    return {
        "mse": mean(np.square(errors_BK).mean(-1), weights_B),
        "mae": mean(np.abs(errors_BK).mean(-1), weights_B),
        "r2": R2.of(predictions_BK, labels_BK, weights_B),
    }


def retrieval(
    embeddings_BE: Real[np.ndarray, "B E"],
    labels_B: Int[np.ndarray, "B"],
    weights_B: Real[np.ndarray, "B"],
    *,
    distance: Distance = "cosine",
    depths: Sequence[int] = (1, 5, 10),
) -> Metrics:
    """`recall_at_k` for each k of `depths`.

    Raises:
      ValueError: a distance that is not known, or a negative weight.
    """
    is_finite_B = np.isfinite(embeddings_BE).all(-1)
    rows = Rows.of(*counted(embeddings_BE, labels_B, weights_B, is_finite_B=is_finite_B))
    return {f"recall_at_{depth}": recall_at(depth, distance).sharing(rows) for depth in depths}


def counted(scores: np.ndarray, labels: np.ndarray, weights_B: np.ndarray, *, is_finite_B: np.ndarray):
    """-> the rows that count, with weights in float64. Where scores are not finite they become 0 and the weight becomes
    not a number, so that every sum says so.

    Raises:
      ValueError: a negative weight.
    """
    weights_B = weights_B.astype(np.float64)
    if np.any(weights_B < 0):
        raise ValueError(f"weights: expected 0 or more, got {weights_B.min()}")
    counts_B = weights_B != 0
    if not counts_B.all():
        scores, labels, weights_B, is_finite_B = (rows[counts_B] for rows in (scores, labels, weights_B, is_finite_B))
    if not is_finite_B.all():
        is_finite = is_finite_B.reshape(-1, *[1] * (scores.ndim - 1))
        scores, weights_B = np.where(is_finite, scores, 0), np.where(is_finite_B, weights_B, np.nan)
    return scores, labels, weights_B


def in_pieces(sums: Callable[..., Metrics], scores: np.ndarray, *others: np.ndarray) -> Metrics:
    """Many rows of many classes are looked at a few at a time, and merged."""
    cuts = np.cumsum([len(block) for block in blocks(scores)])[:-1]
    pieces = zip(*(np.split(rows, cuts) for rows in (scores, *others)), strict=True)
    return reduce(merged, (sums(*piece) for piece in pieces))


def merged(one: Metrics, other: Metrics) -> Metrics:
    return {name: one[name].merge(other[name]) for name in one}


def mean(values_B: Shaped[np.ndarray, "B"], weights_B: Float[np.ndarray, "B"]) -> Mean:
    return Mean.of((values_B * weights_B).sum(), weights_B.sum())


def _softmax_sums(scores_BC: np.ndarray, labels_B: np.ndarray, weights_B: np.ndarray) -> Metrics:
    num_classes = scores_BC.shape[1]
    log_p_BC = log_softmax(scores_BC)
    predicted_B = scores_BC.argmax(-1)
    is_right_B = predicted_B == labels_B
    p_BC = np.exp(log_p_BC)
    squares_B = np.square(p_BC).sum(-1) + 1 - 2 * at(p_BC, labels_B)  # of p - 1 at the label, of p elsewhere
    classes = Counts.of_classes(predicted_B, labels_B, weights_B, num_classes=num_classes)
    averages = BINARY if num_classes == 2 else CLASS_AVERAGES
    return {
        "accuracy": mean(is_right_B, weights_B),
        **({"top_5": mean(is_among_top(scores_BC, labels_B, k=5), weights_B)} if num_classes > 5 else {}),
        "log_loss": mean(-at(log_p_BC, labels_B), weights_B),
        "brier": mean(squares_B / 2 if num_classes == 2 else squares_B, weights_B),
        "calibration_error": CalibrationError.of(p_BC.max(-1), is_right_B, weights_B),
        **averaged(classes, averages),
    }


def _sigmoid_sums(scores_BC: np.ndarray, labels_BC: np.ndarray, weights_B: np.ndarray) -> Metrics:
    num_classes = scores_BC.shape[1]
    predicted_BC = scores_BC > 0
    probabilities_BC = np.exp(log_sigmoid(scores_BC))
    nll_BC = -log_sigmoid(np.where(labels_BC, scores_BC, -scores_BC))
    classes = Counts.of_labels(predicted_BC, labels_BC, weights_B)
    averages = BINARY if num_classes == 1 else LABEL_AVERAGES
    return {
        "accuracy": mean((predicted_BC == labels_BC).all(-1), weights_B),
        "log_loss": mean(nll_BC.mean(-1), weights_B),
        "brier": mean(np.square(probabilities_BC - labels_BC).mean(-1), weights_B),
        "calibration_error": CalibrationError.of(
            probabilities_BC.ravel(), labels_BC.ravel(), np.repeat(weights_B, num_classes)
        ),
        **averaged(classes, averages),
    }


def at(values_BC: Real[np.ndarray, "B C"], labels_B: Int[np.ndarray, "B"]) -> Real[np.ndarray, "B"]:
    """The value at each row's label."""
    return np.take_along_axis(values_BC, labels_B[:, None], axis=-1)[:, 0]


def is_among_top(
    scores_BC: Real[np.ndarray, "B C"], labels_B: Int[np.ndarray, "B"], *, k: int
) -> Bool[np.ndarray, "B"]:
    """Whether the label has one of the k greatest scores; of equal ones the last class stands first, as in
    scikit-learn's `top_k_accuracy_score`."""
    own_B1 = at(scores_BC, labels_B)[:, None]
    is_later_BC = np.arange(scores_BC.shape[1]) > labels_B[:, None]
    return ((scores_BC > own_B1) | ((scores_BC == own_B1) & is_later_BC)).sum(-1) < k


def averaged(classes: Counts, averages: Mapping[str, counts.Average]) -> Metrics:
    """Precision, recall and F1 by name: `f1_macro`, or `f1` alone of a binary problem's positive class."""
    return {
        f"{name}{suffix}": counts.score(measure, average).sharing(classes)
        for name, measure in MEASURES.items()
        for suffix, average in averages.items()
    }


def ranked(scores: np.ndarray, labels: np.ndarray, weights_B: np.ndarray, *, suffix: str) -> Metrics:
    rows = Rows.of(scores, labels, weights_B)
    return {f"auc{suffix}": Auc.sharing(rows), f"average_precision{suffix}": AveragePrecision.sharing(rows)}
