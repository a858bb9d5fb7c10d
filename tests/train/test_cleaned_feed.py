"""A run that cleans: what it says, what its config holds, and what runs again."""

import json
import pathlib

import made_sources
import pytest

from train import command_line, spec
from train.feeds import prepare

CONFIG = pathlib.Path(__file__).parents[2] / "configs" / "lm_from_raw.py"
pytestmark = pytest.mark.fast


def read(path, tmp_path, *overrides):
    cache = f"--config.data.cache={tmp_path / 'cache'}"
    return command_line.command([f"--config={path}", cache, *overrides], workdir="").config


def opened(config):
    """-> the feed, and the labels of progress."""
    heard = []
    feed = prepare(spec.read(config), progress=lambda label, done, total: heard.append(label))
    return feed, set(heard)


def stages(tmp_path):
    return {path.name.rsplit("-", 1)[0] for path in (tmp_path / "cache/cleaned/stages").iterdir()}


def test_it_says_what_was_left_out_and_where_that_stands(tmp_path):
    feed, _ = opened(read(f"{CONFIG}:tiny", tmp_path))
    first, *splits = feed.lines()
    folder = pathlib.Path(feed.facts()["cleaned"]["data"]["folder"])
    account = feed.facts()["cleaned"]["data"]
    left_out = account["records_in"] - account["records_out"]
    assert first == f"cleaned: {left_out} of {account['records_in']} records are left out, see {folder}/ledger"
    assert [line.split(":")[0] for line in splits] == ["test", "train", "val"]
    rules = {
        json.loads(line)["rule"]
        for path in (folder / "ledger").iterdir()
        for line in path.read_text("utf-8").splitlines()
    }
    assert {"collect.binary", "exact", "near", "mask_pii.found", "fix_text.lines"} <= rules
    documents = sum(feed.facts()[f"data.{split}"]["documents"] for split in ("train", "val", "test"))
    assert documents == account["records_out"]


def test_only_what_changed_runs_again(tmp_path):
    _, heard = opened(read(f"{CONFIG}:tiny", tmp_path))
    assert {"reading files", "cleaning", "writing", "tokenizing (bytes)"} <= heard
    _, heard = opened(read(f"{CONFIG}:tiny", tmp_path))
    assert heard <= {"hashing files"}
    _, heard = opened(read(f"{CONFIG}:tiny", tmp_path, "--config.data.tokenizer=bpe:300"))
    assert "tokenizing (bytes)" in heard
    assert not heard & {"reading files", "cleaning", "writing"}
    _, heard = opened(read(f"{CONFIG}:tiny", tmp_path, "--config.data.clean.dedup.threshold=0.5"))
    assert "reading files" not in heard
    assert "cleaning" not in heard
    assert "writing" in heard


def test_the_config_of_a_run_is_a_config_again(tmp_path):
    config = read(f"{CONFIG}:tiny", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"config": config}))
    again = read(tmp_path / "config.json", tmp_path)
    assert spec.read(again) == spec.read(config)
    assert config["data"]["clean"]["dedup"]["threshold"] == 0.8
    changed = read(tmp_path / "config.json", tmp_path, "--config.data.clean.split.val=0.25")
    assert spec.read(changed).data.clean.split.val == 0.25


def test_a_config_that_does_not_clean_has_no_such_section(tmp_path):
    tiny = CONFIG.with_name("lm_tiny.py")
    assert "clean" not in read(f"{tiny}:tiny", tmp_path)["data"]
    with pytest.raises(ValueError, match=r"data.clean"):
        read(f"{tiny}:tiny", tmp_path, "--config.data.clean.dedup.threshold=0.5")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.clean.steps=gofer_quality", "data.clean.steps: .*gofer_quality"),
        (
            "data.clean.dedup.threshold=2.0",
            "data.clean.dedup.threshold: expected a similarity above 0, at most 1, got 2.0",
        ),
        ("data.clean.dedup.treshold=0.5", "did you mean .*threshold"),
        ("data.val_split=train[90%:]", "data.val_split: expected a split that the cleaning made"),
        ("data.clean.modality=tabel", "data.clean.modality: expected one of .*; write 'table'"),
    ],
)
def test_a_mistake_is_one_line(override, expected, tmp_path):
    with pytest.raises(ValueError, match=expected) as raised:
        spec.read(read(f"{CONFIG}:tiny", tmp_path, f"--config.{override}"))
    assert "\n" not in str(raised.value)


def test_labelled_examples_say_it_too(tmp_path):
    made_sources.folder(tmp_path / "made")
    config = read(f"{CONFIG.with_name('image_digits.py')}:tiny", tmp_path)
    config["data"] |= {
        "source": "cleaned",
        "clean": {
            "modality": "image",
            "files": (f"{tmp_path}/made/*/*.png",),
            "split": {"val": 1 / 3, "test": 1 / 3, "stratify": "label"},
        },
        "num_classes": 2,
        "shape": (4, 4, 3),
        "transforms": "decode|normalize",
        "eval_transforms": "decode|normalize",
        "train_split": "train",
        "val_split": "val",
        "test_split": "test",
    }
    feed, _ = opened(spec.complete(config))
    assert next(iter(feed.lines())).startswith("cleaned: 0 of 6 records are left out, see ")
    assert [feed.facts()[f"data.{split}"]["rows"] for split in ("train", "val", "test")] == [2, 2, 2]
