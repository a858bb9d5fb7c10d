"""A run of images, as a user starts it: batch norm, augmentation, mixing and a test split, killed and resumed."""

import json
import pathlib
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from train import config_flags, experiment, feeds, spec
from train.checkpoint import Checkpoint, Checkpoints

ROOT = pathlib.Path(__file__).parents[1]
LINE = "random_crop(28, 2)|flip_lr|rotate(10)|normalize(0.3, 0.35)|batch|mixup(0.2)|cutmix(1.0)"
TINY = f"--config={ROOT}/configs/cnn_fashion.py:tiny"


def start(workdir, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "train", TINY, f"--workdir={workdir}", "--config.checkpoint.every=2"]
    command += [f"--config.data.transforms={LINE}", "--config.log.every=1", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def end(process: subprocess.Popen) -> str:
    said = process.communicate(timeout=240)[0]
    assert process.returncode == 0, said
    return said


def lines(workdir, *keys: str) -> list[dict]:
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{key: row[key] for key in ("step", *keys) if key in row} for row in rows]


def state_at(workdir, step: int):
    engine = experiment.engine(spec.read(json.loads((workdir / "config.json").read_text())["config"]), jax.devices())
    with Checkpoints(workdir / "checkpoints", Checkpoint()) as checkpoints:
        parts = {name: engine.abstract_state[name] for name in ("params", "stats", "opt_state")}
        return {
            name: jax.device_get(checkpoints.restore_part(part, part=name, step=step).state)
            for name, part in parts.items()
        }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("images") / "run"
    return workdir, end(start(workdir))


def test_a_run_leaves_what_it_promises(undisturbed):
    workdir, said = undisturbed
    assert "train: 1" in said
    assert "examples of a class" in said or "of a class" in said
    last = lines(workdir, "test/accuracy", "test/loss", "test/auc_macro", "test/f1_macro", "val/accuracy")[-1]
    assert last["step"] == 20
    assert len(last) == 6
    for name in ("val", "test"):
        found = json.loads((workdir / "evaluations" / f"{name}.json").read_text())
        num_rows = json.loads((workdir / "config.json").read_text())["derived"][f"data.{name}"]["rows"]
        assert np.sum(found["confusion"]) == num_rows
        right = np.trace(np.array(found["confusion"])) / num_rows
        assert right == pytest.approx(found["metrics"]["accuracy"])
    mistakes = found["mistakes"]
    assert mistakes
    assert all((workdir / mistake["picture"]).is_file() for mistake in mistakes)
    page = (workdir / "report" / "index.html").read_text()
    assert "Confusion" in page


def test_kill_9_changes_nothing(undisturbed, tmp_path):
    workdir = tmp_path / "run"
    for step in (4, 12):
        process = start(workdir)
        until = time.monotonic() + 120
        while not (workdir / "checkpoints" / str(step) / "commit_success.txt").exists() and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        process.kill()
        process.communicate()
    assert "going on from step" in end(start(workdir))
    jax.tree.map(np.testing.assert_array_equal, state_at(workdir, 20), state_at(undisturbed[0], 20))
    keys = ("train/loss", "train/grad_norm", "val/loss", "test/loss", "test/accuracy")
    assert lines(workdir, *keys) == lines(undisturbed[0], *keys)


def test_workers_change_nothing(tmp_path):
    batches = []
    for workers in (0, 2):
        config = spec.complete(config_flags.load(TINY.removeprefix("--config=")))
        config["data"] |= {"transforms": LINE, "workers": workers, "cache": str(tmp_path)}
        engine = experiment.engine(run := spec.read(config), jax.devices())
        found = feeds.prepare(run, progress=lambda *_: None).train_batches(engine.mesh, start=160)
        batches.append(jax.device_get([next(found) for _ in range(3)]))
        found.close()
    jax.tree.map(np.testing.assert_array_equal, *batches)
    assert (batches[0][0]["inputs"] != batches[0][1]["inputs"]).any()


@pytest.mark.parametrize("shape", [(8, 1, 1), (2, 2, 2)])
def test_every_mesh_trains_alike(shape, tmp_path):
    """Batch norm's statistics, mixing and dropout too. In evaluation every row counts once."""
    found = []
    for sizes in ((1, 1, 1), shape):
        config = spec.complete(config_flags.load(TINY.removeprefix("--config=")))
        config["data"] |= {"transforms": LINE, "cache": str(tmp_path)}
        config["mesh"] = dict(zip(("data", "fsdp", "tensor"), sizes, strict=True))
        run = spec.read(config)
        engine = experiment.engine(run, jax.devices()[: int(np.prod(sizes))])
        feed = feeds.prepare(run, progress=lambda *_: None)
        with jax.set_mesh(engine.mesh):
            state = engine.fresh_state()
            batches = feed.train_batches(engine.mesh, start=0)
            reports = []
            for _ in range(3):
                state, report = engine.train_step(state, next(batches), {})
                reports.append(jax.device_get(report.grad_norm))
            batches.close()
            evaluated = [
                engine.eval_step(state["params"], state["stats"], batch, {})
                for batch in feed.eval_batches(engine.mesh, run.eval["val"])
            ]
            rows = jax.device_get([part.rows for part in evaluated])
        found.append((reports, jax.device_get(state["stats"]), np.concatenate([each["scores"] for each in rows])))
    (reports, stats, scores), (other_reports, other_stats, other_scores) = found
    np.testing.assert_allclose(other_reports, reports, rtol=1e-4)
    # Adam's first steps are nearly signs of gradients, so that six layers carry a last bit on.
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-3), stats, other_stats)
    np.testing.assert_allclose(other_scores, scores, atol=2e-3)
