"""Words and their hashes, beside a regular expression and sums of Python's whole numbers."""

import numpy as np
import pytest
import slow_duplicates
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline import hashing
from input_pipeline.clean.similar import words

pytestmark = pytest.mark.fast
CHARACTERS = "ab Z_0\n\t.,-éß中文かナไทйΣ٣🙂\ud800\x00 "


def slow_hash(word: str) -> int:
    total = sum(ord(character) * pow(words.BASE, place, 2**64) for place, character in enumerate(word)) % 2**64
    return int(hashing.mix(np.array([total], np.uint64))[0])


@settings(deadline=None)  # the first call makes a table
@given(st.lists(st.text(alphabet=CHARACTERS, max_size=30), max_size=6))
def test_words_are_those_of_a_regular_expression(texts):
    found = words.read(texts)
    whole = "\n".join([*texts, ""])
    spans = [whole[start:end] for start, end in zip(found.starts_W, found.ends_W, strict=True)]
    assert spans == [word for text in texts for word in slow_duplicates.find_words(text)]
    counts = [len(slow_duplicates.find_words(text)) for text in texts]
    np.testing.assert_array_equal(np.diff(found.offsets), counts)
    assert [int(one) for one in found.hashes_W] == [slow_hash(word) for word in spans]


@settings(deadline=None)  # the first call makes a table
@given(st.text(alphabet=CHARACTERS, max_size=200), st.integers(0, 40))
def test_a_words_hash_depends_on_the_word_alone(text, shift):
    alone, after = words.read([text]), words.read(["x " * shift, text])
    np.testing.assert_array_equal(alone.hashes_W, after.hashes_W[shift:])


def test_ascii_is_no_case_of_its_own():
    np.testing.assert_array_equal(words.read(["some words"]).hashes_W, words.read(["some words 中"]).hashes_W[:2])


def test_marks_stay_with_their_words_and_unspaced_scripts_have_a_word_a_character():
    assert len(words.read(["हिन्दी भाषा"]).hashes_W) == 2
    assert len(words.read(["e\u0301te\u0301"]).hashes_W) == 1
    assert len(words.read(["日本語 ok"]).hashes_W) == 4


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("counts", [[], [0], [3], [0, 7, 1, 0, 5, 4], [1, 1, 1]])
def test_windows_lie_within_one_text(counts, size):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    owner = np.repeat(np.arange(len(counts)), counts)
    expected = [len(set(owner[i : i + size])) == 1 for i in range(len(owner) - size + 1)]
    np.testing.assert_array_equal(words.is_within(offsets, size), np.array(expected, bool))
    assert len(words.windows(np.arange(len(owner), dtype=np.uint64), size)) == len(expected)


def test_windows_differ_if_any_word_or_the_order_does():
    rows = np.random.default_rng(0).integers(0, 3, (3000, 4)).astype(np.uint64)
    hashes = [int(words.windows(row, 4)[0]) for row in rows]
    assert len(set(hashes)) == len({tuple(row) for row in rows})


def test_long_texts_are_hashed_in_chunks(monkeypatch):
    text = "some words of a long text " * 40 + "x" * 300
    whole = words.read([text])
    words._powers.cache_clear()
    monkeypatch.setattr(words, "CHUNK", 64)
    chunked = words.read([text])
    words._powers.cache_clear()
    np.testing.assert_array_equal(chunked.hashes_W, whole.hashes_W)
