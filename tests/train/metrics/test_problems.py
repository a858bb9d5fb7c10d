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


def regression_cases() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """name -> predictions, labels, weights."""
    rng = np.random.default_rng(2)
    labels, ones = rng.normal(size=(40, 3)).astype(np.float32), np.ones(40, np.float32)
    predictions = labels + rng.normal(0, 0.5, labels.shape).astype(np.float32)
    constant = np.where(np.arange(3) == 1, np.float32(0.1), labels)
    return {
        "random": (predictions[:, 0], labels[:, 0], ones),
        "several outputs": (predictions, labels, ones),
        "fractional weights": (predictions, labels, rng.random(40).astype(np.float32)),
        "zero weights": (predictions, labels, rng.integers(0, 2, 40).astype(np.float32)),
        "far from zero": (predictions + np.float32(1e6), labels + np.float32(1e6), ones),
        "worse than the mean": (-3 * predictions, labels, ones),
        "a constant label": (predictions, constant, ones),
        "a constant label that was met": (constant, constant, ones),
        "one row": (predictions[:1], labels[:1], ones[:1]),
        "two rows": (predictions[:2], labels[:2], ones[:2]),
    }


REGRESSION = regression_cases()


@pytest.mark.parametrize("name", REGRESSION)
def test_numbers_equal_scikit_learn(name):
    predictions, labels, weights = REGRESSION[name]
    counts = weights > 0
    rows = labels[counts].astype(np.float64), predictions[counts].astype(np.float64)
    expected = {
        "mse": sk.mean_squared_error(*rows, sample_weight=weights[counts]),
        "mae": sk.mean_absolute_error(*rows, sample_weight=weights[counts]),
        "r2": np.nan if counts.sum() < 2 else r2(*rows, weights[counts]),
    }
    agree(computed(metrics.regression(predictions, labels, weights)), expected)
    agree(in_pieces(metrics.regression, predictions, labels, weights), expected)


def r2(labels, predictions, weights) -> float:
    """scikit-learn's, from labels less the first one: the mean of equal labels is then exact."""
    return sk.r2_score(labels - labels[0], predictions - labels[0], sample_weight=weights)


def test_one_number_a_row_may_stand_in_a_column():
    predictions, labels, weights = REGRESSION["random"]
    expected = computed(metrics.regression(predictions, labels, weights))
    assert computed(metrics.regression(predictions[:, None], labels, weights)) == expected


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("weighting", ["ones", "fractional", "zeros"])
def test_retrieval_equals_every_distance_sorted(distance, weighting):
    rng = np.random.default_rng(3)
    embeddings, labels = rng.normal(3, 1, (80, 6)).astype(np.float32), rng.integers(0, 9, 80).astype(np.int32)
    labels[7] = 100  # alone in its class: a miss
    weights = {"ones": np.ones(80), "fractional": rng.random(80), "zeros": rng.integers(0, 2, 80)}[weighting]
    counts = weights > 0
    distances = sk.pairwise_distances(embeddings[counts].astype(np.float64), metric=distance)
    np.fill_diagonal(distances, np.inf)
    nearest = labels[counts][distances.argsort(-1)]
    is_own = nearest == labels[counts][:, None]
    is_own[:, -1] = False  # itself
    expected = {f"recall_at_{k}": np.average(is_own[:, :k].any(-1), weights=weights[counts]) for k in (1, 5, 10)}

    def problem(*rows):
        return metrics.retrieval(*rows, distance=distance)

    agree(computed(problem(embeddings, labels, weights)), expected)
    agree(in_pieces(problem, embeddings, labels, weights), expected)


def test_one_output_is_a_binary_problem():
    scores, labels, weights = BINARY["fractional weights"]
    expected = computed(metrics.classification(scores, labels, weights))
    difference = scores[:, 1:].astype(np.float64) - scores[:, :1]
    found = computed(metrics.multilabel(difference, labels[:, None], weights))
    expected.pop("calibration_error"), found.pop("calibration_error")  # of what was said; of the positive class
    agree(found, expected)


@pytest.mark.parametrize(
    ("problem", "cases"),
    [(metrics.classification, SOFTMAX), (metrics.multilabel, SIGMOID), (metrics.regression, REGRESSION)],
)
def test_rows_of_weight_zero_may_hold_anything(problem, cases):
    """They fill an evaluation's last batch."""
    scores, labels, weights = cases["random"]
    filling = [np.concatenate([scores, np.full_like(scores, np.nan)]), np.concatenate([labels, -labels - 1])]
    found = computed(problem(*filling, np.concatenate([weights, np.zeros_like(weights)])))
    assert found == computed(problem(scores, labels, weights))


@pytest.mark.parametrize(
    ("problem", "cases"),
    [(metrics.classification, SOFTMAX), (metrics.multilabel, SIGMOID), (metrics.regression, REGRESSION)],
)
def test_without_rows_nothing_is_a_number(problem, cases):
    scores, labels, weights = cases["random"]
    for rows in ((scores, labels, np.zeros_like(weights)), (scores[:0], labels[:0], weights[:0])):
        assert all(np.isnan(value) for value in computed(problem(*rows)).values())


@pytest.mark.parametrize(
    ("problem", "cases"),
    [
        (metrics.classification, SOFTMAX),
        (metrics.classification, BINARY),
        (metrics.multilabel, SIGMOID),
        (metrics.regression, REGRESSION),
        (metrics.retrieval, SOFTMAX),
    ],
)
def test_scores_that_are_no_numbers_are_told_of(problem, cases):
    """A run that has diverged has no accuracy, and its evaluation does not fail."""
    scores, labels, weights = cases["random"]
    scores = scores.copy()
    scores[3] = np.nan
    assert all(np.isnan(value) for value in computed(problem(scores, labels, weights)).values())


@pytest.mark.parametrize(
    ("problem", "cases"),
    [(metrics.classification, SOFTMAX), (metrics.multilabel, SIGMOID), (metrics.regression, REGRESSION)],
)
def test_merging_with_nothing_changes_nothing(problem, cases):
    for metric in problem(*cases["random"]).values():
        assert isinstance(metric, clu_metrics.Metric)
        assert metric.merge(metric.empty()).compute() == metric.compute()
        assert metric.empty().merge(metric).compute() == metric.compute()
        assert np.isnan(metric.empty().compute())


def test_mistakes_are_told():
    scores, labels, weights = SOFTMAX["random"]
    with pytest.raises(ValueError, match="labels: expected 0 to 6, got 0 to 7"):
        metrics.classification(scores, np.where(labels == 6, 7, labels), weights)
    with pytest.raises(ValueError, match="weights: expected 0 or more, got -1"):
        metrics.classification(scores, labels, -weights)
    with pytest.raises(ValueError, match="two classes or more, got 1; write multilabel"):
        metrics.classification(scores[:, :1], labels, weights)
    with pytest.raises(ValueError, match='expected "cosine" or "euclidean", got \'manhattan\''):
        metrics.retrieval(scores, labels, weights, distance="manhattan")["recall_at_1"].compute()
    with pytest.raises(ValueError, match=r"expected labels' shape \(60,\), got \(60, 7\)"):
        metrics.regression(scores, labels, weights)
