"""Findings of evaluations of made scores, as a run leaves them in `evaluations/`: by scikit-learn, not by our code."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn import metrics

FASHION = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def scores(num_classes: int, *, num_rows: int = 2000, sharpness: float = 2.5, seed: int = 0) -> tuple[Any, Any]:
    """(labels [B], probabilities [B, C]) of a model that is often right, and confuses neighbours."""
    rng = np.random.default_rng(seed)
    labels_B = rng.integers(num_classes, size=num_rows)
    logits_BC = rng.normal(size=(num_rows, num_classes))
    logits_BC[np.arange(num_rows), labels_B] += sharpness * rng.uniform(0.4, 2, num_rows)
    logits_BC[np.arange(num_rows), (labels_B + 1) % num_classes] += 1.0
    shares_BC = np.exp(logits_BC)
    return labels_B, shares_BC / shares_BC.sum(1, keepdims=True)


def classified(classes=FASHION, **others: Any) -> dict[str, Any]:
    labels_B, scores_BC = scores(len(classes), **others)
    guessed_B, sure_B = scores_BC.argmax(1), scores_BC.max(1)
    confusion = metrics.confusion_matrix(labels_B, guessed_B, labels=range(len(classes)))
    wrong = confusion - np.diag(np.diag(confusion))
    pairs = sorted(((int(wrong[i, j]), i, j) for i, j in np.argwhere(wrong)), reverse=True)[:10]
    worst = sorted(np.flatnonzero(labels_B != guessed_B), key=lambda row: -sure_B[row])[:8]
    return {
        "step": 2000,
        "split": "test",
        "classes": list(classes),
        "confusion": confusion.tolist(),
        "curves": _curves(classes, labels_B, scores_BC),
        "calibration": _calibration(sure_B, labels_B == guessed_B),
        "confused": [{"label": classes[i], "predicted": classes[j], "count": count} for count, i, j in pairs],
        "mistakes": [
            {
                "row": int(row),
                "name": f"test-{row:06}",
                "label": classes[labels_B[row]],
                "predicted": classes[guessed_B[row]],
                "confidence": float(sure_B[row]),
                "picture": f"evaluations/test/{row}.png",
                "text": "",
            }
            for row in worst
        ],
        "metrics": {
            "accuracy": float((labels_B == guessed_B).mean()),
            "f1_macro": float(metrics.f1_score(labels_B, guessed_B, average="macro")),
        },
    }


def _curves(classes, labels_B, scores_BC) -> dict[str, Any]:
    made, grid = {}, np.linspace(0, 1, 200)
    for index, name in enumerate(classes):
        is_true_B = labels_B == index
        fpr, tpr, _ = metrics.roc_curve(is_true_B, scores_BC[:, index])
        precision, recall, _ = metrics.precision_recall_curve(is_true_B, scores_BC[:, index])
        keep = np.unique(np.searchsorted(-recall, -grid))
        made[name] = {
            "roc": {"fpr": grid.tolist(), "tpr": np.interp(grid, fpr, tpr).tolist(), "auc": metrics.auc(fpr, tpr)},
            "pr": {
                "recall": recall[keep].tolist(),
                "precision": precision[keep].tolist(),
                "average_precision": metrics.average_precision_score(is_true_B, scores_BC[:, index]),
            },
        }
    mean = lambda kind, key: np.mean([made[name][kind][key] for name in classes], axis=0).tolist()
    macro = {"roc": {"fpr": grid.tolist(), "tpr": mean("roc", "tpr"), "auc": mean("roc", "auc")}}
    return {"macro": macro} | made


def _calibration(sure_B, is_right_B) -> dict[str, Any]:
    edges, bins = np.linspace(0, 1, 11), []
    for low, high in itertools.pairwise(edges):
        inside = (sure_B > low) & (sure_B <= high)
        count = int(inside.sum())
        means = (
            {"confidence": float(sure_B[inside].mean()), "accuracy": float(is_right_B[inside].mean())} if count else {}
        )
        bins.append({"low": float(low), "high": float(high), "count": count, **means})
    error = sum(each["count"] * abs(each["confidence"] - each["accuracy"]) for each in bins if each["count"])
    return {"bins": bins, "error": error / len(sure_B)}


def predicted(*, num_rows: int = 400) -> dict[str, Any]:
    """Of numbers."""
    rng = np.random.default_rng(1)
    label = rng.uniform(25, 346, num_rows)
    guess = 60 + 0.6 * label + rng.normal(size=num_rows) * 35
    return {
        "step": 2000,
        "split": "val",
        "residuals": {"label": label.tolist(), "predicted": guess.tolist()},
        "mistakes": [{"row": 3, "label": 310.5, "predicted": 102.25, "text": "age 0.038\nbmi 0.062\nbp 0.022"}],
        "metrics": {"mae": float(np.abs(label - guess).mean())},
    }


def write(folder: Path, **findings: dict[str, Any]) -> Path:
    """The findings of evaluators by name, and a picture for each mistake that names one."""
    home = folder / "evaluations"
    home.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    for name, finding in findings.items():
        (home / f"{name}.json").write_text(json.dumps(finding))
        for mistake in finding.get("mistakes", ()):
            if file := mistake.get("picture"):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                pixels = (255 * rng.random((7, 7))).astype(np.uint8).repeat(16, 0).repeat(16, 1)
                Image.fromarray(pixels).save(folder / file)
    return folder
