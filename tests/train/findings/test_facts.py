"""What is drawn of an evaluation, against scikit-learn, and read back by the reports' own reader."""

import json

import evaluated_rows
import made_findings
import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as sk

from train.findings import facts
from train.findings.thinning import thinned
from train.reports import findings as reports

pytestmark = pytest.mark.fast


def evaluated(num_classes: int, **options):
    """-> logits, labels, probabilities."""
    labels_B, p_BC = made_findings.scores(num_classes, **options)
    return np.log(p_BC).astype(np.float32), labels_B.astype(np.int32), p_BC


def told(scores, labels, classes=(), *, labels_are: str = "class"):
    return facts.of({"scores": scores, "labels": labels}, labels=labels_are, classes=classes)


def test_classes_are_told_as_the_reports_read_them(tmp_path):
    scores, labels, p = evaluated(10)
    classes = made_findings.FASHION
    found = told(scores, labels, classes)
    expected = made_findings.classified(classes)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["classes"] == expected["classes"]
    assert found["confusion"] == expected["confusion"]
    assert found["confused"][0] == expected["confused"][0]
    assert [pair["count"] for pair in found["confused"]][:10] == [pair["count"] for pair in expected["confused"]]
    for mistake, other in zip(found["mistakes"][:8], expected["mistakes"], strict=True):
        del other["picture"], other["text"], other["name"]
        assert mistake == other | {"confidence": pytest.approx(other["confidence"], rel=1e-5)}
    (tmp_path / "evaluations").mkdir()
    (tmp_path / "evaluations" / "test.json").write_text(
        json.dumps(found | {"step": 2000, "split": "test", "metrics": {}})
    )
    kept = reports.read(tmp_path / "evaluations" / "test.json")
    assert [curves.name for curves in kept.curves] == ["macro", *classes]
    assert kept.num_right == (p.argmax(-1) == labels).sum()


def test_curves_look_like_all_their_points():
    scores, labels, p = evaluated(4, num_rows=20_000, sharpness=1.5)
    curves = told(scores, labels)["curves"]
    for index in range(4):
        found = curves[str(index)]
        assert found["roc"]["auc"] == pytest.approx(sk.roc_auc_score(labels == index, p[:, index]), abs=1e-6)
        average = sk.average_precision_score(labels == index, p[:, index])
        assert found["pr"]["average_precision"] == pytest.approx(average, abs=1e-6)
        fpr, tpr, _ = sk.roc_curve(labels == index, p[:, index])
        assert len(found["roc"]["fpr"]) == len(found["roc"]["tpr"]) <= 200 < len(fpr)
        assert (found["roc"]["fpr"][0], found["roc"]["tpr"][-1]) == (0, 1)
        above = np.abs(np.interp(fpr, found["roc"]["fpr"], found["roc"]["tpr"]) - tpr)
        beside = np.abs(np.interp(tpr, found["roc"]["tpr"], found["roc"]["fpr"]) - fpr)
        assert np.minimum(above, beside).max() < 0.005
        assert sk.auc(found["roc"]["fpr"], found["roc"]["tpr"]) == pytest.approx(found["roc"]["auc"], abs=1e-3)
        assert len(found["pr"]["recall"]) == len(found["pr"]["precision"]) <= 200
        assert (found["pr"]["recall"][0], found["pr"]["recall"][-1]) == (0, 1)
        assert sk.auc(found["pr"]["recall"], found["pr"]["precision"]) == pytest.approx(average, abs=5e-3)
    macro = curves["macro"]["roc"]
    assert macro["auc"] == pytest.approx(sk.roc_auc_score(labels, p, multi_class="ovr"), abs=1e-6)
    assert sk.auc(macro["fpr"], macro["tpr"]) == pytest.approx(macro["auc"], abs=2e-3)
    macro = curves["macro"]["pr"]
    assert sk.auc(macro["recall"], macro["precision"]) == pytest.approx(macro["average_precision"], abs=5e-3)


def test_thinning_keeps_ends_and_corners():
    x = np.linspace(0, 1, 10_001)
    y = np.minimum(20 * x, 0.9 + 0.1 * x)
    kept = thinned(x, y, most=3)
    assert x[kept] == pytest.approx([0, 0.9 / 19.9, 1], abs=1e-4)
    assert thinned(np.array([0.0, 0, 1]), np.array([0.0, 1, 1])).tolist() == [0, 1, 2]
    assert thinned(x, 2 * x).tolist() == [0, 10_000]


def test_calibration_is_the_metric_bin_by_bin():
    scores, labels, p = evaluated(5)
    found = told(scores, labels)["calibration"]
    assert len(found["bins"]) == 15
    bins = [each for each in found["bins"] if each["count"]]
    assert sum(each["count"] for each in bins) == 2000
    error = sum(each["count"] * abs(each["confidence"] - each["accuracy"]) for each in bins) / 2000
    assert found["error"] == pytest.approx(error, rel=1e-9)
    sure, right = p.max(-1), p.argmax(-1) == labels
    for each in found["bins"]:
        inside = (sure > each["low"]) & (sure <= each["high"])
        assert each["count"] == inside.sum()
        assert each.get("accuracy", 0.0) == pytest.approx(right[inside].mean() if inside.any() else 0.0)


def test_mistakes_of_equal_confidence_come_by_row():
    scores = 100 * np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    found = told(scores, np.array([0, 2, 2, 0, 0, 1], np.int32), "abc")
    assert [mistake["row"] for mistake in found["mistakes"]] == [1, 4, 5]
    assert found["mistakes"][0] == dict(row=1, label="c", predicted="b", confidence=1.0)


def test_two_classes_have_the_curves_of_the_second():
    scores, labels, p = evaluated(2)
    curves = told(scores, labels, ("ham", "spam"))["curves"]
    assert list(curves) == ["spam"]
    assert curves["spam"]["roc"]["auc"] == pytest.approx(sk.roc_auc_score(labels, p[:, 1]), abs=1e-6)


def test_of_many_classes_the_hardest_have_curves():
    scores, labels, p = evaluated(30)
    curves = told(scores, labels)["curves"]
    averages = [sk.average_precision_score(labels == index, p[:, index]) for index in range(30)]
    assert list(curves) == ["macro", *map(str, sorted(np.argsort(averages)[:20]))]


@pytest.mark.parametrize("name", evaluated_rows.softmax_cases())
def test_any_rows_can_be_told_of(name):
    """Classes without rows, one class, one row: what does not apply is empty, and nothing is no number."""
    scores, labels, _ = evaluated_rows.softmax_cases()[name]
    found = told(scores, labels)
    json.dumps(found, allow_nan=False)
    assert (not found["curves"]) == (name in ("one class", "one row"))
    assert (not found["mistakes"]) == (name == "perfect" or (name == "one row" and scores.argmax() == labels[0]))


@pytest.mark.parametrize("num_classes", [2, 4])
def test_rows_without_a_finite_score_are_counted_apart(num_classes):
    scores, labels, *_ = evaluated(num_classes)
    broken = scores.copy()
    broken[[3, 5]] = np.nan
    found = told(broken, labels)
    assert found.pop("not_finite") == 2
    without = told(np.delete(scores, [3, 5], axis=0), np.delete(labels, [3, 5]))
    assert found["curves"] == without["curves"]
    assert found["confusion"] == without["confusion"]
    rows = np.delete(np.arange(2000), [3, 5])
    assert [mistake["row"] for mistake in found["mistakes"]] == [rows[each["row"]] for each in without["mistakes"]]
    nothing = told(np.full_like(scores, np.nan), labels)
    assert nothing["not_finite"] == 2000
    assert not nothing["curves"]


def test_labels_have_curves_calibration_and_mistakes():
    scores, labels, _ = evaluated_rows.sigmoid_cases()["random"]
    found = told(scores, labels, "abcde", labels_are="classes")
    json.dumps(found, allow_nan=False)
    assert list(found["curves"]) == ["macro", *"abcde"]
    areas = [found["curves"][name]["roc"]["auc"] for name in "abcde"]
    assert areas == pytest.approx([sk.roc_auc_score(labels[:, c], scores[:, c]) for c in range(5)], abs=1e-6)
    p = softmax(np.stack([scores, np.zeros_like(scores)]), axis=0)[0]
    wrong = np.where((p > 0.5) != labels, np.maximum(p, 1 - p), 0).max(-1)
    order = np.argsort(-wrong, kind="stable")[: facts.MAX_MISTAKES]
    assert [mistake["row"] for mistake in found["mistakes"]] == order[wrong[order] > 0].tolist()
    first = found["mistakes"][0]
    assert first["confidence"] == pytest.approx(wrong.max(), rel=1e-6)
    assert first["label"] == (", ".join(np.array(list("abcde"))[labels[first["row"]] == 1]) or "none")


def test_numbers_have_residuals_and_their_greatest_errors():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=3000).astype(np.float32)
    predictions = labels + rng.normal(size=3000).astype(np.float32)
    found = told(predictions[:, None], labels, labels_are="numbers")
    assert len(found["residuals"]["label"]) == len(found["residuals"]["predicted"]) == 2000
    errors = np.abs(predictions - labels)
    assert [mistake["row"] for mistake in found["mistakes"]] == np.argsort(-errors)[: facts.MAX_MISTAKES].tolist()
    row = found["mistakes"][0]["row"]
    assert (found["mistakes"][0]["label"], found["mistakes"][0]["predicted"]) == (labels[row], predictions[row])
    assert "confusion" not in found
