"""A run's data put together: parts, what is evaluated, and what is refused before a run begins."""

import itertools
import re

import jax
import numpy as np
import pytest
import tiny_runs as runs

from input_pipeline.progress import quiet
from train import command_line, config_flags, feeds, spec
from train.parallel import mesh as meshes

MIXTURE = f"--config={runs.CONFIGS / 'lm_mixture.py'}:tiny"


def read(*arguments: str) -> spec.Run:
    return spec.read(command_line.parse([MIXTURE, *arguments], workdir="")[0])


def prepare(*arguments: str) -> feeds.Feed:
    return feeds.prepare(read(*arguments), progress=quiet)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return prepare(f"--config.data.cache={tmp_path_factory.mktemp('feed')}")


@pytest.mark.fast
def test_facts_of_parts(mixed):
    """40 steps of 16 rows, three quarters of them long; both numbers come from counting in the mixture."""
    rows = {name: len(part) for name, part in mixed.rows["train"].items()}
    assert mixed.epoch_examples == sum(rows.values())
    training = mixed.facts()["data.train"]
    assert training["epochs"] == 640 / sum(rows.values())
    parts = training["parts"]
    assert sum(part["epochs"] * rows[name] for name, part in parts.items()) == pytest.approx(640)
    assert {name: part["share"] for name, part in parts.items()} == {"long": 0.75, "short": 0.25}
    for key in ("rows", "tokens", "bytes"):
        assert training[key] == sum(part[key] for part in parts.values())
    assert [line.partition(":")[0] for line in mixed.lines()] == [
        *("train", "train, long", "train, short", "val", "val, long", "val, short"),
    ]


@pytest.mark.fast
def test_evaluations_read_one_part_or_all(mixed):
    long, short = mixed.rows["val"]["long"], mixed.rows["val"]["short"]
    evaluation = mixed.run.eval
    assert len(mixed.evaluated(evaluation["val"])) == len(long) + len(short)
    assert mixed.context(evaluation["val"]).bytes_per_token == (long.num_bytes + short.num_bytes) / (
        long.num_tokens + short.num_tokens
    )
    assert mixed.context(evaluation["val_short"]).bytes_per_token == short.num_bytes / short.num_tokens
    assert mixed.context(evaluation["val"]).bytes_per_token != mixed.context(evaluation["val_short"]).bytes_per_token


@pytest.mark.fast
def test_a_part_without_the_split_is_left_out_of_its_evaluation(mixed):
    some = prepare("--config.data.mixture.long.val_split=", f"--config.data.cache={mixed.run.data.cache}")
    assert len(some.evaluated(some.run.eval["val"])) == len(mixed.rows["val"]["short"])


@pytest.mark.fast
def test_the_tokenizer_is_fitted_on_all_training_parts(tmp_path):
    texts = {"a": ("aXYZ " * 50, "aXYZ " * 40), "b": ("bQRS " * 50, "bQRS " * 40)}
    part = lambda name: dict(source="memory", documents=texts[name], train_split="train", val_split="")
    config = runs.config(eval={}, checkpoint__keep_best=0)
    config["data"] = dict(
        seq_len=8, tokenizer="bpe:270", cache=str(tmp_path), mixture={name: part(name) for name in texts}
    )
    found = feeds.prepare(spec.read(spec.complete(config)), progress=quiet)
    for text in (b"aXYZ", b"bQRS"):
        assert len(found.tokenizer.encode(text)) < 4


@pytest.mark.fast
def test_too_many_epochs_are_refused_and_the_advice_is_good(mixed):
    arguments = ["--config.data.mixture.short.max_epochs=1.5", f"--config.data.cache={mixed.run.data.cache}"]
    pattern = (
        r"data.mixture.short.max_epochs: expected at most 1.5 passes over 76 rows, but 40 steps would make (.*); "
        r"write (weight=.*) or (train.num_steps=\d+)"
    )
    with pytest.raises(ValueError, match=pattern) as caught:
        prepare(*arguments)
    made, weight, num_steps = re.search(pattern, str(caught.value)).groups()
    assert float(made) == pytest.approx(mixed.facts()["data.train"]["parts"]["short"]["epochs"], rel=1e-2)
    assert (
        prepare(*arguments, f"--config.data.mixture.short.{weight}").facts()["data.train"]["parts"]["short"]["epochs"]
        > 1.2
    )
    assert prepare(*arguments, f"--config.{num_steps}")
    one_more = num_steps.replace(found := re.search(r"\d+", num_steps)[0], str(int(found) + 1))
    with pytest.raises(ValueError, match="max_epochs"):
        prepare(*arguments, f"--config.{one_more}")


@pytest.mark.fast
@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("data.source=memory", r"data.source: expected none beside data.mixture, .* write data.mixture.long.source"),
        ("data.mixture.long.source=memry", r"data.mixture.long.source: expected one of .* write 'memory'"),
        (
            "data.mixture.long.train_split=train",
            r"data.mixture.long.val_split: .* outside data.mixture.long.train_split",
        ),
        ("data.mixture.short.weight=-1.0", r"data.mixture.short.weight: expected 0 or more, got -1.0"),
        ("data.mixture.short.weight=1e-5", r"data.mixture.short.weight: expected a share of 1 in 4096 or more"),
        ("data.mixture.short.max_epochs=-1.0", r"data.mixture.short.max_epochs: expected 0 \(any number\) or more"),
        (
            "data.mixture.long.transforms=drop(1)",
            r"data.mixture.long.transforms: expected one of drop_tokens, .* got 'drop'",
        ),
        ("data.mixture.lnog.weight=1", r"config.data.mixture.lnog: no such field; did you mean 'long'"),
        ("eval.val.part=lnog", r"eval.val.part: expected one of '', 'long', 'short' .*; did you mean 'long'"),
        ("eval.val_short.split=test", r"eval.val_short.split: 'test' needs data.mixture.short.test_split, which is"),
        ("eval.val.split=test", r"eval.val.split: 'test' needs data.mixture.long.test_split, which is empty"),
    ],
)
def test_mistakes_in_a_mixture(argument, says):
    with pytest.raises(ValueError, match=says):
        read(f"--config.{argument}")


@pytest.mark.fast
def test_a_part_of_weight_0_is_evaluated_and_nothing_else(mixed):
    cache = f"--config.data.cache={mixed.run.data.cache}"
    feed = prepare("--config.data.mixture.short.weight=0.0", cache)
    assert feed.rows["train"].keys() == {"long"}
    assert feed.rows["val"].keys() == {"long", "short"}
    assert [part.name for part in feed.training] == ["long"]
    assert feed.epoch_examples == len(mixed.rows["train"]["long"])
    assert feed.facts()["data.train"]["parts"].keys() == {"long"}
    with pytest.raises(ValueError, match=r"data.mixture: expected a weight above 0, got 0 for long, short"):
        read("--config.data.mixture.short.weight=0.0", "--config.data.mixture.long.weight=0.0")


@pytest.mark.fast
def test_a_source_that_is_not_there_is_named_by_its_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("--config.data.mixture.long.source=files", "--config.data.mixture.long.files=no/such.txt")
    with pytest.raises(ValueError, match=r"^data.mixture.long.files: expected files, but 'no/such.txt' matches none"):
        prepare(*arguments, f"--config.data.cache={tmp_path}")


@pytest.mark.fast
def test_a_weight_written_as_an_int_takes_a_fraction_later():
    config = spec.complete(runs.config() | {"data": dict(seq_len=8, mixture=dict(a=dict(weight=1)))})
    assert (
        config_flags.override(config, ["--config.data.mixture.a.weight=0.5"])["data"]["mixture"]["a"]["weight"] == 0.5
    )


@pytest.mark.fast
def test_noise_is_in_training_text_of_its_part_alone(mixed):
    cache = f"--config.data.cache={mixed.run.data.cache}"
    noisy = prepare("--config.data.mixture.short.text_noise=typos(0.1)", cache)
    text = lambda feed, split, part: feed.tokenizer.decode(feed.rows[split][part].store.tokens)
    assert text(noisy, "train", "short") != text(mixed, "train", "short")
    assert text(noisy, "train", "long") == text(mixed, "train", "long")
    for part in ("long", "short"):
        assert text(noisy, "val", part) == text(mixed, "val", part)


@pytest.mark.fast
def test_rows_of_one_class_stand_together(tmp_path):
    """An epoch is as long as its order, and every batch of the mesh has four rows of each of its classes."""
    config = f"--config={runs.CONFIGS / 'cnn_fashion.py'}:tiny"
    cache = f"--config.data.cache={tmp_path}"

    def prepared(*arguments):
        return feeds.prepare(spec.read(command_line.parse([config, cache, *arguments], workdir="")[0]), progress=quiet)

    scattered = prepared()
    found = prepared("--config.data.rows_per_class=4", "--config.objective.name=triplet", "--config.train.num_epochs=3")
    classes = found.examples.labels[found.rows["train"][""].members]
    assert found.epoch_examples == sum(-(-count // 4) * 4 for count in np.bincount(classes).tolist())
    assert found.epoch_examples > scattered.epoch_examples == len(classes)
    assert found.num_steps == -(-3 * found.epoch_examples // 16)
    mesh = meshes.make(jax.devices(), found.run.mesh)
    batches = [np.asarray(batch["labels"]) for batch in itertools.islice(found.train_batches(mesh, start=0), 5)]
    assert all((labels.reshape(-1, 4) == labels[::4, None]).all() for labels in batches)
    assert len(set(np.concatenate(batches).tolist())) > 2
    with pytest.raises(ValueError, match="expected the data it was trained on"):
        found.check_cursor(scattered.cursor(0), tmp_path)
    with pytest.raises(ValueError, match=r"train.batch_size: expected a multiple of 5 \(data.rows_per_class\), got 16"):
        prepared("--config.data.rows_per_class=5")
    with pytest.raises(ValueError, match=r"data.rows_per_class: expected 1 or more, got 0"):
        prepared("--config.data.rows_per_class=0")
    with pytest.raises(ValueError, match=r"data.rows_per_class: expected 1 for labels='numbers', got 2"):
        prepared(*(f"--config.data.{field}" for field in ("rows_per_class=2", "labels=numbers", "num_targets=1")))
