"""Apache Beam has an environment of its own, so all of it runs in processes of that one."""

import json
import os
import pathlib
import subprocess
import sys

import made_corpus
import pytest
from made_tasks import Sending

ROOT = pathlib.Path(__file__).parents[4]
PYTHON = ROOT / ".venv-beam" / "bin" / "python"
EXCHANGE = """
import pathlib, sys
from made_tasks import Sending
from input_pipeline.clean.engine.beam import Beam
folder = pathlib.Path(sys.argv[1])
with Beam() as engine:
    engine.exchange("by divisor", Sending(folder), 12, folder / "sent")
    Sending(folder).path(2).unlink()
    engine.exchange("by divisor", Sending(folder), 12, folder / "sent")
    try:
        engine.exchange("by divisor", Sending(folder / "s", fault=5), 12, folder / "sent")
    except Exception as error:
        print(type(error).__name__, error, sep="|")
"""
RUN = """
import pathlib, sys
from made_tasks import Writing
from input_pipeline.clean.engine.beam import Beam
with Beam(sys.argv[2:]) as engine:
    try:
        engine.run("writing", Writing(pathlib.Path(sys.argv[1]), {5: "mistake"}), 12)
    except Exception as error:
        print(type(error).__name__, error, sep="|")
"""


@pytest.fixture(scope="module")
def python():
    if not PYTHON.exists():
        pytest.skip("no .venv-beam; write make setup-beam")
    return PYTHON


def run(python, *arguments):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    found = subprocess.run([python, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=900)
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout


def tree(folder):
    """What a person gets, byte by byte, but for the versions of packages, which two environments do not share."""
    names = ("data", "ledger")
    files = {str(path.relative_to(folder)): path.read_bytes() for name in names for path in (folder / name).iterdir()}
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest.pop("versions")["pyarrow"]
    return files, manifest


def test_the_dataset_is_that_of_the_local_engine(python, tmp_path):
    made_corpus.write(tmp_path / "raw")
    command = [
        "scripts/clean_data.py",
        "--config=configs/clean_text.py",
        f"--input={tmp_path}/raw/*.jsonl",
        "--config.steps=fix_text|mask_pii",
        "--config.block_records=20",
        "--config.dedup.substring_words=40",
        "--config.split.train=0.8",
        "--config.split.val=0.2",
        "--config.split.test=0.0",
        "--config.output.format=array_record",
        f"--config.cache={tmp_path}/cache",
    ]
    run(sys.executable, *command, f"--output={tmp_path}/local", "--workers=0")
    run(python, *command, f"--output={tmp_path}/beam", "--engine=beam")
    (files, manifest), (of_local, manifest_of_local) = tree(tmp_path / "beam"), tree(tmp_path / "local")
    assert any("array_record" in name for name in files)
    assert files == of_local
    assert manifest == manifest_of_local
    assert manifest["splits"].keys() == {"train", "val"}


def test_an_exchange_brings_everything_in_the_order_of_tasks(python, tmp_path):
    told = run(python, "-c", EXCHANGE, str(tmp_path))
    assert Sending(tmp_path).found() == Sending(tmp_path).expected(12)
    assert not (tmp_path / "sent").exists()
    assert told.startswith("TaskFailed|Unpicklable: odd thing at made_tasks.py:")
    assert told.endswith("(in by divisor, task 5)\n")


@pytest.mark.parametrize("options", [[], ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]])
def test_what_goes_wrong_is_one_line_with_what_was_read(python, tmp_path, options):
    told = run(python, "-c", RUN, str(tmp_path), *options)
    assert told == "TaskFailed|steps: expected none (in mails/5.txt and 1 more)\n"


def test_without_beam_it_says_what_to_do(tmp_path):
    from input_pipeline.clean.engine.beam import Beam

    with pytest.raises(ValueError, match=r"make setup-beam, and start this with .venv-beam/bin/python"):
        Beam()
