"""Counts by class, and the confusion matrix, against scikit-learn."""

import evaluated_rows
import numpy as np
import pytest
from sklearn import metrics as sk

from train.metrics import counts
from train.metrics.counts import Confusion, Counts

pytestmark = pytest.mark.fast

CASES = evaluated_rows.softmax_cases()


@pytest.mark.parametrize("name", CASES)
def test_each_class_and_the_confusion_matrix_equal_scikit_learn(name):
    scores, labels, weights = CASES[name]
    predicted, weights = scores.argmax(-1), weights.astype(np.float64)
    found = Counts.of_classes(predicted, labels, weights, num_classes=7)
    expected = sk.precision_recall_fscore_support(
        labels, predicted, labels=range(7), sample_weight=weights, zero_division=0
    )
    for measure, values in zip((counts.precision, counts.recall, counts.f1), expected, strict=False):
        np.testing.assert_allclose(measure(found), values, atol=1e-12)
    pieces = [
        Confusion.of(predicted[piece], labels[piece], weights[piece], num_classes=7)
        for piece in evaluated_rows.cut(len(labels))
    ]
    merged = Confusion.empty()
    for piece in pieces:
        merged = merged.merge(piece)
    expected = sk.confusion_matrix(labels, predicted, labels=range(7), sample_weight=weights)
    np.testing.assert_allclose(merged.compute(), expected, atol=1e-6)


def test_one_average_of_one_measure_is_one_kind():
    assert counts.score(counts.f1, counts.macro) is counts.score(counts.f1, counts.macro)
    assert counts.score(counts.f1, counts.macro) is not counts.score(counts.f1, counts.micro)
