"""What evaluated rows show beyond single numbers: confusion, curves, calibration, residuals, the worst mistakes.

As the dict that `evaluations/<evaluator>.json` holds; train/reports/findings.py has the legend.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from train.metrics.calibration import CalibrationError
from train.metrics.counts import Confusion
from train.metrics.probabilities import log_sigmoid, log_softmax
from train.metrics.ranking import PrecisionRecall, Roc, mean_defined, precision_recall, rankings, roc
from train.metrics.rows import Part

MAX_POINTS = 200  # of a curve
MAX_RESIDUALS = 2000
MAX_PAIRS = 20
MAX_MISTAKES = 20
MACRO = "macro"

Rows = Mapping[str, np.ndarray]


def of(rows: Rows, *, labels: str, classes: Sequence[str]) -> dict[str, Any]:
    """The findings of rows that count; {} of embeddings, which are neither right nor wrong.

    Args:
      rows: `scores` as the model gave them, and `labels`. Rows whose scores are not finite are left out, and counted
        in `not_finite`.
      labels: what a label is, as `data.labels` says: one "class" [B], any "classes" [B, C], or "numbers" [B] or [B, K].
      classes: their names; their numbers stand for them where they have none.
    """
    if "scores" not in rows:
        return {}
    scores_BC, labels_BC = (_columns(rows[name]) for name in ("scores", "labels"))
    is_finite_B = np.isfinite(scores_BC).all(-1)
    places_B = np.flatnonzero(is_finite_B)
    left_out = {"not_finite": int((~is_finite_B).sum())} if not is_finite_B.all() else {}
    scores_BC, labels_BC = scores_BC[is_finite_B].astype(np.float64), labels_BC[is_finite_B]
    if labels == "numbers":
        return left_out | of_numbers(scores_BC, labels_BC, places_B)
    classes = classes or [str(index) for index in range(scores_BC.shape[1])]
    if labels == "classes":
        return left_out | of_labels(scores_BC, labels_BC > 0.5, places_B, classes)
    return left_out | of_classes(scores_BC, labels_BC[:, 0], places_B, classes)


def _columns(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1)


def of_classes(
    scores_BC: Float[np.ndarray, "B C"],
    labels_B: Int[np.ndarray, "B"],
    places_B: Int[np.ndarray, "B"],
    classes: Sequence[str],
) -> dict[str, Any]:
    """One class a row, from logits of a softmax. `places`: the rows' numbers."""
    p_BC = np.exp(log_softmax(scores_BC))
    predicted_B, confidence_B = scores_BC.argmax(-1), p_BC.max(-1)
    is_right_B, ones_B = predicted_B == labels_B, np.ones(len(labels_B))
    confusion = Confusion.of(predicted_B, labels_B, ones_B, num_classes=len(classes)).compute().astype(int)
    if len(classes) == 2:  # the positive class is 1, whose curves say all
        part = Part(scores_BC[:, 1] - scores_BC[:, 0], labels_B == 1, ones_B)
    else:
        part = Part(scores_BC, labels_B, ones_B)
    return {
        "classes": list(classes),
        "confusion": confusion.tolist(),
        "curves": curves(part, classes),
        "calibration": calibration(confidence_B, is_right_B),
        "confused": confused(confusion, classes),
        "mistakes": [
            {
                "row": int(places_B[row]),
                "label": classes[labels_B[row]],
                "predicted": classes[predicted_B[row]],
                "confidence": float(confidence_B[row]),
            }
            for row in _greatest(np.where(is_right_B, -1.0, confidence_B), above=0.0)
        ],
    }


def of_labels(
    scores_BC: Float[np.ndarray, "B C"],
    labels_BC: Shaped[np.ndarray, "B C"],
    places_B: Int[np.ndarray, "B"],
    classes: Sequence[str],
) -> dict[str, Any]:
    """Any of C classes a row, from logits of sigmoids. A mistake is as confident as its surest wrong label."""
    p_BC, predicted_BC = np.exp(log_sigmoid(scores_BC)), scores_BC > 0
    wrong_BC = np.where(predicted_BC == labels_BC, -1.0, np.maximum(p_BC, 1 - p_BC))
    named = lambda chosen_C: ", ".join(classes[index] for index in np.flatnonzero(chosen_C)) or "none"
    worst_B = wrong_BC.max(-1)
    return {
        "classes": list(classes),
        "curves": curves(Part(scores_BC, labels_BC, np.ones(len(labels_BC))), classes),
        "calibration": calibration(p_BC.ravel(), labels_BC.ravel()),
        "mistakes": [
            {
                "row": int(places_B[row]),
                "label": named(labels_BC[row]),
                "predicted": named(predicted_BC[row]),
                "confidence": float(worst_B[row]),
            }
            for row in _greatest(worst_B, above=0.0)
        ],
    }


def of_numbers(
    predicted_BK: Float[np.ndarray, "B K"], labels_BK: Float[np.ndarray, "B K"], places_B: Int[np.ndarray, "B"]
) -> dict[str, Any]:
    """K numbers a row: all of them as residuals, and the rows that are furthest off."""
    chosen = np.unique(np.linspace(0, labels_BK.size - 1, min(labels_BK.size, MAX_RESIDUALS)).astype(int))
    told = lambda row_K: float(row_K[0]) if len(row_K) == 1 else ", ".join(f"{value:.4g}" for value in row_K)
    return {
        "residuals": {"label": labels_BK.ravel()[chosen].tolist(), "predicted": predicted_BK.ravel()[chosen].tolist()},
        "mistakes": [
            {"row": int(places_B[row]), "label": told(labels_BK[row]), "predicted": told(predicted_BK[row])}
            for row in _greatest(np.abs(predicted_BK - labels_BK).mean(-1), above=0.0)
        ],
    }


def curves(part: Part, classes: Sequence[str]) -> dict[str, Any]:
    """ROC and precision-recall curves of each class that has both kinds of rows, and their mean where there are more.

    The mean curves are taken over classes at each false positive rate and each recall; the areas are means of areas.
    """
    found = {classes[index]: (roc(each), precision_recall(each)) for index, each in rankings([part])}
    found = {name: pair for name, pair in found.items() if np.isfinite(pair[0].auc)}
    if len(found) > 1:
        found = {MACRO: (_mean_roc([r for r, _ in found.values()]), _mean_pr([pr for _, pr in found.values()]))} | found
    return {
        name: {
            "roc": {**thinned(fpr=each_roc.fpr, tpr=each_roc.tpr), "auc": each_roc.auc},
            "pr": {
                **thinned(recall=each_pr.recall, precision=each_pr.precision),
                "average_precision": each_pr.average_precision,
            },
        }
        for name, (each_roc, each_pr) in found.items()
    }


def _mean_roc(found: Sequence[Roc]) -> Roc:
    grid_T = np.linspace(0, 1, MAX_POINTS)
    tpr_T = np.mean([np.interp(grid_T, each.fpr, each.tpr) for each in found], axis=0)
    return Roc(np.append(0.0, grid_T), np.append(0.0, tpr_T), mean_defined(np.array([each.auc for each in found])))


def _mean_pr(found: Sequence[PrecisionRecall]) -> PrecisionRecall:
    """Of each class the precision at the first threshold that reaches the recall, as its average precision counts."""
    grid_T = np.linspace(0, 1, MAX_POINTS)
    precision_T = np.mean([each.precision[np.searchsorted(each.recall, grid_T)] for each in found], axis=0)
    areas_C = np.array([each.average_precision for each in found])
    return PrecisionRecall(grid_T, precision_T, mean_defined(areas_C))


def thinned(**coordinates: Float[np.ndarray, "T"]) -> dict[str, list[float]]:
    """At most MAX_POINTS of a curve's points, by the way along it: its corners stay, and its ends."""
    moves = [np.abs(np.diff(values_T)) for values_T in coordinates.values()]
    way_T = np.append(0.0, np.cumsum(np.sum(moves, axis=0)))
    chosen = np.searchsorted(way_T, np.linspace(0, way_T[-1], MAX_POINTS - 1))
    chosen = np.unique(np.append(np.minimum(chosen, len(way_T) - 1), len(way_T) - 1))
    return {name: values_T[chosen].tolist() for name, values_T in coordinates.items()}


def calibration(confidence_B: Float[np.ndarray, "B"], is_right_B: Shaped[np.ndarray, "B"]) -> dict[str, Any]:
    """Bins of confidence, with their means where anything fell into them."""
    found = CalibrationError.of(confidence_B, is_right_B, np.ones(len(confidence_B)))
    bins = []
    for low, high, count, confidence, accuracy in zip(*found.bins(), strict=True):
        means = {"confidence": float(confidence), "accuracy": float(accuracy)} if count else {}
        bins.append({"low": float(low), "high": float(high), "count": int(count), **means})
    return {"bins": bins, "error": found.compute()}


def confused(confusion: Int[np.ndarray, "C C"], classes: Sequence[str]) -> list[dict[str, Any]]:
    """The most frequent pairs of a class and another that it was taken for; of equal ones the first class's."""
    wrong = confusion - np.diag(np.diag(confusion))
    pairs = [divmod(int(place), len(classes)) for place in _greatest(wrong.ravel(), most=MAX_PAIRS, above=0)]
    return [{"label": classes[i], "predicted": classes[j], "count": int(wrong[i, j])} for i, j in pairs]


def _greatest(values_B: Shaped[np.ndarray, "B"], *, above: float, most: int = MAX_MISTAKES) -> list[int]:
    """The places of the greatest values above a bound, falling; of equal ones the first."""
    order_B = np.argsort(-values_B, kind="stable")[:most]
    return order_B[values_B[order_B] > above].tolist()
