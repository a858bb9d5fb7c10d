"""The real step compiles for TPUs that are not there."""

import os
import subprocess
import sys

import pytest
import tiny_runs as runs

from train import plan as plans
from train import spec

ROOT = runs.CONFIGS.parent


def plan(*arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"} | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "scripts/plan_tpu.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "mesh",
    [
        ["--config.train.num_epochs=2"],
        ["--config.mesh.data=2", "--config.mesh.fsdp=4", "--config.mesh.tensor=2", "--config.model.layer_loop=scan"],
    ],
    ids=["data", "data-fsdp-tensor"],
)
def test_lm_tiny_compiles_for_sixteen_chips(mesh):
    pytest.importorskip("libtpu", reason="make setup-plan installs it")
    done = plan("--config=configs/lm_tiny.py", "--topology=v5e:4x4", *mesh)
    assert done.returncode == 0, done.stderr
    assert "on v5e:4x4 (16 devices): compiled in" in done.stdout
    assert "MiB at the peak" in done.stdout


@pytest.mark.fast
def test_a_run_in_epochs_is_planned_without_data():
    assert plans.assumptions(spec.read(runs.config())) == []
    run = spec.read(runs.config(train__num_steps=0, train__num_epochs=3.0))
    (line,) = plans.assumptions(run)
    assert line.startswith("train.num_steps is in epochs, and without data an epoch is taken to have 1,000,000 rows")


def test_an_unknown_slice():
    pytest.importorskip("libtpu", reason="make setup-plan installs it")
    done = plan("--config=configs/lm_tiny.py", "--topology=v5litepod:4x4")
    assert done.returncode == 2
    assert "error: --topology: expected a slice such as v5e:4x4" in done.stderr


def test_a_batch_that_the_slice_does_not_divide():
    pytest.importorskip("libtpu", reason="make setup-plan installs it")
    done = plan("--config=configs/lm_shakespeare.py", "--topology=v5e:4x4")
    assert done.returncode == 2
    assert "error: train.batch_size: expected a multiple of 16" in done.stderr
