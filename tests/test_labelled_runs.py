"""Folders of a user's own files, trained on from the command line: what is bad is told, groups are held out."""

import io
import json
import pathlib
import subprocess
import sys

import made_sources
import numpy as np
import pytest
from PIL import Image

from train import session

SPEAKERS = ("ana", "ben", "theo")


def _jpeg(i: int) -> bytes:
    """Dark where i is even, else bright; 12 x 14 pixels or 14 x 12."""
    shape = (12, 14, 3) if i % 3 else (14, 12, 3)
    levels = np.random.default_rng(i).integers(0, 100, shape) + 150 * (i % 2)
    packed = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(packed, "JPEG")
    return packed.getvalue()


@pytest.fixture
def photos(tmp_path) -> list[str]:
    """40 pictures, one of them cut off. -> the command line of a run on them."""
    for i in range(40):
        folder = tmp_path / "photos" / ("dark", "bright")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        raw = _jpeg(i)
        (folder / f"{i}.jpg").write_bytes(raw[: len(raw) // 2] if i == 7 else raw)
    return [
        "--config=configs/cnn_fashion.py:tiny",
        f"--workdir={tmp_path / 'run'}",
        "--config.data.source=folder",
        f"--config.data.files={tmp_path}/photos/*/*.jpg",
        f"--config.data.cache={tmp_path / 'cache'}",
        "--config.data.num_classes=2",
        "--config.data.shape=(8, 8, 3)",
        "--config.data.transforms=decode|resize(10)|random_crop(8)|flip_lr|normalize|batch|mixup(0.2)",
        "--config.data.eval_transforms=decode|resize(8)|central_crop(8)|normalize",
        "--config.model.channels=(8, 8)",
        "--config.train.num_steps=10",
    ]


def _derived(workdir: pathlib.Path) -> dict:
    return json.loads((workdir / "config.json").read_text())["derived"]


def test_a_folder_of_pictures(photos, tmp_path, capsys):
    assert session.main(photos) == 2
    refused = capsys.readouterr().err
    assert "data.max_bad: expected at most 1% of the records to be bad, got 1 of 40: bright/7.jpg: trunc" in refused
    assert refused.count("\n") == 1
    assert not (tmp_path / "run").exists()

    assert session.main([*photos, "--config.data.max_bad=0.05"]) == 0
    derived = _derived(tmp_path / "run")
    assert derived["data.bad"]["num_bad"] == 1
    assert derived["data.bad"]["bad"][0].startswith("bright/7.jpg: truncated picture")
    assert derived["classes"] == ["bright", "dark"]
    assert sum(derived[f"data.{split}"]["rows"] for split in ("train", "val", "test")) == 39
    told = "1 of 40 records cannot be read and are left out; the first: bright/7.jpg: truncated picture"
    log = (tmp_path / "run/run.log").read_text()
    assert told in log
    assert "data.num_examples is set, but data.source='folder' does not read it" in log
    found = json.loads((tmp_path / "run/evaluations/test.json").read_text())
    assert found["classes"] == ["bright", "dark"]
    assert sum(map(sum, found["confusion"])) == derived["data.test"]["rows"]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        (
            "--config.data.transforms=decode|resize(8)|random_crop(30)|normalize",
            "data.transforms: RandomCrop(size=30, padding=0): expected pictures of 30 or more pixels a side, got 8 x",
        ),
        (
            "--config.eval.val.transforms=decode|resize(8)|central_crop(30)|normalize",
            "eval.val.transforms: CentralCrop(size=30): expected pictures of 30 or more pixels a side",
        ),
        ("--config.data.val_split=other", "data.val_split='other': expected a part of the source, one of 'train', got"),
    ],
)
def test_what_does_not_suit_is_told_by_its_field(photos, capsys, argument, says):
    assert session.main([*photos, "--config.data.max_bad=0.05", argument]) == 2
    assert says in capsys.readouterr().err


def test_a_folder_of_sound_with_a_speaker_held_out(tmp_path):
    (tmp_path / "clips").mkdir()
    for i in range(36):
        name = f"{('low', 'high')[i % 2]}_{SPEAKERS[i % 3]}_{i}.wav"
        rate = 16000 if i == 4 else 8000
        raw = made_sources.wav(i + 100 * (i % 2), sample_rate=rate, num_samples=1500 + 40 * i)
        (tmp_path / "clips" / name).write_bytes(raw)
    line = [
        "--config=configs/audio_digits.py:tiny",
        f"--workdir={tmp_path / 'run'}",
        "--config.data.source=folder",
        f"--config.data.files={tmp_path}/clips/*.wav",
        "--config.data.pattern={label}_{group}_{number}.wav",
        f"--config.data.cache={tmp_path / 'cache'}",
        "--config.data.num_classes=2",
        "--config.data.max_bad=0.1",
        "--config.data.test_split=groups(theo)",
        "--config.data.train_split=train[:70%]",
        "--config.data.val_split=train[70%:]",
        "--config.data.transforms=decode|crop_pad(0.25)|noise(10, 40)|log_mel(16)|normalize_each",
        "--config.data.eval_transforms=decode|crop_pad(0.25)|log_mel(16)|normalize_each",
        "--config.model.channels=(8, 8)",
        "--config.train.num_steps=10",
    ]
    assert session.main(line) == 0
    derived = _derived(tmp_path / "run")
    assert derived["data.bad"]["bad"] == ["low_ben_4.wav: wrong sample rate: expected 8000, got 16000"]
    assert derived["classes"] == ["high", "low"]
    assert derived["data.test"]["rows"] == 12, "theo's, and nobody else's"
    assert derived["data.train"]["rows"] + derived["data.val"]["rows"] == 23
    found = json.loads((tmp_path / "run/evaluations/test.json").read_text())
    assert all("_theo_" in mistake["name"] for mistake in found["mistakes"])


def test_loader_processes_change_no_number(photos, tmp_path):
    """Training and evaluation alike read and decode in as many processes as `data.workers` says."""
    results = []
    for workers in (0, 2):
        workdir = tmp_path / f"run{workers}"
        options = [each for each in photos if not each.startswith("--workdir")]
        options += [f"--workdir={workdir}", f"--config.data.workers={workers}", "--config.data.max_bad=0.05"]
        assert session.main(options) == 0
        lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
        results.append([(line["step"], key, line[key]) for line in lines for key in sorted(line) if "/loss" in key])
    assert results[0] == results[1]
    assert any(key == "test/loss" for _, key, _ in results[0])


@pytest.mark.slow
def test_eight_devices_of_one_process_do_not_lock_each_other_out(tmp_path, monkeypatch):
    """Many factorizations or many collectives, ready at a time, fill the threads that they wait for."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
    mesh = [f"--config.mesh.{axis}=2" for axis in ("data", "fsdp", "tensor")]
    layers = ["--config.model.kind=gru", "--config.model.bidirectional=True", "--config.model.num_layers=3"]
    command = ["-m", "train", "--config=configs/lstm_fashion.py:tiny", f"--workdir={tmp_path / 'run'}", *mesh, *layers]
    subprocess.run([sys.executable, *command, "--config.train.num_epochs=40"], timeout=500, check=True)
    assert (tmp_path / "run" / "report" / "index.html").exists()
