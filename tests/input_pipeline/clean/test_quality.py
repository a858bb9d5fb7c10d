"""The score of quality: against scikit-learn on the same features, the same in every batch, judged on unseen texts."""

import importlib.util
import itertools
import pathlib
import random

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from input_pipeline.clean import quality, quality_fit, steps
from input_pipeline.clean.record import Record
from input_pipeline.synthetic import stories

pytestmark = pytest.mark.fast
ROOT = pathlib.Path(__file__).parents[3]


def good(count: int, start: int = 0) -> list[str]:
    return [stories.text(index, num_bytes=300).decode() for index in range(start, start + count)]


def bad(count: int, seed: int = 0, share: float = 0.5) -> list[str]:
    """Stories in which words were put in the place of others."""
    rng = random.Random(seed)
    junk = ("click", "here", "cheap", "offer", "now", "http", "free", "the", "went", "to")
    texts = good(count, start=10_000 + seed)
    return [" ".join(rng.choice(junk) if rng.random() < share else word for word in text.split()) for text in texts]


@pytest.fixture(scope="module")
def fitted():
    return quality_fit.fit(good(200), bad(300))


def test_it_tells_good_from_bad_and_says_so_of_texts_it_has_not_seen(fitted):
    facts = fitted.quality.facts
    assert facts["accuracy"] > 0.97
    assert facts["auc"] > 0.99
    assert facts["reference_fitted"] + facts["reference_held_out"] == 200
    assert facts["raw_fitted"] + facts["raw_held_out"] == 300
    assert 20 <= facts["reference_held_out"] <= 60
    scores = fitted.quality.scores(good(50, start=50_000) + bad(50, seed=9))
    assert np.mean(scores[:50] > 0.5) > 0.95
    assert np.mean(scores[50:] < 0.5) > 0.95
    assert {"click", "cheap"} <= set(fitted.for_raw)


def test_texts_of_one_kind_are_told_apart_by_chance():
    found = quality_fit.fit(good(300), good(300, start=1000)).quality.facts
    assert 0.3 < found["auc"] < 0.7
    assert 0.3 < found["accuracy"] < 0.7


def test_scores_are_those_of_a_logistic_regression_on_shares_of_ngrams():
    """The features counted slowly, and fitted by scikit-learn with names in the place of hashes."""
    reference, raw = good(90), bad(90)
    texts = reference + raw
    is_held_out = quality_fit.held_out(texts, seed=3)

    def features(text: str) -> dict[str, float]:
        words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
        grams = words + [" ".join(pair) for pair in itertools.pairwise(words)]
        return {gram: quality_fit.SCALE * grams.count(gram) / len(grams) for gram in grams}

    vectors = DictVectorizer()
    x = vectors.fit_transform(map(features, texts))
    y = np.arange(len(texts)) < len(reference)
    model = LogisticRegression(C=1 / 2.0, class_weight="balanced", max_iter=1000).fit(x[~is_held_out], y[~is_held_out])
    found = quality_fit.fit(reference, raw, seed=3, strength=2.0).quality
    np.testing.assert_allclose(found.scores(texts), model.predict_proba(x)[:, 1], atol=2e-3)
    expected = roc_auc_score(y[is_held_out], model.predict_proba(x[is_held_out])[:, 1])
    assert found.facts["auc"] == pytest.approx(expected, abs=0.01)


def test_copies_lie_on_one_side():
    texts = good(200)
    copies = [text.upper().replace(" ", "\n  ") for text in texts]
    held_out = quality_fit.held_out(texts + copies, seed=1)
    np.testing.assert_array_equal(held_out[:200], held_out[200:])
    assert 0.1 < held_out.mean() < 0.3
    assert (held_out != quality_fit.held_out(texts + copies, seed=2)).any()


def test_a_score_does_not_depend_on_the_batch(fitted):
    texts = [*good(30), "", "x", "日本語", *bad(30), "word " * 100_000]
    whole = fitted.quality.scores(texts)
    one_by_one = np.concatenate([fitted.quality.scores([text]) for text in texts])
    np.testing.assert_array_equal(whole, one_by_one)
    np.testing.assert_array_equal(whole, np.round(whole, 6))


def test_the_same_texts_give_the_same_file_and_the_file_the_same_scores(fitted, tmp_path):
    one, other = tmp_path / "one.npz", tmp_path / "other.npz"
    quality.save(fitted.quality, one)
    quality.save(quality_fit.fit(good(200), bad(300)).quality, other)
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_size < 300_000
    loaded = quality.load(str(one))
    np.testing.assert_array_equal(loaded.scores(good(20)), fitted.quality.scores(good(20)))
    assert loaded.facts == fitted.quality.facts


def test_the_step_removes_what_scores_less(fitted, tmp_path):
    file = tmp_path / "quality.npz"
    quality.save(fitted.quality, file)
    [step] = steps.line(f"quality('{file}', 0.7)", modality="text")
    assert step.files == (str(file),)
    records = [Record(str(place), text) for place, text in enumerate(good(20) + bad(20))]
    scores = fitted.quality.scores([record.text for record in records])
    found = step(records)
    assert [record.id for record in found.records] == [str(place) for place in np.flatnonzero(scores >= 0.7)]
    assert [(entry.id, entry.rule, entry.value, entry.threshold) for entry in found.entries] == [
        (str(place), "quality.score", scores[place], 0.7) for place in np.flatnonzero(scores < 0.7)
    ]


@pytest.mark.parametrize("written", [None, b"", b"text", b"PK\x03\x04broken", "pickle", "format"])
def test_a_file_that_is_no_classifier(tmp_path, written):
    file = tmp_path / "quality.npz"
    if isinstance(written, bytes):
        file.write_bytes(written)
    elif written == "pickle":
        np.savez(file, weights=np.array([{}], object), told=np.zeros(1, np.uint8))
    elif written == "format":
        np.savez(file, weights=np.zeros(3, np.int32), told=np.frombuffer(b'{"format": "quality 0"}', np.uint8))
    with pytest.raises(ValueError, match=r"file: expected a classifier.*quality.npz") as error:
        steps.line(f"quality('{file}')", modality="text")
    assert "\n" not in str(error.value)


def script():
    found = importlib.util.spec_from_file_location("fit_quality", ROOT / "scripts" / "fit_quality.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_command(tmp_path, capsys):
    for name, texts in (("reference", good(100)), ("raw", bad(100))):
        (tmp_path / name).mkdir()
        for place, text in enumerate(texts):
            (tmp_path / name / f"{place}.txt").write_text(text)
    out = tmp_path / "quality.npz"
    sides = [f"--{name}={tmp_path}/{name}/*.txt" for name in ("reference", "raw")]
    assert script().main([*sides, f"--out={out}"]) == 0
    told = capsys.readouterr().out
    facts = quality.load(str(out)).facts
    assert f"held out: accuracy {facts['accuracy']:.4f}, AUC {facts['auc']:.4f}" in told
    assert "for raw: " in told
    for wrong, says in (
        ([], "expected --reference, --raw and --out"),
        ([*sides[:1], f"--raw={tmp_path}/none/*", f"--out={out}"], "matches none"),
        ([*sides, f"--out={out}", "--max_texts=5"], "expected at least 10 texts in each part"),
    ):
        assert script().main(wrong) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
