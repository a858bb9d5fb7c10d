"""Curves and areas equal scikit-learn's, from every distinct score."""

import itertools
import warnings
from functools import reduce

import evaluated_rows
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from train.metrics import classification, multilabel, ranking
from train.metrics.problems import merged
from train.metrics.ranking import rank
from train.metrics.rows import Rows

pytestmark = pytest.mark.fast

ROWS = st.lists(
    st.tuples(st.integers(-3, 3), st.booleans(), st.sampled_from([0.1, 0.3, 1.0, 2.5])), min_size=1, max_size=30
)


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_curves_and_areas_equal_scikit_learn(rows):
    scores, labels, weights = map(np.array, zip(*rows, strict=True))
    found = rank(scores, labels, weights)
    roc, curve = ranking.roc(found), ranking.precision_recall(found)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")
        fpr, tpr, _ = sk.roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
        precision, recall, _ = sk.precision_recall_curve(labels, scores, sample_weight=weights)
        area = sk.roc_auc_score(labels, scores, sample_weight=weights)
        average = sk.average_precision_score(labels, scores, sample_weight=weights)
    np.testing.assert_allclose(roc.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(roc.tpr, tpr, atol=1e-12)
    np.testing.assert_allclose(roc.auc, area, atol=1e-12)
    np.testing.assert_allclose(curve.precision, precision[::-1], atol=1e-12)
    np.testing.assert_allclose(curve.average_precision, average, atol=1e-12)
    if labels.any():
        np.testing.assert_allclose(curve.recall, recall[::-1], atol=1e-12)


def test_the_area_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    scores, labels, weights = rng.integers(0, 9, 50) / 3, rng.random(50) < 0.4, rng.random(50)
    pairs = [(i, j) for i, j in itertools.product(range(50), repeat=2) if labels[i] and not labels[j]]
    wins = sum(weights[i] * weights[j] * ((scores[i] > scores[j]) + (scores[i] == scores[j]) / 2) for i, j in pairs)
    expected = wins / sum(weights[i] * weights[j] for i, j in pairs)
    assert ranking.auc(rank(scores, labels, weights)) == pytest.approx(expected, rel=1e-12)


def test_an_over_confident_classifier_loses_nothing():
    """Probabilities of 1 exactly would tie, and fixed thresholds would see one step."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 300).astype(np.int32)
    calm = (rng.normal(size=(300, 3)) + np.eye(3)[labels]).astype(np.float32)
    loud = np.ldexp(calm, 12)  # the same order exactly; softmax is 0 or 1
    two = slice(0, 2)
    of_two = labels < 2
    ones = np.ones(300, np.float32)
    expected = classification(calm[of_two, two], labels[of_two], ones[of_two])["auc"].compute()
    assert classification(loud[of_two, two], labels[of_two], ones[of_two])["auc"].compute() == expected
    odds = np.stack([loud[:, c] - np.delete(loud, c, 1).max(-1) for c in range(3)], -1)  # what log odds become
    found = classification(loud, labels, ones)["auc_macro"].compute()
    assert found == pytest.approx(np.mean([sk.roc_auc_score(labels == c, odds[:, c]) for c in range(3)]), abs=1e-6)
    assert 0.7 < found < 0.9


def test_rows_whose_logits_are_permuted_tie():
    """Their probabilities are equal, though sums of floats may not be: softmax([.1, .2, .7, .3]) and its like."""
    base = np.random.default_rng(2).normal(size=8).astype(np.float32)
    rng = np.random.default_rng(3)
    scores = np.stack([np.r_[base[0], rng.permutation(base[1:])] for _ in range(50)])
    part = Rows.of(scores, np.arange(50, dtype=np.int32) % 8, np.ones(50)).parts
    assert len(dict(ranking.rankings(part))[0].scores_T) == 1


PROBLEMS = {
    "softmax": (classification, evaluated_rows.softmax_cases(), "_macro"),
    "binary": (classification, evaluated_rows.binary_cases(), ""),
    "sigmoid": (multilabel, evaluated_rows.sigmoid_cases(), "_macro"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_cut_and_no_order_of_merging_changes_a_bit(name):
    problem, cases, suffix = PROBLEMS[name]
    for case, rows in cases.items():
        found = set()
        for seed in range(4):
            pieces = [
                problem(*(array[piece] for array in rows)) for piece in evaluated_rows.cut(len(rows[0]), seed=seed)
            ]
            areas = reduce(merged, pieces)
            found.add(tuple(str(areas[f"{kind}{suffix}"].compute()) for kind in ("auc", "average_precision")))
        assert len(found) == 1, (case, found)


def test_a_million_rows_and_many_classes():
    """No pass over rows is a Python loop, and no copy of all probabilities is made."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 1_000_000).astype(np.int32)
    scores = (rng.normal(size=(1_000_000, 2)) + np.eye(2)[labels]).astype(np.float32)
    found = classification(scores, labels, np.ones(1_000_000, np.float32))
    assert found["auc"].compute() == pytest.approx(sk.roc_auc_score(labels, scores[:, 1] - scores[:, 0]), abs=1e-6)
