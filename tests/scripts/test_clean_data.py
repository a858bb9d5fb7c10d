"""scripts/clean_data.py as a person calls it."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import made_corpus
import pytest

from scripts import clean_data


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "raw"
    made_corpus.write(folder)
    return folder


def command(corpus, tmp_path, *more):
    return [
        "--config=configs/clean_text.py",
        f"--input={corpus}/*.jsonl",
        f"--output={tmp_path}/out",
        f"--config.cache={tmp_path}/cache",
        "--workers=0",
        *more,
    ]


def test_a_dataset_its_ledger_and_its_card(corpus, tmp_path, capsys):
    assert clean_data.main(command(corpus, tmp_path, "--config.output.format=jsonl", "--config.steps=mask_pii")) == 0
    told = capsys.readouterr()
    assert "near" in told.out
    assert "data card: " in told.out
    assert "reading files: " in told.err
    [path] = (tmp_path / "out/data").glob("train-*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {"id", "text", "site"} <= lines[0].keys()
    assert "Retention" in (tmp_path / "out/report/index.html").read_text()


def test_a_rehearsal_shows_each_rule_and_writes_nothing(corpus, tmp_path, capsys):
    steps = "--config.steps=gopher_quality(min_words=230)|gopher_repetition"
    assert clean_data.main(command(corpus, tmp_path, "--sample=50", steps)) == 0
    told = capsys.readouterr().out
    assert "removed by gopher_quality.min_words" in told
    assert "gopher_quality.min_words: part-" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--config.steps=gopher_qualty", "error: steps: expected one of "),
        ("--config.dedup.threshold=1.5", "error: dedup.threshold: expected a similarity above 0"),
        ("--config.dedup.treshold=0.7", "error: config.dedup.treshold: no such field; did you mean 'threshold'?"),
        ("--shard=3/2", "error: --shard: expected i/n"),
        ("--workers=two", "error: --workers: expected a number"),
        ("--input=nothing/*", "error: --input: expected files, but "),
        ("--beam_options=--runner=FlinkRunner", "error: --beam_options: expected none with --engine=local"),
        ("--engine=bean", "error: --engine: expected one of local, beam"),
        ("--output=", "error: --output: expected a folder"),
        ("--config.split.val=0.995", "error: split: expected shares, of which"),
    ],
)
def test_mistakes_are_one_line(corpus, tmp_path, capsys, argument, expected):
    flag = argument.partition("=")[0]
    given = [each for each in command(corpus, tmp_path) if each.partition("=")[0] != flag]
    assert clean_data.main([*given, argument]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(expected)


def test_a_machine_that_fails_is_another_exit_code(corpus, tmp_path, capsys):
    (tmp_path / "out").write_text("a file stands where the folder should be")
    assert clean_data.main(command(corpus, tmp_path)) == 1
    assert "start again to go on" in capsys.readouterr().err


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_does_so_at_once_and_goes_on_later(corpus, tmp_path, capsys, asked):
    root = pathlib.Path(__file__).parents[2]
    given = command(corpus, tmp_path, "--config.block_records=1", "--config.output.format=jsonl", "--workers=2")
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run behind a "&", and inherited
    process = subprocess.Popen(
        [sys.executable, "scripts/clean_data.py", *given],
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.PIPE,
        cwd=root,
        text=True,
    )
    signal.signal(signal.SIGINT, before)
    while not list(tmp_path.glob("out/stages/collect-*/*.parquet")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(asked)
    told = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 75
    assert told[-1] == "stopped; what is done is kept: start again to go on"
    assert not any("Traceback" in line for line in told)
    assert not (tmp_path / "out/data").exists()
    assert clean_data.main(given) == 0
    assert "reading files" in capsys.readouterr().err
