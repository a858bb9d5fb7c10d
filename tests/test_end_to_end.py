"""Whole runs, as a user starts them: trained, interrupted, killed, resumed, finished; alone and in two processes."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import record_files
import tiny_runs

from train import session
from train.checkpoint import Checkpoint, Checkpoints
from train.evaluate import Evaluator
from train.reports import workdir as workdirs

ROOT = pathlib.Path(__file__).parents[1]
NUM_STEPS = 40


def command(workdir, *arguments: str, config: str = "lm_tiny") -> list[str]:
    # Three layers, scanned: one program that all of these runs share through the compilation cache.
    return [
        *(sys.executable, "-m", "train", f"--config=configs/{config}.py:tiny", f"--workdir={workdir}"),
        *("--config.model.num_layers=3", "--config.model.layer_loop=scan", "--config.log.every=5"),
        *arguments,
    ]


def run(workdir, *arguments: str, config: str = "lm_tiny", **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(workdir, *arguments, config=config),
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=env(**environment),
        check=False,
    )


def start(workdir, *arguments: str, config: str = "lm_tiny", **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        command(workdir, *arguments, config=config),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env(**environment),
    )


def env(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", **changes}


def metrics(workdir) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def final_params(workdir):
    import jax

    with Checkpoints(workdir / "checkpoints", Checkpoint()) as checkpoints:
        engine = tiny_runs.engine(num_devices=8, model__num_layers=3, data__seq_len=64)
        return jax.device_get(checkpoints.restore_part(engine.abstract_state["params"], step=NUM_STEPS).state)


def assert_same_run(one, other):
    """The same parameters, bit for bit, and the same numbers in every line, without a gap or a repeat."""
    import jax

    jax.tree.map(np.testing.assert_array_equal, final_params(one), final_params(other))
    numbers = lambda workdir: [
        {key: line[key] for key in sorted(line) if key in ("step", "train/loss", "train/grad_norm", "val/loss")}
        for line in metrics(workdir)
    ]
    assert numbers(one) == numbers(other)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run that nobody touched, and what it said."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    done = run(workdir)
    assert done.returncode == 0, done.stderr
    return workdir, done.stdout


def test_a_run_leaves_what_it_promises(undisturbed):
    workdir, said = undisturbed
    lines = metrics(workdir)
    assert [line["step"] for line in lines] == list(range(5, NUM_STEPS + 1, 5))
    assert lines[-1]["train/loss"] < lines[0]["train/loss"] - 0.5
    assert [line["step"] for line in lines if "val/loss" in line] == [20, 40]
    last = lines[-1]
    assert last["val/perplexity"] == pytest.approx(np.exp(last["val/loss"]))
    facts = json.loads((workdir / "config.json").read_text())["derived"]["data.val"]
    bits = last["val/loss"] / np.log(2) * facts["tokens"] / facts["bytes"]
    assert last["val/bits_per_byte"] == pytest.approx(bits)
    timings = ("train/tokens_per_s", "train/data_wait_fraction", "train/step_time_s", "train/host_peak_bytes")
    assert all(line[name] > 0 for line in lines for name in timings)
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == ["30", "40"]
    assert (workdir / "report" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert list(workdir.glob("events.out.tfevents.*"))
    [sample] = [json.loads(line) for line in (workdir / "samples.jsonl").read_text().splitlines()]
    assert (sample["step"], sample["prompt"], sample["temperature"]) == (NUM_STEPS, "def ", 0.8)
    assert sample["ended"] in ("length", "end of document")
    for promised in ("params/layers/mlp/up/kernel", "a sample at temperature 0.8", "loss.png", "step 40/40"):
        assert promised in said
        assert promised in (workdir / "run.log").read_text() or promised == "loss.png"


def test_a_finished_run_says_so_and_makes_up_for_its_samples(undisturbed, tmp_path):
    """Killed after its last step it left none; after that they are there once."""
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed[0], workdir)
    (workdir / "samples.jsonl").unlink()
    for _ in range(2):
        done = run(workdir)
        assert (done.returncode, done.stderr) == (0, "")
        assert "finished already: step 40 of 40" in done.stdout
        for name in ("metrics.jsonl", "samples.jsonl"):
            assert (workdir / name).read_bytes() == (undisturbed[0] / name).read_bytes()


def wait_for(path: pathlib.Path, process: subprocess.Popen, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until, f"no {path}"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_request_to_stop_is_obeyed_and_made_good(undisturbed, tmp_path, number):
    process = start(tmp_path / "run")
    wait_for(tmp_path / "run" / "checkpoints" / "10" / "commit_success.txt", process)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert f"{number.name}: saved step" in said
    assert "run the same line again to go on" in said
    done = run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stdout
    assert re.search(r"first step after [\d.]+ s: imports [\d.]+, .*compile [\d.]+, first step [\d.]+", done.stdout)
    assert_same_run(tmp_path / "run", undisturbed[0])


@pytest.mark.parametrize(
    ("seed", "num_kills"), [(0, 6), *(pytest.param(seed, 10, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)
def test_kill_9_at_random_moments_changes_nothing(undisturbed, tmp_path, seed, num_kills):
    """With a checkpoint on its way to disk after every second step."""
    chosen = random.Random(seed)
    workdir = tmp_path / "run"
    kills = 0
    while kills < num_kills:
        process = start(workdir, "--config.checkpoint.every=2", "--config.checkpoint.keep_last=3")
        steps_before = saved_steps(workdir)
        until = time.monotonic() + 120
        while saved_steps(workdir) == steps_before and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.005)
        time.sleep(chosen.uniform(0, 0.25))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
    assert kills >= 5, "the run ended before it was killed five times"
    done = run(workdir, "--config.checkpoint.every=2", "--config.checkpoint.keep_last=3")
    assert done.returncode == 0, done.stderr
    assert_same_run(workdir, undisturbed[0])


def test_a_mixture_that_was_killed_ends_as_if_it_had_not_been(tmp_path):
    """Two parts with transforms, in the middle of an epoch of each; the evaluations of one part and of all differ."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    done = run(straight, config="lm_mixture")
    assert done.returncode == 0, done.stderr
    assert "train, short: 76 rows of 64" in done.stdout
    process = start(killed, config="lm_mixture")
    wait_for(killed / "checkpoints" / "20" / "commit_success.txt", process)
    process.kill()
    process.communicate()
    done = run(killed, config="lm_mixture")
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stdout
    assert_same_run(straight, killed)
    last = metrics(killed)[-1]
    facts = json.loads((killed / "config.json").read_text())["derived"]
    assert facts["data.train"]["parts"]["short"]["share"] == 0.25
    for name, known in (("val", facts["data.val"]), ("val_short", facts["data.val"]["parts"]["short"])):
        bits = last[f"{name}/loss"] / np.log(2) * known["tokens"] / known["bytes"]
        assert last[f"{name}/bits_per_byte"] == pytest.approx(bits)
    assert last["val/loss"] != last["val_short/loss"]


def saved_steps(workdir) -> set[str]:
    folder = workdir / "checkpoints"
    return {path.parent.name for path in folder.glob("*/commit_success.txt")} if folder.exists() else set()


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(undisturbed, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed[0], workdir)
    data = max((workdir / "checkpoints" / "40" / "state").rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    done = run(workdir, "--config.train.num_steps=50")
    assert done.returncode == 0, done.stderr
    assert "checkpoint 40 is damaged" in done.stdout
    assert "going on from step 30" in done.stdout
    assert (workdir / "damaged_checkpoints" / "40").exists()
    assert [line["step"] for line in metrics(workdir)] == list(range(5, 51, 5))
    samples = (workdir / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in samples] == [50], "step 40 was left behind"


def test_going_on_says_what_changed_and_follows_the_new_config(undisturbed, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed[0], workdir)
    changes = ("--config.train.num_steps=45", "--config.optimizer.learning_rate=0.0")
    done = run(workdir, *changes)
    assert done.returncode == 0, done.stderr
    rate = tiny_runs.config()["optimizer"]["learning_rate"]
    assert f"changed since step 40: optimizer.learning_rate: {rate} -> 0.0" in done.stdout
    last = metrics(workdir)[-1]
    assert (last["step"], last["train/learning_rate"]) == (45, 0.0)


def test_other_data_in_the_same_workdir_is_refused(undisturbed, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed[0], workdir)
    done = run(workdir, "--config.train.num_steps=50", "--config.data.num_documents=65")
    assert done.returncode == 2
    assert "expected the data it was trained on" in done.stderr
    for name in ("config.json", "metrics.jsonl", "run.log"):
        assert (workdir / name).read_bytes() == (undisturbed[0] / name).read_bytes(), f"{name} was touched"


# The same run as the others, told otherwise: 0.41 epochs of 1,533 rows are 39.3 steps of 16 rows.
OTHER_UNITS = (
    *("--config.train.num_epochs=0.41", "--config.eval.val.every_tokens=2.048e4"),
    *("--config.log.every=0", "--config.log.every_examples=80", "--config.checkpoint.every_tokens=10240"),
)


def test_a_run_in_epochs_and_tokens_killed_and_resumed_is_the_run_in_steps(undisturbed, tmp_path):
    workdir = tmp_path / "run"
    process = start(workdir, *OTHER_UNITS)
    wait_for(workdir / "checkpoints" / "10" / "commit_success.txt", process)
    process.kill()
    process.communicate()
    done = run(workdir, *OTHER_UNITS)
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stdout
    assert "train.num_epochs=0.41 (command line) takes the place of train.num_steps=40 (argument)" in done.stdout
    assert_same_run(workdir, undisturbed[0])
    again = run(workdir, *OTHER_UNITS)
    assert (again.returncode, again.stderr) == (0, "")
    assert "finished already: step 40 of 40" in again.stdout
    check_record(workdir)
    check_differences(undisturbed[0], workdir)


def check_record(workdir):
    """config.json and sessions.jsonl say how long the run was, and how its sessions went."""
    found = workdirs.read(workdir)
    length = {"steps": 40, "tokens": 40 * 1024, "examples": 640, "epochs": pytest.approx(640 / 1533)}
    assert found.derived["durations"]["train.num_steps"] == length
    assert found.derived["durations"]["eval.val.every"]["steps"] == 20
    assert found.provenance["train.num_epochs"] == "command line"
    killed, last = found.sessions
    assert (killed["start_step"], killed["num_steps"], killed["overrides"]["train.num_epochs"]) == (0, 40, 0.41)
    assert not {"ended", "exit"} & killed.keys()
    assert (last["end_step"], last["exit"]) == (40, "done")
    assert last["start_step"] in range(10, 41, 10)
    assert last["started"] <= last["ended"]
    assert last["devices"] == {"kind": "cpu", "count": 8, "processes": 1}
    assert len(last["code"]["revision"]) == 40 or last["code"]["revision"] == "unknown"


def check_differences(one, other):
    """scripts/diff_runs.py: the config and the speed of the two differ, and nothing else."""

    done, same = diff_runs(one, other), diff_runs(one, one)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout
    assert re.search(r"train\.num_steps +40 \(argument\) +0 \(command line\)\n", said)
    assert re.search(r"train\.num_epochs +0\.0 \(default\) +0\.41 \(command line\)\n", said)
    assert re.search(r"median train/tokens_per_s +[\d.e+]+ +[\d.e+]+ +[+-]", said)
    for kind in ("data", "code", "result"):
        assert f"{kind}: no difference" in said
    assert (same.returncode, same.stdout) == (0, "no difference\n")


def diff_runs(*arguments) -> subprocess.CompletedProcess:
    line = [sys.executable, "scripts/diff_runs.py", *map(str, arguments)]
    here = env(PYTHONPATH=str(ROOT))
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env=here, check=False)


def test_what_diff_runs_refuses(tmp_path):
    for arguments, says in (
        ([], "expected two folders of runs, got 'none'"),
        (["--a=x", "y"], "expected two folders of runs, got '--a=x y'"),
        ([tmp_path, tmp_path], "expected a run's folder with config.json, got none"),
    ):
        done = diff_runs(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_test_split_is_read_at_one_end(undisturbed, tmp_path, monkeypatch, capsys):
    """Also where the run was killed at the reading: making it longer would be a second one."""
    workdir, config = tmp_path / "run", tmp_path / "tested.json"
    shutil.copytree(undisturbed[0], workdir)
    tested = workdirs.read(workdir).config
    tested["eval"]["final"] = {"split": "test"}
    tested["data"] |= {"val_split": "train[80%:90%]", "test_split": "train[90%:]"}
    config.write_text(json.dumps({"config": tested}))
    go = lambda *arguments: session.main([f"--config={config}", f"--workdir={workdir}", *arguments])

    def interrupt(_evaluator, _params):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "__call__", interrupt)
        assert go("--config.train.num_steps=41") == 75
    interrupted = workdirs.read_sessions(workdir)[-1]
    assert (interrupted["test_read_step"], interrupted["exit"]) == (41, "KeyboardInterrupt")
    before = (workdir / "run.log").read_bytes()
    capsys.readouterr()
    assert go("--config.train.num_steps=42") == 2
    assert "train.num_steps: expected 41, where the test split has been read, got 42" in capsys.readouterr().err
    assert (workdir / "run.log").read_bytes() == before
    assert go("--config.train.num_steps=41") == 0
    assert metrics(workdir)[-1]["final/loss"] > 0
    assert go("--config.train.num_steps=42", "--config.eval.final.split=val") == 0


def test_a_finished_run_whose_record_is_gone_is_not_finished(undisturbed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed[0], workdir)
    arguments = command(workdir)[3:]
    assert session.main(arguments) == 0
    assert "finished already: step 40 of 40" in capsys.readouterr().out
    (workdir / "checkpoints" / "40" / "_CHECKPOINT_METADATA").unlink()
    assert session.main(arguments) == 0
    said = capsys.readouterr().out
    assert "checkpoint 40 is damaged" in said
    assert "going on from step 30 of 40" in said
    assert_same_run(workdir, undisturbed[0])


def test_config_json_runs_again_on_another_mesh(undisturbed, tmp_path):
    """The same run from its own record, on a mesh of another shape: the same numbers to rounding."""
    workdir, _ = undisturbed
    arguments = [
        *(sys.executable, "-m", "train", f"--config={workdir / 'config.json'}", f"--workdir={tmp_path / 'run'}"),
        *("--config.mesh.data=2", "--config.mesh.fsdp=2", "--config.mesh.tensor=2"),
    ]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, env=env(), check=False)
    assert done.returncode == 0, done.stderr
    expected = [line["train/loss"] for line in metrics(workdir)]
    np.testing.assert_allclose([line["train/loss"] for line in metrics(tmp_path / "run")], expected, atol=2e-4)


def start_two(workdir) -> list[subprocess.Popen]:
    """Four devices each, joined by gloo."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=4")
    place = dict(JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{port}", JAX_NUM_PROCESSES="2", XLA_FLAGS=flags)
    return [start(workdir, **place, JAX_PROCESS_ID=str(index)) for index in range(2)]


def end_two(processes: list[subprocess.Popen], exit_code: int) -> list[str]:
    """-> what each said, once both ended with this code."""
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [exit_code] * 2, said
    return said


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """A run of two processes that nobody touched."""
    workdir = tmp_path_factory.mktemp("two_processes") / "run"
    end_two(start_two(workdir), 0)
    return workdir


def test_two_processes_give_what_one_gives(undisturbed, two_processes):
    """The same losses, the same exact evaluation, one set of files."""
    one, two = metrics(undisturbed[0]), metrics(two_processes)
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for name in ("train/loss", "val/loss", "val/accuracy"):
        values = [[line[name] for line in lines if name in line] for lines in (one, two)]
        np.testing.assert_allclose(values[1], values[0], atol=1e-5, err_msg=name)


def test_two_processes_stop_together_when_one_is_told(two_processes, tmp_path):
    """As a pod is preempted: SIGTERM reaches one process, first the second and then the first; both save one step."""
    workdir, stopped = tmp_path / "run", 0
    for told, awaited in ((1, 10), (0, 20)):
        processes = start_two(workdir)
        wait_for(workdir / "checkpoints" / f"{awaited}" / "commit_success.txt", processes[told])
        processes[told].send_signal(signal.SIGTERM)
        said = end_two(processes, 75)
        assert f"going on from step {stopped}" in said[0] or not stopped
        stopped = max(map(int, saved_steps(workdir)))
        assert awaited <= stopped < NUM_STEPS
        assert f"preemption notice: saved step {stopped} of {NUM_STEPS}" in said[0]
    [resumed, _] = end_two(start_two(workdir), 0)
    assert f"going on from step {stopped} of {NUM_STEPS}" in resumed
    assert_same_run(workdir, two_processes)


def test_a_run_whose_numbers_break_ends_with_a_reason(tmp_path):
    done = run(tmp_path / "run", "--config.optimizer.learning_rate=1e30", "--config.guard.max_skipped=3")
    assert done.returncode == 3
    assert "is not finite; skipped (1 so far)" in done.stdout
    assert "write a smaller optimizer.learning_rate" in done.stderr
    assert re.match(r"NotFinite: 4 steps in a row were not finite", workdirs.read_sessions(tmp_path / "run")[0]["exit"])


def test_interrupted_while_preparing(monkeypatch, tmp_path, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(session.feeds, "prepare", interrupt)
    assert session.main(["--config=configs/lm_tiny.py:tiny", f"--workdir={tmp_path}"]) == 75
    assert "run the same line again" in capsys.readouterr().err


def test_a_profile_in_the_middle_and_none_after_a_resume(tmp_path):
    """The evaluation falls among the steps that are traced, and none of its operations are counted."""
    arguments = ("--config.log.profile=5:8", "--config.eval.val.every=6")
    done = run(tmp_path / "run", "--config.train.num_steps=10", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "steps 5 to 7 traced: " in done.stdout
    operations = tmp_path / "run" / "profile" / "ops.json"
    kept = json.loads(operations.read_text())
    assert len(kept["operations"]) == 10
    assert any("models/layers/" in each["source"] for each in kept["operations"])
    assert 0.5 < kept["covered"] <= 1
    first, second = metrics(tmp_path / "run")[0], next(m for m in metrics(tmp_path / "run") if m["step"] == 10)
    assert second["train/profile_s"] > 0
    assert first["train/model_flops_per_s"] == pytest.approx(
        first["train/tokens_per_s"]
        * json.loads((tmp_path / "run" / "config.json").read_text())["derived"]["train_flops_per_token"]
    )
    assert "train/mfu" not in first, "nobody knows the peak of a CPU"
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert kept["operations"][0]["name"] in page
    before = operations.read_bytes()
    done = run(tmp_path / "run", "--config.train.num_steps=12", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "traced" not in done.stdout
    assert operations.read_bytes() == before


def test_a_sample_of_a_finished_run(undisturbed):
    def sample(*arguments: str) -> str:
        arguments = ("scripts/sample.py", f"--workdir={undisturbed[0]}", "--num_tokens=20", *arguments)
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env=env(PYTHONPATH=str(ROOT)),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    greedy = sample("--prompt=ab", "--temperature=0")
    assert greedy == sample("--prompt=ab", "--temperature=0", "--seed=5", "--step=40")
    assert greedy.startswith("ab")
    assert len(greedy) > 10
    assert sample("--seed=1") != sample("--seed=2")


def test_records_that_hold_no_text_are_told_of(tmp_path):
    texts = [None if i in (7, 40) else f"story {i}, and what came of it. " * 20 for i in range(60)]
    [files] = record_files.write("jsonl", tmp_path / "corpus", texts)["files"]
    arguments = ("--config.data.source=jsonl", f"--config.data.files={files}", "--config.train.num_steps=2")
    refused = run(tmp_path / "run", *arguments)
    assert refused.returncode == 2
    assert (
        "data.max_bad: expected at most 1% of the records to be bad, got 2 of 60: a.jsonl#000000007" in refused.stderr
    )
    done = run(tmp_path / "run", *arguments, "--config.data.max_bad=0.05")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("records hold no text and count for nothing; the first: ") >= 1
    derived = json.loads((tmp_path / "run" / "config.json").read_text())["derived"]
    found = [derived["data.train"], derived["data.val"]]
    assert sum(part["num_bad"] for part in found) == 2
    named = [name.split(": ")[0] for part in found for name in part["bad"]]
    assert sorted(named) == ["a.jsonl#000000007", "b.jsonl#000000010"]
    assert all("not JSON" in name for part in found for name in part["bad"])
