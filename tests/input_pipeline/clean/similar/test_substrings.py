"""Spans that are cut, beside a dictionary of every run of words as it stands in the text."""

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline.clean.record import CHANGED, REMOVED, Record, excerpt
from input_pipeline.clean.similar import substrings

pytestmark = pytest.mark.fast
WORD = re.compile(r"\w+")


def cut(texts: list[str], size: int, num_partitions: int = 3, block: int = 2) -> tuple[list[str | None], list]:
    """What becomes of the texts, by blocks and an exchange; None for one that is removed."""
    blocks = [texts[i : i + block] for i in range(0, len(texts), block)]
    spans = [substrings.emit(each, size=size) for each in blocks]
    starts = np.concatenate([[0], np.cumsum([each.num_words for each in spans])])
    keys = np.concatenate([np.zeros(0, np.uint64), *(each.keys_M for each in spans)])
    places = np.concatenate([np.zeros(0, np.int64), *(e.places_M + s for e, s in zip(spans, starts, strict=False))])
    partitions = [keys % np.uint64(num_partitions) == p for p in range(num_partitions)]
    found = np.sort(np.concatenate([substrings.repeats(keys[p], places[p], size=size) for p in partitions]))
    left: dict[str, str] = {}
    entries = []
    for number, each in enumerate(blocks):
        low, high = np.searchsorted(found, starts[number : number + 2])
        records = [Record(str(number * block + i), text) for i, text in enumerate(each)]
        kept, told = substrings.cut(records, found[low:high] - starts[number], size=size)
        left |= {record.id: record.text for record in kept}
        entries += told
    return [left.get(str(i)) for i in range(len(texts))], entries


def _words(rng: random.Random, count: int) -> str:
    return "— ".join(f"{rng.choice('abé')}{rng.getrandbits(30)}🙂" for _ in range(count))


def cut_slowly(texts: list[str], size: int) -> list[str | None]:
    first: dict[str, int] = {}
    place, found = 0, []
    for text in texts:
        matches = list(WORD.finditer(text))
        is_cut = [False] * len(text)
        for i in range(len(matches) - size + 1):
            low, high = matches[i].start(), matches[i + size - 1].end()
            if place + i >= first.setdefault(text[low:high], place + i) + size:
                is_cut[low:high] = [True] * (high - low)
        place += len(matches)
        left = "".join(character for character, gone in zip(text, is_cut, strict=True) if not gone)
        found.append(left if WORD.search(left) or not any(is_cut) else None)
    return found


@settings(deadline=None)  # the first call makes a table
@given(st.lists(st.text(alphabet="ab é\n.", max_size=60), max_size=7), st.integers(1, 4))
def test_what_is_left_is_what_a_dictionary_leaves(texts, size):
    assert cut(texts, size)[0] == cut_slowly(texts, size)


def test_passages_that_stand_in_an_earlier_text_are_cut_whole():
    rng = random.Random(0)
    passages, own = ([_words(rng, n) for n in counts] for counts in ((49, 50, 80, 200), [30] * 8))
    texts = [f"{own[i]}. {passage} {own[i + 4]}" for i, passage in enumerate(passages)]
    texts += [f"{own[3 - i]}, {passage} {own[i]}" for i, passage in enumerate(passages)]
    left, entries = cut(texts, 50)
    assert left[:5] == texts[:5]
    assert left[5:] == [f"{own[3 - i]}, 🙂 {own[i]}" for i in (1, 2, 3)]
    told = [(entry.id, entry.value, entry.threshold, entry.action) for entry in entries]
    assert told == [("5", 50, 50, CHANGED), ("6", 80, 50, CHANGED), ("7", 200, 50, CHANGED)]
    assert all(entry.excerpt == excerpt(passages[i + 1]) for i, entry in enumerate(entries))


def test_spans_that_differ_in_a_capital_or_a_comma_stay():
    words = " ".join(f"word{i}" for i in range(60))
    texts = [words, words.replace("word30 ", "word30, "), words.replace("word30", "Word30"), words.replace(" ", "  ")]
    assert cut(texts, 50)[0] == texts


def test_a_text_that_stands_before_is_removed_and_one_of_no_words_stays():
    text = " ".join(f"word{i}" for i in range(50))
    left, entries = cut([text, f"({text})", "...", "", text], 50)
    assert left == [text, None, "...", "", None]
    assert [(entry.id, entry.action, entry.rule) for entry in entries] == [
        ("1", REMOVED, "substrings.repeat"),
        ("4", REMOVED, "substrings.repeat"),
    ]


def test_of_one_word_again_and_again_the_first_span_is_left():
    assert cut(["ha " * 1000], 50)[0] == ["ha " * 50 + " "]


@pytest.mark.parametrize("block", [1, 3, 7])
@pytest.mark.parametrize("num_partitions", [1, 5])
def test_neither_blocks_nor_partitions_make_a_difference(block, num_partitions):
    rng = random.Random(1)
    texts = [" ".join(rng.choices("abc", k=rng.randrange(40))) for _ in range(7)]
    assert cut(texts, 4, num_partitions, block) == cut(texts, 4)
    assert any(left != text for left, text in zip(cut(texts, 4)[0], texts, strict=True))
