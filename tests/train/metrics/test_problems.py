"""Metrics by name equal scikit-learn's to 1e-6, whole and merged from uneven pieces in any order."""

import warnings
from functools import reduce

import evaluated_rows
import numpy as np
import pytest
from clu import metrics as clu_metrics
from scipy.special import expit, log_softmax
from sklearn import metrics as sk

from train import metrics
from train.metrics.problems import merged

pytestmark = pytest.mark.fast

SOFTMAX = evaluated_rows.softmax_cases()
BINARY = evaluated_rows.binary_cases()
SIGMOID = evaluated_rows.sigmoid_cases()


@pytest.fixture(autouse=True)
def quiet_reference():
    """scikit-learn warns where a metric is not defined."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")
        yield


def computed(found: dict[str, clu_metrics.Metric]) -> dict[str, float]:
    return {name: metric.compute() for name, metric in found.items()}


def in_pieces(problem, *rows, seed: int = 0) -> dict[str, float]:
    pieces = [problem(*(array[piece] for array in rows)) for piece in evaluated_rows.cut(len(rows[0]), seed=seed)]
    return computed(reduce(merged, pieces))


def agree(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-6, nan_ok=True), name


def per_class(function, labels_BC, scores_BC, weights) -> float:
    """The mean over classes that scikit-learn has a number for."""
    values = [
        function(labels, scores, sample_weight=weights) for labels, scores in zip(labels_BC.T, scores_BC.T, strict=True)
    ]
    values = [value for value in values if not np.isnan(value)]
    return np.mean(values) if values else np.nan


def averages(labels, predicted, weights, names, **options) -> dict[str, float]:
    found = {}
    for suffix, average in names.items():
        values = sk.precision_recall_fscore_support(
            labels, predicted, average=average, sample_weight=weights, zero_division=0, **options
        )
        found |= {
            f"{name}{suffix}": value for name, value in zip(("precision", "recall", "f1"), values[:3], strict=True)
        }
    return found


def calibration_error(correct, confidence, weights) -> float:
    """Slowly: bin by bin."""
    error = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15) | ((low == 0) & (confidence == 0))
        error += abs((weights * (confidence - correct))[inside].sum())
    return error / weights.sum()


def softmax_reference(scores, labels, weights) -> dict[str, float]:
    counts = weights > 0
    scores, labels, weights = scores[counts].astype(np.float64), labels[counts], weights[counts].astype(np.float64)
    num_classes = scores.shape[1]
    log_p = log_softmax(scores, axis=-1)
    p, predicted, one_hot = np.exp(log_p), scores.argmax(-1), np.eye(num_classes)[labels]
    # One against the rest in log odds: the order of probabilities, also where those are 0 and 1 exactly.
    rest = np.stack([np.delete(scores, index, axis=1) for index in range(num_classes)], axis=1)
    odds = np.round(scores - np.log(np.exp(rest - rest.max(-1, keepdims=True)).sum(-1)) - rest.max(-1), 9)
    occurs = one_hot.any(0)
    found = {
        "accuracy": sk.accuracy_score(labels, predicted, sample_weight=weights),
        "log_loss": np.average(-log_p[np.arange(len(labels)), labels], weights=weights),
        "brier": sk.brier_score_loss(labels, p, labels=range(num_classes), sample_weight=weights)
        if num_classes > 2
        else sk.brier_score_loss(labels, p[:, 1], pos_label=1, sample_weight=weights),
        "calibration_error": calibration_error(predicted == labels, p.max(-1), weights),
    }
    if num_classes == 2:
        found |= averages(labels, predicted, weights, {"": "binary"}, pos_label=1)
        found["auc"] = sk.roc_auc_score(labels, odds[:, 1], sample_weight=weights)
        found["average_precision"] = sk.average_precision_score(labels, odds[:, 1], sample_weight=weights)
        return found
    found["top_5"] = sk.top_k_accuracy_score(labels, scores, k=5, labels=range(num_classes), sample_weight=weights)
    found |= averages(labels, predicted, weights, {"_macro": "macro", "_weighted": "weighted"})
    found["auc_macro"] = per_class(sk.roc_auc_score, one_hot[:, occurs], odds[:, occurs], weights)
    found["average_precision_macro"] = per_class(
        sk.average_precision_score, one_hot[:, occurs], odds[:, occurs], weights
    )
    return found


def sigmoid_reference(scores, labels, weights) -> dict[str, float]:
    counts = weights > 0
    scores, labels, weights = scores[counts].astype(np.float64), labels[counts], weights[counts].astype(np.float64)
    predicted, p = scores > 0, expit(scores)
    nll = np.logaddexp(0, np.where(labels == 1, -scores, scores))
    names = {"_macro": "macro", "_weighted": "weighted", "_micro": "micro"}
    return {
        "accuracy": sk.accuracy_score(labels, predicted, sample_weight=weights),
        "log_loss": np.average(nll.mean(-1), weights=weights),
        "brier": np.average(np.square(p - labels).mean(-1), weights=weights),
        "calibration_error": calibration_error(labels.ravel(), p.ravel(), np.repeat(weights, labels.shape[1])),
        **averages(labels, predicted, weights, names),
        "auc_macro": per_class(sk.roc_auc_score, labels, scores, weights),
        "average_precision_macro": sk.average_precision_score(labels, scores, sample_weight=weights),
    }


@pytest.mark.parametrize("name", SOFTMAX)
def test_classes_equal_scikit_learn(name):
    expected = softmax_reference(*SOFTMAX[name])
    agree(computed(metrics.classification(*SOFTMAX[name])), expected)
    agree(in_pieces(metrics.classification, *SOFTMAX[name]), expected)


@pytest.mark.parametrize("name", BINARY)
def test_two_classes_equal_scikit_learn(name):
    expected = softmax_reference(*BINARY[name])
    agree(computed(metrics.classification(*BINARY[name])), expected)
    agree(in_pieces(metrics.classification, *BINARY[name]), expected)


@pytest.mark.parametrize("name", SIGMOID)
def test_labels_equal_scikit_learn(name):
    expected = sigmoid_reference(*SIGMOID[name])
    agree(computed(metrics.multilabel(*SIGMOID[name])), expected)
    agree(in_pieces(metrics.multilabel, *SIGMOID[name]), expected)
