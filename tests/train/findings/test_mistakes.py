"""The inputs of mistakes: the right rows, as people can look at them, in files that the report finds again."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from input_pipeline.labelled.examples import Examples, InMemory, digests_of
from input_pipeline.labelled.rows import Rows
from train.findings import kept, mistakes
from train.findings.kept import Found
from train.reports import findings as reader

pytestmark = pytest.mark.fast

CLASSES = ("circle", "ring", "square")


def rows_of(inputs: np.ndarray, *, shape, members=None) -> Rows:
    count = len(inputs)
    examples = Examples(
        InMemory(inputs),
        np.arange(count, dtype=np.int32) % 3,
        [f"made-{i:03}" for i in range(count)],
        digests_of(inputs),
    )
    return Rows(examples, np.arange(count) if members is None else members, shape)


def explained(rows: Rows, *, operations=(), modality="image"):
    """Of a model that says "ring" of everything, the surer the later the row."""
    count = len(rows)
    scores = np.zeros((count, 3))
    scores[:, 1] = 1 + np.arange(count)
    labels = rows.examples.labels[rows.members]
    evaluated = {"scores": scores, "labels": labels, "weights": np.ones(count)}
    return mistakes.explain(
        evaluated, rows=rows, operations=operations, modality=modality, labels="class", classes=CLASSES
    )


def test_the_surest_mistakes_come_first_with_their_own_pictures():
    inputs = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), np.uint8)
    facts, files = explained(rows_of(inputs, shape=(4, 4, 3), members=np.arange(9)[::-1]))
    assert [mistake["row"] for mistake in facts["mistakes"]] == [8, 6, 5, 3, 2, 0]
    for mistake in facts["mistakes"]:
        member = 8 - mistake["row"]
        assert mistake["name"] == f"made-{member:03}"
        assert (mistake["label"], mistake["predicted"]) == (CLASSES[member % 3], "ring")
        with Image.open(io.BytesIO(files[mistake["picture"]])) as image:
            np.testing.assert_array_equal(np.asarray(image)[::28, ::28], inputs[member])
    assert len(files) == 6


def test_numbers_are_drawn_after_their_transforms_and_tables_told_before_them():
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    facts, files = explained(rows_of(values, shape=(4,)), modality="table")
    assert facts["mistakes"][0]["text"].startswith("feature 0: 8\nfeature 1: 9")
    assert not files
    seen = []

    def operation(rows, keys_B):
        seen.append(rows["inputs"])
        return rows | {"inputs": rows["inputs"] - 1}

    sound = rows_of(np.zeros((3, 50), np.float32), shape=(50,))
    _, files = explained(sound, operations=(operation,), modality="audio")
    assert len(files) == len(seen) == 2


def test_what_was_written_is_what_the_report_reads(tmp_path):
    inputs = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1), np.uint8)
    found = explained(rows_of(inputs, shape=(4, 4, 1)))
    facts = {"step": 7, "split": "test", **found.facts, "metrics": {"accuracy": 1 / 3, "auc": float("nan")}}
    kept.write(tmp_path / "evaluations", "test", Found(facts, found.files))
    read = reader.read(tmp_path / "evaluations" / "test.json")
    assert (read.step, read.split, read.num_rows, read.num_right) == (7, "test", 30, 10)
    assert np.isnan(read.metrics["auc"])
    assert [mistake.picture for mistake in read.mistakes] == [
        tmp_path / "evaluations" / "test" / mistake["picture"] for mistake in found.facts["mistakes"]
    ]
    kept.write(tmp_path / "evaluations", "test", Found({"step": 8, "split": "test"}, {}))
    assert list((tmp_path / "evaluations" / "test").iterdir()) == [], "the pictures of another end are gone"
    assert json.loads((tmp_path / "evaluations" / "test.json").read_text()) == {"step": 8, "split": "test"}
