"""How two runs differ: every block, and silence where nothing does."""

import dataclasses
import math

import pytest
from etils import epath

from train.reports import differences
from train.reports.workdir import Workdir

HASH = "e752bc76aa11a65fa91efa876ca176a17bdcd1b83a2eaae8a13762cc5640a3d8"


def session(number: int, **versions: str):
    code = {"revision": HASH[:40], "difference": "", "versions": {"jax": "0.10.2", **versions}}
    return {"session": number, "code": code, "devices": {"kind": "cpu", "count": 8}}


ONE = Workdir(
    path=epath.Path("runs/a"),
    config={"train": {"num_steps": 40, "num_tokens": 0}, "seed": 0},
    derived={"num_params": 7, "data.train": {"rows": 100, "tokens": 6400, "fingerprint": HASH}},
    provenance={"train.num_steps": "file", "train.num_tokens": "default", "seed": "file"},
    metrics=[
        {"step": 10, "train/loss": 3.0, "val/loss": 2.0, "train/tokens_per_s": 10.0, "train/eta_s": 5.0},
        {"step": 20, "train/loss": 2.5, "val/loss": 2.5, "train/tokens_per_s": 100.0, "train/eta_s": 2.0},
        {"step": 30, "train/loss": 2.0, "train/tokens_per_s": 101.0, "train/eta_s": 0.0},
    ],
    sessions=[session(1)],
)


@pytest.mark.fast
def test_the_same_run():
    found = differences.between(ONE, dataclasses.replace(ONE, path=epath.Path("runs/b")))
    assert list(found) == ["config", "data", "code", "result", "speed"]
    assert not any(found.values())
    assert differences.text(found).splitlines()[0] == "config: no difference"


@pytest.mark.fast
def test_every_block_says_what_differs():
    other = Workdir(
        path=epath.Path("runs/b"),
        config={"train": {"num_steps": 0, "num_tokens": 40960}, "seed": 0},
        derived={"num_params": 9, "data.train": {"rows": 90, "tokens": 6400, "fingerprint": "0" * 64}},
        provenance={"train.num_steps": "command line", "train.num_tokens": "command line", "seed": "file"},
        metrics=[
            {"step": 10, "train/loss": 3.0, "val/loss": math.nan, "train/tokens_per_s": 50.0, "train/eta_s": 50.0},
            {"step": 20, "train/loss": math.nan, "val/loss": 1.5, "val/accuracy": 0.5},
        ],
        sessions=[session(1), session(2, jax="0.10.3")],
    )
    found = differences.between(ONE, other)
    table = {
        kind: [tuple(filter(None, dataclasses.astuple(difference))) for difference in block]
        for kind, block in found.items()
    }
    assert table == {
        "config": [
            ("train.num_steps", "40 (file)", "0 (command line)"),
            ("train.num_tokens", "0 (default)", "40960 (command line)"),
        ],
        "data": [("data.train.fingerprint", HASH[:12], "0" * 12), ("data.train.rows", "100", "90")],
        "code": [("versions.jax", "0.10.2", "0.10.2, then 0.10.3")],
        "result": [
            ("step", "30", "20", "-10"),
            ("train/loss", "2", "nan", "+nan"),
            ("val/loss", "2.5", "1.5", "-1"),
            ("best val/loss", "2", "1.5", "-0.5"),
            ("val/accuracy", "-", "0.5"),
        ],
        "speed": [("median train/tokens_per_s", "100", "50", "-50")],
    }
    text = differences.text(found)
    assert "  train.num_steps   40 (file)    0 (command line)\n" in text
    assert text.count("\n") == 15  # five titles and eleven rows


@pytest.mark.fast
def test_runs_without_a_record_of_where_they_come_from():
    old = dataclasses.replace(ONE, provenance={}, sessions=[], config={"seed": 1})
    found = differences.between(old, ONE)
    assert differences.Difference("seed", "1", "0 (file)") in found["config"]
    assert differences.Difference("count", "-", "8") in found["code"]
