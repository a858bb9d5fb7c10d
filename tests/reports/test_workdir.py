"""What a workdir's files say, also while a run writes them, and what is said of files that are broken."""

import json
import math
import pathlib
import subprocess
import sys

import pytest

from train.reports import workdir


def write(folder, **files: str):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def lines(*objects: dict) -> str:
    return "".join(json.dumps(each) + "\n" for each in objects)


CONFIG = json.dumps({"config": {"seed": 0}, "derived": {"num_params": 7}, "provenance": {"seed": "default"}})


@pytest.mark.fast
def test_all_of_a_run(tmp_path):
    metrics = lines({"step": 5, "train/loss": 2.5}, {"step": 10, "train/loss": None, "val/loss": 3})
    sessions = lines({"session": "a", "start_step": 0}, {"session": "b", "start_step": 5}, {"session": "a", "exit": 75})
    run = workdir.read(write(tmp_path / "run", config_json=CONFIG, metrics_jsonl=metrics, sessions_jsonl=sessions))
    assert (run.name, run.config, run.derived) == ("run", {"seed": 0}, {"num_params": 7})
    assert run.provenance == {"seed": "default"}
    assert run.sessions == [{"session": "a", "start_step": 0, "exit": 75}, {"session": "b", "start_step": 5}]
    assert run.series("val/loss") == [(10, 3)]
    assert run.series("train/loss")[0] == (5, 2.5)
    assert math.isnan(run.series("train/loss")[1][1])


@pytest.mark.fast
def test_lines_of_one_step_are_one_row_and_rows_ascend(tmp_path):
    text = lines({"step": 10, "train/loss": 2.0}, {"step": 5, "train/loss": 3.0}, {"step": 10, "val/loss": 2.5})
    rows = workdir.read_metrics(write(tmp_path, metrics_jsonl=text))
    assert rows == [{"step": 5, "train/loss": 3.0}, {"step": 10, "train/loss": 2.0, "val/loss": 2.5}]


@pytest.mark.fast
def test_a_line_that_is_still_being_written_is_left_out(tmp_path):
    rows = workdir.read_metrics(write(tmp_path, metrics_jsonl=lines({"step": 5}) + '{"step": 10, "tra'))
    assert rows == [{"step": 5}]


@pytest.mark.fast
def test_files_that_are_not_there_yet_are_empty(tmp_path):
    run = workdir.read(write(tmp_path, config_json='{"config": {}}'))
    assert (run.derived, run.provenance, run.metrics, run.sessions) == ({}, {}, [], [])


@pytest.mark.fast
@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "expected a run's folder with config.json, got none; train first"),
        (dict(config_json="{"), "config.json: expected JSON, got"),
        (dict(config_json="[]"), "config.json: expected a JSON object, got list"),
        (dict(config_json='{"derived": {}}'), 'expected an object with a "config", got derived'),
        (dict(config_json=CONFIG, metrics_jsonl='{"step": 1}\nx\n'), "metrics.jsonl, line 2: expected JSON"),
        (dict(config_json=CONFIG, sessions_jsonl="3\n"), "sessions.jsonl, line 1: expected a JSON object, got int"),
    ],
)
def test_what_is_no_run(tmp_path, files, says):
    with pytest.raises(ValueError, match=says):
        workdir.read(write(tmp_path, **files))


@pytest.mark.fast
def test_it_is_light_to_import():
    code = (
        "import sys; from train.reports import workdir\n"
        "assert not {'numpy', 'jax', 'matplotlib', 'rich'} & set(sys.modules)"
    )
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
