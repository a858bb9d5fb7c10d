"""Gopher's rules against a plain reading of the paper, one document and one rule at a time."""

import re
import string
from collections import Counter

import numpy as np
import pytest
from awkward_texts import PROSE, TEXTS, run
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline.clean.record import Record
from input_pipeline.clean.steps.text.gopher_quality import GopherQuality
from input_pipeline.clean.steps.text.gopher_repetition import GopherRepetition
from input_pipeline.clean.steps.text.words import analyse

pytestmark = pytest.mark.fast

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def quality(text):
    """(rule, value) of the first rule of appendix A.1.1 that a text breaks, or None."""
    words = text.split()
    spoken = [word for word in words if any(c.isalnum() for c in word)]
    if not 50 <= len(spoken) <= 100_000:
        return ("min_words" if len(spoken) < 50 else "max_words"), len(spoken)
    mean = sum(map(len, spoken)) / len(spoken)
    if not 3 <= mean <= 10:
        return ("min_mean_word_length" if mean < 3 else "max_mean_word_length"), mean
    for rule, count in (("hash_ratio", text.count("#")), ("ellipsis_ratio", text.count("...") + text.count("…"))):
        if count / len(words) > 0.1:
            return rule, count / len(words)
    lines = text.splitlines()
    bullets = sum(line.strip()[:1] in ("•", "-") and bool(line.strip()) for line in lines) / len(lines)
    if bullets > 0.9:
        return "bullet_lines", bullets
    ellipses = sum(line.rstrip()[-3:] == "..." or line.rstrip()[-1:] == "…" for line in lines) / len(lines)
    if ellipses > 0.3:
        return "ellipsis_lines", ellipses
    letters = sum(any(c.isalpha() for c in word) for word in words) / len(words)
    if letters < 0.8:
        return "alphabetic_words", letters
    stops = len(STOP_WORDS & set(words))
    return ("stop_words", stops) if stops < 2 else None


def repetition(text):
    """(rule, value) of the first row of table A1 that a text breaks, or None."""
    if not text:
        return None
    paragraphs = re.split(r"\n{2,}", text.strip())
    lines = [line for line in re.split(r"\n+", text) if line]
    for name, parts in (("paragraph", paragraphs), ("line", lines)):
        copies = [part for place, part in enumerate(parts) if part in parts[:place]]
        if parts and len(copies) / len(parts) > 0.3:
            return f"{name}s", len(copies) / len(parts)
        if sum(map(len, copies)) / len(text) > 0.2:
            return f"{name}_chars", sum(map(len, copies)) / len(text)
    words = text.split()
    for n, most in ((2, 0.20), (3, 0.18), (4, 0.16)):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        if grams:
            gram, count = Counter(grams).most_common(1)[0]
            if (share := count * len(" ".join(gram)) / len(text)) > most:
                return f"top_{n}_gram", share
    for n, most in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
        seen, chars, place = set(), 0, 0
        while place + n <= len(words):
            gram = tuple(words[place : place + n])
            chars += len("".join(gram)) if gram in seen else 0
            place += n if gram in seen else 1
            seen.add(gram)
        if chars / len(text) > most:
            return f"dup_{n}_grams", chars / len(text)
    return None


REFERENCES = {"gopher_quality": quality, "gopher_repetition": repetition}


def found(name, texts):
    """(rule, value) for each text that an operation removes, None for one that stays."""
    outcome = run(name, texts)
    entries = {entry.id: (entry.rule.removeprefix(f"{name}."), pytest.approx(entry.value)) for entry in outcome.entries}
    assert {record.id for record in outcome.records} | set(entries) == set(map(str, range(len(texts))))
    return [entries.get(str(place)) for place in range(len(texts))]


@pytest.mark.parametrize("name", REFERENCES)
def test_awkward_texts_meet_the_rule_of_the_paper(name):
    expected = [REFERENCES[name](text) for text in TEXTS]
    assert found(name, TEXTS) == [value and (value[0], round(value[1], 6)) for value in expected]
    assert None in expected


def test_awkward_texts_break_most_rules():
    rules = {reference(text)[0] for reference in REFERENCES.values() for text in TEXTS if reference(text)}
    assert len(rules) >= 12, rules


words = st.sampled_from([*STOP_WORDS, "#", "-", "...", "•", "…", "word", "12", "prolonged", "ünï", "漢字", "👍"])
joins = st.sampled_from([" ", " ", " ", "\n", "\n\n", "...\n", "\r\n", "\t"])


@pytest.mark.parametrize("name", REFERENCES)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(words, joins), max_size=90).map(lambda x: "".join(a + b for a, b in x)), max_size=4))
def test_any_texts_meet_the_rule_of_the_paper(name, texts):
    assert found(name, texts) == [value and (value[0], round(value[1], 6)) for value in map(REFERENCES[name], texts)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=30, max_size=200), st.integers(0, 4))
def test_repeated_passages_are_counted_as_the_paper_does(numbers, copies):
    rng = np.random.default_rng(0)
    passage = ["".join(rng.choice(list(string.ascii_letters), 6)) for _ in range(12)]
    text = " ".join([*(f"w{number}" for number in numbers), *(passage * copies), *map(str, range(300))])
    value = repetition(text)
    assert found("gopher_repetition", [text]) == [value and (value[0], round(value[1], 6))]


@pytest.mark.parametrize("step", [GopherQuality(), GopherRepetition()])
def test_a_records_fate_does_not_depend_on_its_neighbours(step):
    records = [Record(str(place), text) for place, text in enumerate(TEXTS)]
    together = step(records)
    alone = [step([record]) for record in records]
    assert together.records == [record for outcome in alone for record in outcome.records]
    assert together.entries == [entry for outcome in alone for entry in outcome.entries]


def test_words_are_found_once_for_operations_that_follow_one_another():
    texts = [PROSE + str(number) for number in range(4)]
    first = analyse(texts)
    assert analyse(texts) is first
    some = analyse([texts[3], texts[1]])
    assert some.vocabulary is first.vocabulary
    fresh = analyse([texts[3] + " ", texts[1]])
    assert fresh.vocabulary is not first.vocabulary
    assert [fresh.vocabulary.words[i] for i in fresh.ids_W] == [some.vocabulary.words[i] for i in some.ids_W]


def test_thresholds_are_arguments_and_stand_in_the_ledger():
    assert not run("gopher_quality(min_words=1, min_mean_word_length=0)", [PROSE[:60]]).entries
    (entry,) = run("gopher_quality(min_words=200)", [PROSE]).entries
    assert (entry.rule, entry.value, entry.threshold) == ("gopher_quality.min_words", len(PROSE.split()), 200)
    assert entry.excerpt == " ".join(PROSE.split())[:200]


@pytest.mark.parametrize(
    "line",
    ["gopher_quality(-1)", "gopher_quality(50, 40)", "gopher_quality(max_bullet_lines=2)", "gopher_repetition(30)"],
)
def test_thresholds_out_of_range_are_refused(line):
    with pytest.raises(ValueError, match="expected a"):
        run(line, [])
