"""What evaluated rows show beyond single numbers: confusion, curves, calibration, residuals, the worst mistakes.

As the dict that `evaluations/<evaluator>.json` holds; train/reports/findings.py has the legend.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from train.findings.thinning import MAX_POINTS, thinned
from train.metrics.calibration import CalibrationError
from train.metrics.counts import Confusion
from train.metrics.probabilities import log_sigmoid, log_softmax
from train.metrics.ranking import PrecisionRecall, Roc, precision_recall, rankings, roc
from train.metrics.rows import Part

MAX_CURVES = 20  # of classes
GRID_T = np.linspace(0, 1, MAX_POINTS)  # where curves of classes are averaged
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
    named = lambda chosen_C: ", ".join(classes[int(index)] for index in np.flatnonzero(chosen_C)) or "none"
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
    Of many classes, those with the least average precision are shown.
    """
    means: list[tuple[Roc, PrecisionRecall]] = []
    shown = heapq.nsmallest(MAX_CURVES, _followed(part, means), key=lambda found: found[2].average_precision)
    in_order = sorted(shown, key=lambda found: found[0])
    found = {classes[index]: _drawn(each_roc, each_pr) for index, each_roc, each_pr in in_order}
    return {MACRO: _drawn(*_mean(means)), **found} if len(means) > 1 else found


def _followed(part: Part, means: list) -> Iterator[tuple[int, Roc, PrecisionRecall]]:
    """Each class's curves in turn, since those of all may not fit; `means` gets them on one grid."""
    for index, ranking in rankings([part] if len(part.weights_B) else []):
        each_roc, each_pr = roc(ranking), precision_recall(ranking)
        if np.isfinite(each_roc.auc):
            means.append((_on_grid(each_roc), _on_grid_pr(each_pr)))
            yield index, each_roc, each_pr


def _drawn(each_roc: Roc, each_pr: PrecisionRecall) -> dict[str, Any]:
    points = lambda **curve: {
        name: values_T[thinned(*curve.values())].round(6).tolist() for name, values_T in curve.items()
    }
    return {
        "roc": {**points(fpr=each_roc.fpr, tpr=each_roc.tpr), "auc": each_roc.auc},
        "pr": {
            **points(recall=each_pr.recall, precision=each_pr.precision),
            "average_precision": each_pr.average_precision,
        },
    }


def _mean(found: Sequence[tuple[Roc, PrecisionRecall]]) -> tuple[Roc, PrecisionRecall]:
    """Of curves on one grid."""
    mean = lambda values: np.mean(list(values), axis=0)
    of_roc = Roc(found[0][0].fpr, mean(each.tpr for each, _ in found), float(mean(each.auc for each, _ in found)))
    average_precision = float(mean(each.average_precision for _, each in found))
    return of_roc, PrecisionRecall(GRID_T, mean(each.precision for _, each in found), average_precision)


def _on_grid(each: Roc) -> Roc:
    return Roc(np.append(0.0, GRID_T), np.append(0.0, np.interp(GRID_T, each.fpr, each.tpr)), each.auc)


def _on_grid_pr(each: PrecisionRecall) -> PrecisionRecall:
    """The precision at the first threshold that reaches the recall, as the average precision counts."""
    return PrecisionRecall(GRID_T, each.precision[np.searchsorted(each.recall, GRID_T)], each.average_precision)


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
