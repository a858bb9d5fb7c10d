"""Where a run comes from: each value's origin, and the code."""

import json
import pathlib
import subprocess

import pytest
import tiny_runs as runs

from train import command_line, fields, provenance, session, spec

TINY = f"--config={runs.CONFIGS / 'lm_tiny.py'}:tiny"


@pytest.mark.fast
def test_each_origin():
    found = command_line.command([TINY, "--config.optimizer.momentum=0.8", "--config.model.num_layers=2"])
    expected = {
        "optimizer.momentum": "command line",
        "model.num_layers": "command line",
        "data.source": "argument",
        "train.num_steps": "argument",
        "optimizer.learning_rate": "file",
        "checkpoint.keep_last": "file",  # `tiny` writes it anew, as it was
        "optimizer.second_momentum": "default",
        "eval.val.batch_size": "default",
    }
    assert {path: found.origins[path] for path in expected} == expected
    assert found.origins.keys() == fields.flat(found.config).keys()
    assert found.overrides == {"model.num_layers": 2, "optimizer.momentum": 0.8}
    assert found.notes == []


@pytest.mark.fast
def test_the_values_of_a_config_json(tmp_path):
    config = runs.config(train__num_steps=77, data__packages=[])
    (tmp_path / "config.json").write_text(json.dumps({"config": config}))
    found = command_line.command([f"--config={tmp_path / 'config.json'}", "--config.seed=3"])
    names = ("train.num_steps", "seed", "optimizer.momentum", "model.name", "data.packages", "optimizer.name")
    expected = ["file", "command line", "default", "file", "default", "file"]
    assert [found.origins[name] for name in names] == expected
    assert spec.read(found.config) == spec.read({**config, "seed": 3})


@pytest.mark.fast
@pytest.mark.parametrize(
    ("argument", "field", "value"),
    [
        ("--config.train.num_tokens=1e6", "train.num_tokens", 1_000_000),
        ("--config.train.num_tokens=2.5E3", "train.num_tokens", 2500),
        ("--config.train.num_examples=512", "train.num_examples", 512),
        ("--config.train.num_epochs=2", "train.num_epochs", 2.0),
        ("--config.train.num_steps=3e1", "train.num_steps", 30),
    ],
)
def test_the_command_line_wins_over_the_file(argument, field, value):
    found = command_line.command([TINY, argument])
    given = {name: number for name, number in found.config["train"].items() if name.startswith("num_") and number}
    assert given == {field.removeprefix("train."): value}
    assert type(given[field.removeprefix("train.")]) is type(value)
    assert spec.read(found.config)
    assert found.origins["train.num_steps"] == "command line"
    note = f"{field}={value} (command line) takes the place of train.num_steps=40 (argument)"
    assert found.notes == ([] if field == "train.num_steps" else [note])


@pytest.mark.fast
def test_a_default_gives_way_without_a_word(tmp_path):
    config = {name: section for name, section in runs.config().items() if name != "log"}
    (tmp_path / "config.json").write_text(json.dumps({"config": config}))
    found = command_line.command([f"--config={tmp_path / 'config.json'}", "--config.log.every_tokens=4e3"])
    assert (found.config["log"]["every"], found.config["log"]["every_tokens"]) == (0, 4000)
    assert found.notes == []


@pytest.mark.fast
def test_an_argument_gives_way_to_the_command_line_and_the_file_to_an_argument(tmp_path):
    (tmp_path / "mine.py").write_text(
        f"import importlib.util\n"
        f"from ml_collections import ConfigDict\n"
        f"made = importlib.util.spec_from_file_location('base', {str(runs.CONFIGS / 'lm_tiny.py')!r})\n"
        "base = importlib.util.module_from_spec(made); made.loader.exec_module(base)\n"
        "def get_config(arg=''):\n"
        "    config = base.get_config()\n"
        "    if arg == 'long': config.train.num_epochs = 2.0\n"
        "    return config\n"
    )
    mine = f"--config={tmp_path / 'mine.py'}:long"
    found = command_line.command([mine])
    assert (found.config["train"]["num_steps"], found.config["train"]["num_epochs"]) == (0, 2.0)
    assert found.notes == ["train.num_epochs=2.0 (argument) takes the place of train.num_steps=500 (file)"]
    found = command_line.command([mine, "--config.train.num_steps=7"])
    assert (found.config["train"]["num_steps"], found.config["train"]["num_epochs"]) == (7, 0.0)
    assert found.origins["train.num_steps"] == "command line"
    assert "train.num_steps=7 (command line) takes the place of train.num_epochs=2.0 (argument)" in found.notes


@pytest.mark.fast
def test_two_on_one_command_line_are_a_mistake():
    found = command_line.command([TINY, "--config.train.num_steps=5", "--config.train.num_tokens=1e6"])
    with pytest.raises(ValueError, match="got num_steps=5 and num_tokens=1000000; write 0 for all but one"):
        spec.read(found.config)


@pytest.mark.fast
def test_the_printed_config(capsys):
    arguments = [TINY, "--print_config", "--config.train.num_tokens=1e5", "--config.model.use_bias=True"]
    assert session.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    columns = [line.split(maxsplit=1)[0] for line in lines]
    order = ["train.num_tokens", "data.source", "optimizer.learning_rate", "durations.train.num_steps", "defaults"]
    assert [columns.index(name) for name in order] == sorted(columns.index(name) for name in order)
    assert any(line.split() == ["model.use_bias", "command", "line", "True"] for line in lines)
    told = next(line for line in lines if line.startswith("durations.train.num_steps"))
    assert told.split("derived")[1].split() == ["steps", "98", "tokens", "100,352", "examples", "1,568"]
    assert any(line.startswith("defaults of model: ") and "rope_theta=10000.0" in line for line in lines)
    assert lines[-1] == "train.num_tokens=100000 (command line) takes the place of train.num_steps=40 (argument)"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one commit."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "tester")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "__main__.py").write_text("print()\n")
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True)
    return tmp_path


@pytest.mark.fast
def test_the_code_that_runs(checkout):
    clean = provenance.code(checkout)
    head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert (clean["revision"], clean["difference"]) == (head.stdout.strip(), "")
    (checkout / "train" / "__main__.py").write_text("print(1)\n")
    changed = provenance.code(checkout)
    (checkout / "new.py").write_text("")
    more = provenance.code(checkout)
    assert len({clean["difference"], changed["difference"], more["difference"]}) == 3
    assert changed["revision"] == clean["revision"]
    assert provenance.code(checkout) == more
    assert clean["versions"]["jax"].count(".") == 2


@pytest.mark.fast
def test_an_environment_that_names_another_repository(checkout, monkeypatch):
    expected = provenance.code(checkout)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert provenance.code(checkout) == expected


@pytest.mark.fast
def test_no_repository_and_no_git(checkout, tmp_path_factory, monkeypatch):
    inside = checkout / "unpacked"
    (inside / "train").mkdir(parents=True)
    (inside / "train" / "__main__.py").write_text("")
    for folder in (inside, tmp_path_factory.mktemp("nothing")):  # the first lies in a repository that is not its own
        assert provenance.code(folder)["revision"] == "unknown"
    monkeypatch.setenv("PATH", str(pathlib.Path("/nowhere")))
    assert provenance.code(checkout)["difference"] == "unknown"
