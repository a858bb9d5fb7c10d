"""Whether augmentation helps: the interval against scipy, the table, and real runs of it."""

import importlib.util
import pathlib
import re

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]


def load():
    path = ROOT / "scripts" / "compare_augmentations.py"
    found = importlib.util.spec_from_file_location("compare_augmentations", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


script = load()


@pytest.mark.fast
@pytest.mark.parametrize(
    ("augmented", "verdict"),
    [
        ([0.95, 0.96, 0.955], "helps"),
        ([0.85, 0.86, 0.855], "hurts"),
        ([0.95, 0.85, 0.91], "undecided"),
        ([0.99], "undecided"),
    ],
)
def test_an_interval_that_holds_zero_decides_nothing(augmented, verdict):
    plain = np.full(len(augmented), 0.9) + np.arange(len(augmented)) * 1e-3
    assert script.told(script.difference(augmented, plain.tolist())).endswith(f" {verdict}")


@pytest.mark.fast
def test_strengths_of_a_fault_are_averaged():
    metrics = {"blur_1/accuracy": 0.9, "blur_2/accuracy": 0.7, "test/accuracy": 0.95, "blur_1/loss": 3.0}
    assert script.by_fault(metrics | {"val/accuracy": 0.1, "train/accuracy": 0.2}) == {
        "blur": pytest.approx(0.8),
        "test": pytest.approx(0.95),
    }


@pytest.mark.fast
def test_augmentations_stand_before_numbers():
    found = script.lines("decode|resize(32)|normalize(0.5, 0.2)", ["flip_lr", "rotate(10)|blur"])
    assert found == {
        "none": "decode|resize(32)|normalize(0.5, 0.2)",
        "flip_lr": "decode|resize(32)|flip_lr|normalize(0.5, 0.2)",
        "rotate(10)|blur": "decode|resize(32)|rotate(10)|blur|normalize(0.5, 0.2)",
    }
    with pytest.raises(ValueError, match=r"data.eval_transforms: expected normalize in it, got 'decode'"):
        script.lines("decode", ["flip_lr"])


def test_real_runs_end_in_a_table_and_are_not_run_again(tmp_path, capsys):
    config = f"--config={ROOT}/configs/image_digits.py:tiny"
    arguments = [config, f"--workdir={tmp_path}", "--augmentations=random_crop(8, 1); flip_lr", "--seeds=1"]
    assert script.main(arguments) == 0
    first = (tmp_path / "table.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in first.splitlines()]
    assert [row[0] for row in rows] == ["augmentation", "---", "none", "random_crop(8, 1)", "flip_lr"]
    assert rows[0][1:] == ["test"]
    assert all(row[1].endswith("undecided") for row in rows[3:])
    assert first in capsys.readouterr().out
    assert script.main(arguments) == 0
    assert capsys.readouterr().out.count("finished already") == 3
    assert (tmp_path / "table.md").read_text() == first


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "expected --config, --workdir and --augmentations, got 'none'"),
        (["--config=nowhere.py", "--workdir=a", "--augmentations=b"], "expected a file, got 'nowhere.py'"),
        (["--seeds=0"], "not a positive integer"),
    ],
)
def test_mistakes(arguments, says, capsys):
    assert script.main(arguments) == 2
    assert re.search(says, capsys.readouterr().err)
