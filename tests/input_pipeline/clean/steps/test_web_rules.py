"""C4's rules against the code that made C4, FineWeb's against a plain reading of the paper; boilerplate."""

import re
import unicodedata

import pytest
from awkward_texts import PROSE, TEXTS, run, texts_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_datasets.text import c4_utils

from configs import clean_text
from input_pipeline.clean.steps.text.c4 import num_sentences_of
from input_pipeline.clean.steps.text.lines import TERMINAL

pytestmark = pytest.mark.fast

LINES = (
    *("This line has enough words in it.", "And so does this one, has it not?", "It does! It really does, they said."),
    *(
        "no mark at the end of this line",
        "Too short.",
        "An ellipsis ends the words here...",
        'He said "so be it then."',
    ),
    *(
        "Please enable JavaScript to see this page.",
        "This site uses cookies and has a Privacy Policy.",
        "It's 'done now'",
    ),
    *("A fact that wants a source.[12]", "Another one [citation needed] with no source.[edit]", "Braces { in a line."),
    *(
        "Lorem ipsum dolor sit amet for you.",
        "lorem ipsum without an end",
        "{ } no end",
        f"A {'long' * 251} word is here.",
    ),
    *("", "   ", "\tIndented words are here as well. ", "Is 漢字 a word here, or not?", "Ends with a quote.'"),
)


def cleaned(text, **thresholds):
    """A page as TFDS cleans it, None if it goes; sentences as ours, since NLTK's model must be downloaded."""
    citation = c4_utils.get_clean_page_fn().keywords["citation_regex"]
    page = c4_utils.PageFeatures(text=text)
    pages = list(c4_utils.clean_page(page, citation, counter_inc_fn=lambda *_: None, **thresholds))
    return pages[0].text if pages else None


@pytest.fixture(autouse=True)
def _sentences(monkeypatch):
    monkeypatch.setattr(c4_utils, "_get_sentences", lambda line: [line] * num_sentences_of(line))


@pytest.mark.parametrize("line", ["c4", "c4(3, 5)", "c4(min_sentences=0)"])
@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from(LINES), max_size=9).map("\n".join), max_size=3))
def test_pages_are_cleaned_as_the_code_of_c4_does(line, texts):
    thresholds = {
        "c4": {},
        "c4(3, 5)": dict(min_words_per_line=3, min_num_sentences=5),
        "c4(min_sentences=0)": dict(min_num_sentences=0),
    }[line]
    expected = [cleaned(text, **thresholds) for text in texts]
    assert texts_of(run(line, texts)) == [text for text in expected if text is not None]


def test_awkward_pages_are_cleaned_as_the_code_of_c4_does():
    expected = [cleaned(text) for text in TEXTS]
    assert texts_of(run("c4", TEXTS)) == [text for text in expected if text is not None]
    assert 0 < expected.count(None) < len(TEXTS)


def test_lines_without_an_end_stay_if_wanted():
    page = "\n".join(["no mark at the end of this line"] * 3)
    assert texts_of(run("c4(end_marks='')", [page])) == [page]
    assert [entry.rule for entry in run("c4", [page]).entries] == ["c4.sentences"]


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("One.", 1),
        ("One. Two! Three?", 3),
        ('He said "no." Then he left.', 2),
        ("It was 3.5 percent of 7.1 in all.", 1),
        ("It cost 5 dollars, i.e. not much.", 1),
        ("No end", 1),
        ("Wait... What?!  Yes.", 3),
    ],
)
def test_sentences_are_counted_without_a_model(line, sentences):
    assert num_sentences_of(line) == sentences


def test_the_ledger_says_why_a_page_went():
    pages = [PROSE + "\nBraces { in a line of five words.", PROSE + "\nLorem ipsum in a line of words."]
    assert [(entry.rule, entry.value) for entry in run("c4", pages).entries] == [
        ("c4.curly_bracket", 1),
        ("c4.lorem_ipsum", 1),
    ]
    (entry,) = run("c4", [PROSE]).entries
    assert (entry.rule, entry.value, entry.action) == ("c4.lines", 1, "changed")


ENDS = ".!?。؟।\u203d\uff01\uff1f"


def quality(text):
    """(rule, value) of the first of FineWeb's rules that a text breaks, or None."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return "ended_lines", 0
    shares = {
        "ended_lines": sum(line[-1] in ENDS for line in lines) / len(lines),
        "short_lines": sum(len(line) <= 30 for line in lines) / len(lines),
        "duplicate_chars": sum(len(line) for i, line in enumerate(lines) if line in lines[:i])
        / len(text.replace("\n", "")),
        "new_lines": text.count("\n") / len(text.split()),
    }
    limits = {"short_lines": 0.67, "duplicate_chars": 0.01, "new_lines": 0.3}
    if shares["ended_lines"] < 0.12:
        return "ended_lines", shares["ended_lines"]
    return next(((name, shares[name]) for name, most in limits.items() if shares[name] > most), None)


short = st.sampled_from(
    ["yes.", "no", "a list of things", "漢字。", "what?", "  ", "", " x!", "a longer line " * 4 + "."]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(short, max_size=12).map("\n".join), max_size=3))
def test_lists_meet_the_rules_of_fineweb(texts):
    check_fineweb(texts)


def test_awkward_texts_meet_the_rules_of_fineweb():
    check_fineweb(TEXTS)


def check_fineweb(texts):
    expected = [
        value and (str(place), f"fineweb.{value[0]}", round(value[1], 6))
        for place, value in enumerate(map(quality, texts))
    ]
    outcome = run("fineweb", texts)
    assert [(entry.id, entry.rule, entry.value) for entry in outcome.entries] == [found for found in expected if found]
    assert texts_of(outcome) == [text for text, found in zip(texts, expected, strict=True) if not found]


def test_marks_that_end_a_sentence_are_punctuation_of_many_scripts():
    assert set(ENDS) <= TERMINAL
    assert not TERMINAL & set(",;:…\"'-)ab1 ")
    assert {unicodedata.category(mark) for mark in TERMINAL} <= {"Po", "Cn"}  # Cn: newer than Python's tables
    assert len(TERMINAL) == 154


def test_notices_go_and_what_is_said_of_them_stays():
    text = (
        "We use cookies on this site.\nPROSE about use of cookies "
        + "word " * 12
        + "\nSign in\n1,024 likes\nRead on. Read more"
    )
    outcome = run("boilerplate", [text, PROSE, "", "word"])
    assert texts_of(outcome)[0] == text.split("\n")[1]
    assert texts_of(outcome)[1:] == [PROSE, "", "word"]
    (entry,) = outcome.entries
    assert (entry.rule, entry.value, entry.action) == ("boilerplate.lines", 4, "changed")
    assert "Sign in 1,024 likes" in entry.excerpt


def test_documents_of_notices_go_if_wanted():
    text = "Sign in\n" + PROSE
    share = 2 / len(text.split())
    assert texts_of(run(f"boilerplate(most={share + 1e-6})", [text])) == [PROSE]
    (entry,) = run("boilerplate(most=0.01)", [text]).entries
    assert (entry.rule, entry.value, entry.threshold) == ("boilerplate.words", pytest.approx(share, abs=1e-6), 0.01)


def test_presets_run_from_html_to_text():
    page = "<html><body><article><h1>Title</h1>" + "".join(
        f"<p>{re.sub('one', str(number), paragraph)} It was said {number} times on that day, as I recall.</p>"
        for number, paragraph in enumerate(PROSE.split("\n") * 2)
        if paragraph and number < 4
    )
    for name, line in clean_text.STEPS.items():
        outcome = run(line, [page + "</article></body></html>", "<p>Short</p>"], format="html")
        assert [record.id for record in outcome.records] == ["0"], (name, outcome.entries)
        assert outcome.records[0].fields["language"] == "en"
