"""What evaluations found, on the page and as PNGs: it is what the files say, for two classes and for a hundred."""

import base64
import itertools
import json
import re

import made_findings
import made_workdirs
import numpy as np
import pytest
from sklearn import metrics

from train.reports import evaluations, findings, matrix, page, pictures, record
from train.reports.curves import INK

NAMES = {2: ["benign", "malignant"], 10: list(made_findings.FASHION), 100: [f"species number {i}" for i in range(100)]}


def read(folder, **made):
    made_findings.write(folder, **made)
    return {file.stem: findings.read(file) for file in findings.files(folder)}


def page_of(folder) -> str:
    return page.write(folder).read_text(encoding="utf-8")


@pytest.mark.fast
def test_scores_of_classes_are_scikit_learn_s(tmp_path):
    classes = [*NAMES[10], "never seen"]
    made = made_findings.classified(NAMES[10])
    made["classes"], made["confusion"] = classes, [[*row, 0] for row in made["confusion"]] + [[0] * 11]
    found = findings.scores(read(tmp_path, test=made)["test"])
    labels, guessed = ([], [])
    for (true, predicted), count in np.ndenumerate(made["confusion"]):
        labels += [true] * count
        guessed += [predicted] * count
    expected = metrics.precision_recall_fscore_support(labels, guessed, labels=range(11), zero_division=0)
    np.testing.assert_allclose([[e.precision, e.recall, e.f1, e.num_rows] for e in found], np.transpose(expected))
    assert [each.name for each in found] == classes


@pytest.mark.fast
@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_every_count_has_its_shade_and_every_class_its_names(tmp_path, num_classes):
    finding = read(tmp_path, test=made_findings.classified(NAMES[num_classes]))["test"]
    drawn = str(matrix.draw(finding))
    counts = np.array(finding.confusion)
    cell = matrix.Sizes.of(num_classes).cell
    cells = re.findall(
        r'<rect x="(\d+)" y="(\d+)" width="\d+" height="\d+" class="(\w+)" fill-opacity="([\d.]+)"', drawn
    )
    found = {(int(y) // cell, int(x) // cell): (kind, float(shade)) for x, y, kind, shade in cells}
    assert found.keys() == set(map(tuple, np.argwhere(counts).tolist()))
    for (true, predicted), (kind, shade) in found.items():
        assert kind == ("right" if true == predicted else "wrong")
        palest = matrix.PALEST if num_classes <= 24 else matrix.PALEST_ALONE
        share = counts[true, predicted] / counts[true].sum()
        assert shade == pytest.approx(palest + (1 - palest) * share**0.5, abs=0.006)
    assert drawn.count("<text") == 2 * num_classes + (np.count_nonzero(counts) if num_classes <= 24 else 0)
    [told] = re.findall(r'aria-label="(.*?)"', drawn)
    assert f"{np.trace(counts):,} of {counts.sum():,} rows are right" in told
    [embedded] = re.findall(r"<script[^>]*>(.*?)</script>", drawn)
    assert json.loads(embedded) == {"classes": NAMES[num_classes], "counts": counts.tolist()}


@pytest.mark.fast
def test_the_mean_and_the_worst_classes_are_shown_and_the_others_wait(tmp_path):
    made = made_findings.classified(NAMES[100])
    roc, pr, calibration = evaluations.panels(read(tmp_path, test=made)["test"])
    assert (roc.title, pr.title, calibration.title) == ("ROC curve", "Precision and recall", "Calibration")
    areas = {name: found["roc"]["auc"] for name, found in made["curves"].items()}
    precisions = {name: made["curves"][name]["pr"]["average_precision"] for name in NAMES[100]}
    worst = sorted(precisions, key=precisions.get)
    assert [curve.name for curve in roc.curves if curve.is_shown] == ["macro", *worst[: evaluations.MAX_SHOWN]]
    assert [curve.name for curve in roc.curves][1:] == worst
    assert roc.curves[0].colour == INK
    for curve in roc.curves:
        assert curve.told == f"AUC {areas[curve.name]:.3f}"
        points = list(
            zip(made["curves"][curve.name]["roc"]["fpr"], made["curves"][curve.name]["roc"]["tpr"], strict=True)
        )
        assert set(curve.points) <= set(points)
        assert (curve.points[0], curve.points[-1]) == (points[0], points[-1])
        assert len(curve.points) <= 40
    assert len({(curve.colour, curve.dash) for curve in roc.curves[:11]}) == 11, "no line is known by its colour alone"
    looks = [{(c.name, c.colour, c.dash, c.is_shown) for c in panel.curves} for panel in (roc, pr)]
    assert looks[1] <= looks[0], "a class looks the same in both"


@pytest.mark.fast
def test_a_thinned_line_is_as_close_where_it_is_steep():
    corner = [(0.0, 0.0), *((0.0, i / 1000) for i in range(1, 1001)), (1.0, 1.0)]
    kept = evaluations._along(corner, 20)
    assert len(kept) <= 20
    assert (kept[0], kept[-1]) == ((0.0, 0.0), (1.0, 1.0))
    steps = [abs(b[0] - a[0]) + abs(b[1] - a[1]) for a, b in itertools.pairwise(kept[:-1])]
    assert max(steps) < 2 / 19 + 0.002


@pytest.mark.fast
def test_calibration_and_residuals_are_drawn_as_they_were_measured(tmp_path):
    found = read(tmp_path, test=made_findings.classified(), val=made_findings.predicted())
    calibration = evaluations.panels(found["test"])[-1]
    filled = [each for each in made_findings.classified()["calibration"]["bins"] if each["count"]]
    assert calibration.curves[0].points == [(each["confidence"], each["accuracy"]) for each in filled]
    assert sum(count for _, _, count in calibration.bars) == 2000
    against, left = evaluations.panels(found["val"])
    made = made_findings.predicted()["residuals"]
    pairs = sorted(zip(made["label"], made["predicted"], strict=True))
    assert against.curves[0].points == pairs
    assert against.range_x == against.range_y, "a perfect model's rows stand on the diagonal"
    assert left.curves[0].points == sorted((predicted, true - predicted) for true, predicted in pairs)


@pytest.mark.fast
@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_the_page_shows_what_the_file_says(tmp_path, num_classes):
    folder = made_workdirs.write(tmp_path / "run")
    made = made_findings.classified(NAMES[num_classes])
    made_findings.write(folder, test=made)
    shown = page_of(folder)
    assert "test: the split test at step 2,000" in shown
    assert len(shown) < 1_500_000
    for pair in made["confused"]:
        cells = f'<th scope="row">{pair["label"]}</th><td>{pair["predicted"]}</td><td class="n">{pair["count"]}</td>'
        assert cells in shown
    images = re.findall(r'<img src="data:image/png;base64,([^"]*)" alt="([^"]*)">', shown)
    for (content, alt), mistake in zip(images, made["mistakes"], strict=True):
        assert base64.b64decode(content) == (folder / mistake["picture"]).read_bytes()
        assert alt == f"{mistake['name']}: {mistake['label']}, taken for {mistake['predicted']}"
    nothing, value = '<td class="n"></td>', f"{made['metrics']['f1_macro']:.4g}"
    assert f'<th scope="row">f1 macro</th>{2 * nothing}<td class="n">{value}</td>' in shown


@pytest.mark.fast
def test_numbers_have_residuals_and_their_mistakes_as_text(tmp_path):
    folder = made_workdirs.write(tmp_path / "run")
    made_findings.write(folder, val=made_findings.predicted())
    shown = page_of(folder)
    for told in (
        "Predicted against true",
        "Residuals",
        "age 0.038\nbmi 0.062",
        "<b>310.5</b> predicted as <b>102.2</b>",
    ):
        assert told in shown
    for absent in ("Confusion matrix", "ROC curve", " sure</p>"):
        assert absent not in shown


HOSTILE = '</script><img src=x onerror="alert(1)">\' & "'


@pytest.mark.fast
def test_no_name_becomes_markup(tmp_path):
    folder = made_workdirs.write(tmp_path / "run")
    made = made_findings.classified([f"{name}{HOSTILE}" for name in NAMES[10]])
    for mistake in made["mistakes"]:
        mistake |= {"name": HOSTILE, "text": HOSTILE, "picture": ""}
    made_findings.write(folder, test=made | {"split": HOSTILE})
    shown = page_of(folder)
    assert "<img" not in shown
    assert 'onerror="' not in shown
    assert shown.count("&lt;img src=x") > 30


@pytest.mark.fast
def test_no_name_is_a_formula_or_left_out(tmp_path):
    r"""To matplotlib, `$..$` is a formula (`$\x$` a wrong one), and what begins with "_" is in no legend."""
    names = ["_misc", "$5", r"$\x$", *NAMES[10][3:]]
    made_findings.write(tmp_path / "run", test=made_findings.classified(names))
    assert [path.name for path in pictures.draw(tmp_path / "run")] == [
        *(f"test_{what}.png" for what in ("roc", "precision_recall", "calibration", "confusion", "mistakes"))
    ]
    figure = pictures.figures(findings.read(tmp_path / "run" / "evaluations" / "test.json"))["roc"]
    told = [text.get_text().strip(pictures.UNSEEN) for text in figure.axes[0].get_legend().get_texts()]
    assert any(text.startswith("_misc") for text in told)


def test_no_file_outside_the_workdir_is_shown(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"not yours")
    made = made_findings.classified()
    for mistake, name in zip(
        made["mistakes"], ("../secret.png", str(tmp_path / "secret.png"), "none.png"), strict=False
    ):
        mistake["picture"] = name
    folder = tmp_path / "run" / "evaluations"
    folder.mkdir(parents=True)
    (folder / "test.json").write_text(json.dumps(made))
    finding = findings.read(folder / "test.json")
    assert all(mistake.picture is None for mistake in finding.mistakes)


@pytest.mark.fast
@pytest.mark.parametrize(
    "broken",
    ["{", "[1]", "null", '{"step": 1}', '{"step": 1, "split": "test", "classes": ["a"], "confusion": [[1, 2]]}'],
)
def test_a_broken_file_is_named(tmp_path, broken):
    folder = made_workdirs.write(tmp_path / "run")
    (folder / "evaluations").mkdir()
    (folder / "evaluations" / "test.json").write_text(broken)
    assert record.read(str(folder)).absent[0].startswith("evaluations/test.json cannot be read: ")
    assert "evaluations/test.json cannot be read: " in page_of(folder)


def test_pngs_hold_what_the_page_shows(tmp_path):
    folder = made_workdirs.write(tmp_path / "run")
    found = read(folder, test=made_findings.classified(), val=made_findings.predicted())
    drawn = pictures.figures(found["test"])
    assert set(drawn) == {"confusion", "roc", "precision_recall", "calibration", "mistakes"}
    axes = drawn["confusion"].axes[0]
    counts = [int(text.get_text() or 0) for text in axes.texts]
    assert counts == [count for row in found["test"].confusion for count in row]
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES[10]
    curves = evaluations.panels(found["test"])[0].curves
    legend = [text.get_text() for text in drawn["roc"].axes[0].get_legend().get_texts()]
    assert legend == [f"{curve.name}  {curve.told}" for curve in curves]
    bars = drawn["calibration"].axes[1].patches
    assert [bar.get_height() for bar in bars] == [each.count for each in found["test"].bins]
    assert len(drawn["mistakes"].axes) == 10, "two rows of five, eight of them mistakes"
    assert set(pictures.figures(found["val"])) == {"predicted", "residuals"}


def test_they_are_written_beside_the_page(tmp_path):
    folder = made_workdirs.write(tmp_path / "run")
    made_findings.write(folder, val=made_findings.predicted())
    files = pictures.draw(folder)
    assert [file.name for file in files] == ["learning_rate.png", "val_predicted.png", "val_residuals.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") and file.parent == folder / "report" for file in files)


@pytest.mark.fast
def test_residuals_that_all_lie_on_one_side_are_drawn(tmp_path):
    """From 0.01 to 100, so that other charts would take a log scale, where the line at 0 has no place."""
    made = made_findings.predicted()
    truth = made["residuals"]["label"]
    made["residuals"]["predicted"] = [value - 0.01 * 10 ** (4 * i / len(truth)) for i, value in enumerate(truth)]
    folder = tmp_path / "evaluations"
    folder.mkdir()
    (folder / "val.json").write_text(json.dumps(made))
    finding = findings.read(folder / "val.json")
    assert evaluations.panels(finding)[-1].range_y[0] == 0.0
    assert set(pictures.figures(finding)) == {"predicted", "residuals"}
