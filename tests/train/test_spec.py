"""A config's mistakes: one line that says what was expected, what came and what to write, and exit code 2."""

import json
import pathlib
import re

import pytest
import tiny_runs as runs

from train import command_line, session, spec
from train.config_flags import UsageError

CONFIGS = runs.CONFIGS
TINY = f"--config={CONFIGS / 'lm_tiny.py'}:tiny"


def mistake(capsys, *arguments: str) -> str:
    """What `python -m train` says to these arguments, having left with exit code 2."""
    assert session.main([TINY, "--workdir=nowhere", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    line = said.err.removesuffix("\n")
    assert line.startswith("error: ")
    assert "\n" not in line, "more than one line"
    assert not pathlib.Path("nowhere").exists()
    return line


@pytest.mark.fast
@pytest.mark.parametrize(
    ("argument", "says"),
    [
        (
            "--config.optimizer.learning_rte=1",
            r"config.optimizer.learning_rte: no such field; did you mean 'learning_r",
        ),
        ("--config.optimiser.learning_rate=1", r"config.optimiser: no such field; did you mean 'optimizer'"),
        ("--config.train.num_steps=many", r"train.num_steps.*many"),
        ("--config.train.num_steps=1.5", r"train.num_steps.*1.5"),
        ("--config.optimizer.learning_rate=fast", r"optimizer.learning_rate.*fast"),
        ("--config.train.num_steps=-3", r"train.num_steps: expected 0 or more, got -3"),
        ("--config.train.batch_size=0", r"train.batch_size: expected 1 or more, got 0"),
        ("--config.model.mlp_size=-8", r"model.mlp_size: expected at least 1, got -8"),
        ("--config.train.batch_size=12", r"train.batch_size: expected a multiple of 8 .*, got 12; write 16"),
        ("--config.train.accumulation=3", r"train.accumulation: expected a divisor of train.batch_size=16, got 3"),
        ("--config.mesh.fsdp=3", r"mesh: expected sizes that multiply to the 8 devices here"),
        ("--config.mesh.tensor=8", None),
        ("--config.model.model_size=60", r"model.num_heads: expected a divisor of model.model_size=60, got 8"),
        ("--config.model.num_kv_heads=3", r"model.num_kv_heads: expected a divisor of model.num_heads=8, got 3"),
        (
            "--config.optimizer.name=adamm",
            r"optimizer.name: expected one of adamw, .*, got 'adamm'; did you mean 'adam'",
        ),
        (
            "--config.model.name=transfomer",
            r"model.name: expected one of cnn, .*, transformer, vit, got 'transfomer'; did you mean",
        ),
        ("--config.model.name=no_such_package:Model", r"model.name: expected an importable module:name"),
        (
            "--config.objective.name=lmm",
            r"objective.name: expected one of lm, classify, multilabel, regress, triplet, got 'lmm'",
        ),
        ("--config.data.source=file", r"data.source: expected one of .* write 'files'"),
        ("--config.data.seq_len=0", r"data.seq_len: expected 1 or more, got 0"),
        ("--config.data.tokenizer=bpe:2", r"data.tokenizer: expected 'bpe:N'"),
        ("--config.precision.compute=float8", r"precision.compute: expected one of float32, bfloat16, float16"),
        ("--config.remat.policy=some", r"remat.policy: expected one of none, dots, full"),
        ("--config.eval.val.split=text", r"eval.val.split: expected one of val, test, got 'text'"),
        ("--config.eval.val.split=test", r"eval.val.split: 'test' needs data.test_split, which is empty"),
        ("--config.eval.val.every=-1", r"eval.val.every: expected 0 or more, got -1"),
        ("--config.checkpoint.keep_last=0", r"checkpoint.keep_last: expected 1 or more, got 0"),
        ("--config.sample.top_p=0.0", r"sample.top_p: expected a share above 0, up to 1 .*, got 0.0"),
        ("--config.sample.temperature=-1.0", r"sample.temperature: expected a number of 0 \(greedy\) or more, got -1"),
        ("--wrokdir=x", r"wrokdir"),
        ("loose", r"expected flags such as --config=.*, got 'loose'"),
    ],
)
def test_mistakes_on_the_command_line(capsys, tmp_path, monkeypatch, argument, says):
    monkeypatch.chdir(tmp_path)
    if says is None:
        config, _ = command_line.parse([TINY, argument], workdir="")
        assert spec.read(config).mesh.tensor == 8
    else:
        assert re.search(says, mistake(capsys, argument))


@pytest.mark.fast
@pytest.mark.fast
@pytest.mark.parametrize(
    ("config", "argument", "says"),
    [
        ("cnn_fashion", "--config.model.name=transformer", "model.name: expected one that reads examples, as data.mod"),
        (
            "cnn_fashion",
            "--config.objective.name=lm",
            "objective.name: expected one that reads examples, as data.modal",
        ),
        ("cnn_fashion", "--config.remat.policy=full", "remat.policy: expected 'none' for a model whose layers are not"),
        ("cnn_fashion", "--config.data.num_classes=1", "data.num_classes: expected 2 or more, got 1"),
        ("cnn_fashion", "--config.data.transforms=flip_l", r"data.transforms: expected one of .*; write flip_lr\("),
        ("cnn_fashion", "--config.data.transforms=mixup(0.1)", "data.transforms: expected mixup after batch"),
        (
            "cnn_fashion",
            "--config.data.eval_transforms=batch|mixup",
            "data.eval_transforms: expected no mixing of rows",
        ),
        ("cnn_fashion", "--config.data.val_split=train[50%:]", "data.val_split: .* but both have a range of 'train'"),
        ("cnn_fashion", "--config.eval.val.transforms=blurr", "eval.val.transforms: expected one of .*; write blur"),
        ("cnn_fashion", "--config.eval.test.every=5", "eval.test.every: the test split is read once, at the end"),
        ("cnn_fashion", "--config.sample.num_tokens=5", "sample.num_tokens: expected 0 for image, got 5"),
        ("audio_digits", "--config.data.sample_rate=0", "data.sample_rate: expected 1 or more, got 0"),
        ("audio_digits", "--config.data.kind=", "data.kind: expected one of shapes, tones, sequences, got ''"),
    ],
)
def test_mistakes_in_configs_of_examples(capsys, tmp_path, config, argument, says):
    whole = f"--config={CONFIGS / config}.py:tiny"
    assert session.main([whole, argument, f"--workdir={tmp_path}"]) == 2
    assert re.search(says, capsys.readouterr().err)
    assert not list(tmp_path.iterdir()), "nothing was written"


def test_files_that_match_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = mistake(capsys, "--config.data.source=files", "--config.data.files=no/such/*.txt", "--config.mesh.data=8")
    assert "no/such/*.txt" in line
    assert "expected" in line


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--config: expected a file, got none; configs/ has configs/"),
        (["--config=nothing.py"], "--config: expected a file, got 'nothing.py'"),
        ([f"--config={CONFIGS / 'lm_tiny.py'}:tny"], "lm_tiny.py: expected the argument 'tiny' or none, got 'tny'"),
        ([f"--config={CONFIGS / 'lm_tiny.py'}:tiny"], "--workdir: expected a folder for this run, got none"),
    ],
)
def test_mistakes_in_the_flags(capsys, arguments, says):
    assert session.main(arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.fast
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(eval=3), "eval: expected a section with fields, got 3"),
        (dict(model=3), "model: expected a section with fields, got 3"),
        (dict(seed=-1), "seed: expected 0 or more, got -1"),
        (dict(optimizer__epsilon=-1.0), "optimizer.epsilon: expected a number above 0"),
        (dict(model__head_size=-8), "model.head_size: expected 0"),
        (dict(model__rope_theta=0.0), "model.rope_theta: expected a number above 0"),
        (dict(train__batchsize=8), "train.batchsize: no such field; did you mean 'batch_size'"),
        (dict(trian={}), "config.trian: no such field; did you mean 'train'"),
        (dict(train__num_steps="ten"), "train.num_steps: expected an int, got str 'ten'"),
        (dict(train__num_steps=True), "train.num_steps: expected an int, got bool True"),
        (dict(optimizer__learning_rate=None), "optimizer.learning_rate: expected a number, got NoneType None"),
        (dict(data__files=3), "data.files: expected str values, got 3"),
        (dict(model__vocab_size=100), "model.vocab_size: no such field"),
        (dict(optimizer__schedule="cosine"), "optimizer.schedule: expected a section with fields, got 'cosine'"),
        (
            dict(
                eval={"t": {"split": "test", "every": 5}},
                data__test_split="train[90%:]",
                data__val_split="train[80%:90%]",
            ),
            "the test split is read once, at the end, got 5 steps",
        ),
        (dict(checkpoint__keep_best=1, checkpoint__best_metric="x/loss"), "expected a metric of an evaluator"),
    ],
)
def test_mistakes_in_a_config_file(change, says):
    with pytest.raises(ValueError, match=says):
        spec.read(runs.config(**change))


@pytest.mark.fast
def test_a_missing_section_and_a_missing_value():
    config = runs.config()
    del config["optimizer"]
    with pytest.raises(ValueError, match="config: expected the section 'optimizer', got none"):
        spec.read(config)
    config = runs.config()
    del config["train"]["num_steps"]
    with pytest.raises(ValueError, match=r"train.num_steps: expected one of num_steps, num_tokens, .* got none; write"):
        spec.read(config)


@pytest.mark.fast
def test_any_field_can_be_overridden_and_keeps_its_type():
    arguments = [
        TINY,
        "--config.optimizer.second_momentum=0.999",
        "--config.model.rope_scaling.factor=8",
        "--config.optimizer.schedule.name=constant",
        "--config.data.files=/some/where/*.txt",
        "--config.model.use_bias=True",
        "--config.seed=7",
    ]
    config, flags = command_line.parse(arguments, workdir="here")
    run = spec.read(config)
    assert flags == {"workdir": "here"}
    assert (run.optimizer.second_momentum, run.optimizer.schedule.name, run.seed) == (0.999, "constant", 7)
    assert (run.model.rope_scaling.factor, run.model.use_bias) == (8.0, True)
    assert run.data.files == ("/some/where/*.txt",)


@pytest.mark.fast
def test_config_json_is_a_config(tmp_path):
    config = runs.config(train__num_steps=77)
    (tmp_path / "config.json").write_text(json.dumps({"config": config, "derived": {"train.num_steps": 3}}))
    again, _ = command_line.parse([f"--config={tmp_path / 'config.json'}", "--config.seed=5"], workdir="")
    assert spec.read(again) == spec.read({**config, "seed": 5})


@pytest.mark.fast
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.py", "", 'expected a file with get_config(arg="")'),
        ("broken.json", "{", 'expected JSON with a "config"'),
        ("other.json", "{}", "KeyError: 'config'"),
    ],
)
def test_files_that_are_no_config(tmp_path, capsys, name, content, says):
    (tmp_path / name).write_text(content)
    assert session.main([f"--config={tmp_path / name}", "--workdir=nowhere"]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert name in said


@pytest.mark.fast
def test_a_class_from_elsewhere_by_its_name():
    config = runs.config(model__name="models.transformer:Transformer")
    assert spec.read(config) == spec.read(runs.config())


@pytest.mark.fast
def test_derived_values_follow_from_the_config():
    run = spec.read(runs.config(train__accumulation=2))
    derived = run.derive(8)
    assert derived["mesh"] == {"data": 8, "fsdp": 1, "tensor": 1}
    assert derived["tokens_per_step"] == 16 * 64
    assert derived["micro_batch_per_device"] == 1
    assert run.model.vocab_size == 384  # 257, padded
    assert run.model.max_length == run.data.seq_len


@pytest.mark.fast
def test_usage_errors_are_value_errors():
    assert issubclass(UsageError, ValueError)
