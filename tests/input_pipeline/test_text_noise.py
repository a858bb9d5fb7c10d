"""Noisy documents: as much noise as was asked, from names alone, in training text and nowhere else."""

import difflib
import re

import numpy as np
import pytest

from input_pipeline import hashing, synthetic, text_noise
from input_pipeline.documents import BadRecord
from input_pipeline.sources import Memory
from input_pipeline.spec import Data, Ingredient
from input_pipeline.text_noise import Case, Typos

pytestmark = pytest.mark.fast

STORY = synthetic.text(3, num_bytes=200_000).decode()
KEY = hashing.key("a document")
LINE = "case(0.1)|typos(0.02)"


def test_words_change_their_case_alone():
    found = Case(0.2)(STORY, KEY)
    assert found.lower() == STORY.lower()
    words, noisy = (re.findall(r"[A-Za-z]+", text) for text in (STORY, found))
    changed = [(word, other) for word, other in zip(words, noisy, strict=True) if word != other]
    assert len(changed) / len(words) == pytest.approx(0.2, abs=0.01)
    assert {other for word, other in changed if word == "went"} == {"WENT", "Went"}
    assert {other for word, other in changed if word == "Dana"} <= {"dana", "DANA", "dANA"}
    assert Case(0.5)("12 34. !\n", KEY) == "12 34. !\n"


def test_letters_are_mistyped_in_every_way_and_as_often_as_asked():
    found = Typos(0.02)(STORY, KEY)
    letters = sum(map(str.isalpha, STORY))
    steps = [
        step for line, other in zip(STORY.split("\n"), found.split("\n"), strict=True) for step in edits(line, other)
    ]
    assert 0.019 < len(steps) / letters < 0.025  # two letters that change places are two edits
    kinds = {kind for kind, _, _ in steps}
    assert kinds == {"delete", "insert", "replace"}
    keys = [(before, after) for kind, before, after in steps if kind == "replace" and len(before) == len(after) == 1]
    beside = [after.lower() in text_noise._BESIDE[before.lower()] for before, after in keys]
    assert np.mean(beside) > 0.95, "but for edits that stand side by side"
    assert all(before.isupper() == after.isupper() for (before, after), near in zip(keys, beside, strict=True) if near)
    assert re.sub(r"[A-Za-z]", "", found) == re.sub(r"[A-Za-z]", "", STORY), "more than letters changed"


def edits(line, other):
    matcher = difflib.SequenceMatcher(None, line, other, autojunk=False)
    return [(kind, line[a:b], other[c:d]) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"]


def test_the_ways_to_mistype_a_letter():
    assert text_noise._mistyped("a", "b") == [("", "b"), ("aa", "b"), ("s", "b"), ("b", "a")]
    assert text_noise._mistyped("S", ".") == [("", "."), ("SS", "."), ("A", "."), ("D", ".")]
    assert text_noise._mistyped("é", "") == [("", ""), ("éé", "")]
    assert {len(beside) for beside in text_noise._BESIDE.values()} == {1, 2}
    assert len(text_noise._BESIDE) == 26


def test_long_documents_draw_piece_by_piece(monkeypatch):
    places = [place for place, _ in text_noise._chosen(KEY, 200_000, 0.05)]
    assert places == sorted(set(places))
    np.testing.assert_allclose(np.histogram(places, bins=10, range=(0, 200_000))[0], 1000, rtol=0.15)
    choices = [choice for _, choice in text_noise._chosen(KEY, 200_000, 0.05)]
    np.testing.assert_allclose(np.histogram(choices, bins=5, range=(0, 1))[0], 2000, rtol=0.1)


class Broken(Memory):
    def read(self, i):
        if i == 1:
            raise BadRecord("no text")
        return super().read(i)


def test_documents_stay_what_they_are_but_for_their_noise():
    texts = (STORY[:2000].encode(), b"", STORY[:2000].encode(), b"caf\xe9 \xff\xfe au lait " * 20)
    source = Broken(texts)
    found = text_noise.noisy(source, LINE)
    assert len(found) == 4
    assert [found.name(i) for i in range(4)] == [source.name(i) for i in range(4)]
    assert found.read(0) == text_noise.noisy(source, LINE).read(0) != texts[0]
    assert found.read(0) != found.read(2), "noise comes from the name"
    assert found.num_bytes(0) == len(found.read(0))
    assert found.read(3).count(b"\xff\xfe") == 20
    with pytest.raises(BadRecord, match="no text"):
        found.read(1)
    prints = {text_noise.noisy(source, line).fingerprint() for line in ("", LINE, "case(0.1)", "typos(0.02)|case(0.1)")}
    assert len(prints) == 4
    assert text_noise.noisy(source, "") is source


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cases(0.1)", r"expected one of case, typos, got 'cases'; write case\(rate: float\)"),
        ("typos", r"expected typos\(rate: float\), got 'typos.*missing a required argument"),
        ("typos(1.0)", r"rate: expected a number between 0 and 1, got 1.0"),
        ("case(", r"expected operations such as"),
    ],
)
def test_mistakes_in_a_line_are_found_when_the_spec_is_made(line, says):
    with pytest.raises(ValueError, match=rf"^data\.text_noise: .*{says}"):
        Data(seq_len=8, source="memory", documents=("a",), text_noise=line)
    with pytest.raises(ValueError, match=rf"^data\.mixture\.a\.text_noise: .*{says}"):
        Data(seq_len=8, mixture={"a": Ingredient(source="memory", documents=("a",), text_noise=line)})


def test_noise_is_frozen():
    """Stores of tokens are named by it. Where it must change, `text_noise.FORMAT` changes too."""
    assert text_noise.FORMAT == "text noise 1"
    found = text_noise.noisy(
        Memory((b"It is my silver kettle, said Ada to Bruno at the harbour.",)), "case(0.3)|typos(0.1)"
    )
    assert found.read(0) == b"IT is m silvree KETTLEE, sai Ada to Bruno at The harnour."
