"""MinHash beside sets of tuples, and its estimates beside their known distribution."""

import itertools
import random

import numpy as np
import pytest
import slow_duplicates

from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import NEAR, minhash, words
from input_pipeline.clean.similar.minhash import MinHash
from input_pipeline.clean.similar.sketch import Store, band_keys
from input_pipeline.transforms import parse

pytestmark = pytest.mark.fast
TEXTS = [
    *slow_duplicates.texts(40, seed=1),
    "",
    "too short for it",
    "five words are one shingle",
    "日本語のテキスト",
    "a " * 9,
]


def records(texts: list[str]) -> list[Record]:
    return [Record(str(i), text) for i, text in enumerate(texts)]


@pytest.mark.parametrize("ngram", [1, 3, 5])
def test_similarities_are_those_of_sets(ngram):
    near = MinHash(ngram=ngram)
    sets = [slow_duplicates.shingles(text, ngram) for text in TEXTS]
    pairs = np.array(list(itertools.product(range(len(TEXTS)), repeat=2)))
    found = near.similarities(near.sketch(records(TEXTS)).evidence, pairs)
    expected = [slow_duplicates.jaccard(sets[i], sets[j]) for i, j in pairs]
    np.testing.assert_array_equal(found, expected)
    assert ((found > 0.2) & (found < 0.95)).any()


def test_what_is_compared_in_pieces_is_the_same(monkeypatch):
    near, pairs = MinHash(), np.array(list(itertools.product(range(len(TEXTS)), repeat=2)))
    evidence = near.sketch(records(TEXTS)).evidence
    whole = near.similarities(evidence, pairs)
    monkeypatch.setattr(minhash, "PIECE_SHINGLES", 500)
    np.testing.assert_array_equal(near.similarities(evidence, pairs), whole)


def test_a_sketch_depends_on_its_record_alone(monkeypatch):
    near = MinHash()
    whole = near.sketch(records(TEXTS))
    monkeypatch.setattr(words, "PIECE", 300)
    alone = [near.sketch([record]) for record in records(TEXTS)]
    in_pieces = near.sketch(records(TEXTS))
    for ours, theirs in zip((*whole[:2], *whole.evidence), (*in_pieces[:2], *in_pieces.evidence), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(np.concatenate([one.bands_NK for one in alone]), whole.bands_NK)
    np.testing.assert_array_equal(np.concatenate([one.exact_N2 for one in alone]), whole.exact_N2)


def test_nothing_gives_sketches_of_nothing():
    empty = MinHash().sketch([])
    assert empty.exact_N2.shape == (0, 2)
    assert empty.bands_NK.shape == (0, MinHash().bands)
    assert empty.evidence.offsets.tolist() == [0]


def test_short_texts_have_no_keys():
    sketches = MinHash().sketch(records(["", "four words are few", "five words are quite enough"]))
    keys, numbers = band_keys(sketches, first=10)
    assert numbers.tolist() == [12] * MinHash().bands
    np.testing.assert_array_equal(keys, sketches.bands_NK[2])


def test_estimates_have_the_mean_and_variance_of_binomial_ones():
    """Agreement in one order is a coin that falls with probability s (Broder 1997)."""
    near, rng = MinHash(bands=400, rows=1, ngram=1), random.Random(3)
    agreed, expected = [], []
    for _ in range(200):
        vocabulary = [f"{rng.random()}".replace(".", "w") for _ in range(300)]
        cut, end = sorted(rng.sample(range(1, 300), 2))
        evidence = near.shingles([" ".join(vocabulary[:end]), " ".join(vocabulary[cut:])])
        signatures = near.signatures(evidence)
        agreed.append(np.mean(signatures[:, 0] == signatures[:, 1]))
        expected.append(near.similarities(evidence, np.array([[0, 1]]))[0])
    s = np.array(expected)
    standard = (np.array(agreed) - s) / np.sqrt(s * (1 - s) / 400)
    assert abs(standard.mean()) < 4 / np.sqrt(200)
    assert 0.8 < standard.std() < 1.2


@pytest.mark.parametrize(("bands", "rows"), [(14, 8), (16, 6), (3, 2)])
def test_pairs_share_a_band_as_often_as_the_s_curve_says(bands, rows):
    near, rng = MinHash(bands=bands, rows=rows, ngram=1), random.Random(4)
    texts = []
    for _ in range(1500):
        vocabulary = [f"w{rng.getrandbits(40)}" for _ in range(20)]
        texts += [" ".join(vocabulary[:17]), " ".join(vocabulary[3:])]  # s = 14 / 20
    keys = near.sketch(records(texts)).bands_NK
    found = (keys[::2] == keys[1::2]).any(axis=1).mean()
    expected = 1 - (1 - 0.7**rows) ** bands
    assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / 1500)


def test_equal_numbers_in_two_bands_are_two_keys():
    keys = MinHash().band_keys(np.zeros((MinHash().bands * MinHash().rows, 1), np.uint32))
    assert len(np.unique(keys)) == MinHash().bands


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.99, 1])
def test_chosen_bands_reach_the_recall_and_no_steeper_ones_do(threshold):
    bands, rows = minhash.choose_bands(threshold, num_hashes=128)
    assert bands * rows <= 128
    assert 1 - (1 - threshold**rows) ** bands >= minhash.RECALL
    for steeper in range(rows + 1, 129):
        assert 1 - (1 - threshold**steeper) ** (128 // steeper) < minhash.RECALL


def test_values_are_frozen():
    """Indexes of earlier releases hold them."""
    sketches = MinHash().sketch(records(["The quick brown fox jumps over the lazy dog"]))
    assert (MinHash().bands, MinHash().rows) == (16, 6)
    assert sketches.evidence.flat[0] == 0x21339ACEB943F09D
    assert sketches.bands_NK[0, 0] == 0x5A6219EB2CA00DBB
    assert sketches.exact_N2[0, 0] == 0xDC7D519FA4F99D24


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(threshold=0.0), "threshold: expected more than 0"),
        (dict(threshold=1.5), "threshold: expected more than 0"),
        (dict(ngram=0), "ngram: expected 1 or more, got 0"),
        (dict(bands=4), "bands, rows: expected both or neither"),
        (dict(threshold=0.01), "num_hashes: expected 459 or more for a threshold of 0.01, got 128"),
    ],
)
def test_mistakes_are_told(fields, message):
    with pytest.raises(ValueError, match=message):
        MinHash(**fields)


def test_a_config_names_it_and_the_run_gives_the_threshold():
    found = parse.read("minhash(ngram=3)", NEAR["text"], field="dedup.near", threshold=0.7)
    assert found == (MinHash(ngram=3, threshold=0.7),)
    assert "threshold=0.7" in repr(found[0])
    with pytest.raises(ValueError, match=r"dedup.near: expected minhash\(ngram: int = 5"):
        parse.read("minhash(ngram=0)", NEAR["text"], field="dedup.near", threshold=0.7)


def test_a_store_of_blocks_compares_as_one(tmp_path):
    near = MinHash()
    pieces = [near.sketch(records(piece)).evidence for piece in (TEXTS[:10], TEXTS[10:11], [], TEXTS[11:])]
    for i, piece in enumerate(pieces):
        np.save(tmp_path / f"{i}.npy", piece.flat)
    mapped = [
        piece._replace(flat=np.load(tmp_path / f"{i}.npy", mmap_mode="r")) if len(piece.flat) else piece
        for i, piece in enumerate(pieces)
    ]
    pairs = np.random.default_rng(0).integers(0, len(TEXTS), (300, 2))
    store = Store(mapped)
    assert len(store) == len(TEXTS)
    whole = near.similarities(near.sketch(records(TEXTS)).evidence, pairs)
    np.testing.assert_array_equal(store.similarities(near, pairs), whole)
