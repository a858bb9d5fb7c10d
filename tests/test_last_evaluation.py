"""What the last evaluation found is on disk before the last checkpoint: no kill leaves a finished run without it."""

import json

import pytest

from train import session
from train.checkpoint import Checkpoints
from train.findings import mistakes


def command(workdir):
    return ["--config=configs/mlp_tables.py:tiny", f"--workdir={workdir}"]


def test_a_run_killed_before_its_last_checkpoint_ends_with_its_findings(tmp_path, monkeypatch):
    save, kept = Checkpoints.save, []

    def killed(self, step, *arguments, **named):
        if step < 20:
            return save(self, step, *arguments, **named)
        kept.append(json.loads((tmp_path / "evaluations" / "test.json").read_text()))
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", killed)
    assert session.main(command(tmp_path)) == 75
    monkeypatch.undo()
    [before] = kept
    for file in (tmp_path / "evaluations").rglob("*.json"):
        file.unlink()
    assert session.main(command(tmp_path)) == 0
    found = json.loads((tmp_path / "evaluations" / "test.json").read_text())
    assert (found["step"], found["split"]) == (20, "test")
    assert found == before
    metrics = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()][-1]
    assert found["metrics"] == {key.removeprefix("test/"): v for key, v in metrics.items() if key.startswith("test/")}
    assert sum(map(sum, found["confusion"])) == sum(each["count"] for each in found["calibration"]["bins"]) > 30
    right = sum(row[index] for index, row in enumerate(found["confusion"]))
    assert right / sum(map(sum, found["confusion"])) == pytest.approx(found["metrics"]["accuracy"])
    assert all((tmp_path / mistake["picture"]).exists() for mistake in found["mistakes"])
    assert {"test_confusion.png", "test_roc.png", "val_calibration.png"} <= {
        file.name for file in (tmp_path / "report").iterdir()
    }


def test_a_fault_in_what_is_told_of_the_evaluation_does_not_cost_the_last_checkpoint(tmp_path, monkeypatch):
    def fault(*_, **__):
        raise ZeroDivisionError("no mistake can be drawn")

    monkeypatch.setattr(mistakes, "explain", fault)
    assert session.main(command(tmp_path)) == 0
    assert (tmp_path / "checkpoints" / "20").is_dir()
    log = (tmp_path / "run.log").read_text()
    assert "warning: evaluations/test is not written, by this fault" in log
    assert "ZeroDivisionError: no mistake can be drawn" in log
    assert not (tmp_path / "evaluations" / "test.json").exists()
