"""Damaged text is mended as ftfy mends it, and HTML becomes text."""

import time
import unicodedata

import ftfy
import pytest
from awkward_texts import PROSE, TEXTS, run, texts_of
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.fast

damaged = st.lists(
    st.sampled_from(
        ["schÃ¶n", "â€œquotedâ€\x9d", "&amp;", "&eacute;", "<", "plain words", "\r\n", "\n", "\r", "ﬁ", "“x”"]
    )
    | st.sampled_from(["\uff21\uff22", "\x1b[36m", "\x07", "\ud83d\ude00", "e\u0301", "\x85", "漢字", "é", "\u2028"])
).map("".join)


@settings(max_examples=200, deadline=None)
@given(damaged)
def test_text_is_mended_as_ftfy_mends_it(text):
    expected = ftfy.fix_text(text, uncurl_quotes=False, unescape_html="<" not in text)
    assert texts_of(run("fix_text", [text])) == [expected]


def test_texts_that_ftfy_would_keep_are_kept_without_an_entry():
    kept = [text for text in TEXTS if ftfy.fix_text(text, uncurl_quotes=False, unescape_html="<" not in text) == text]
    assert len(kept) > 10
    outcome = run("fix_text", kept)
    assert (texts_of(outcome), outcome.entries) == (kept, [])


def test_the_ledger_says_how_many_lines_were_mended():
    (entry,) = run("fix_text", ["plain\nschÃ¶n\ndÃ©jÃ  vu\n"]).entries
    assert (entry.rule, entry.value, entry.action) == ("fix_text.lines", 2, "changed")
    assert texts_of(run("fix_text(uncurl_quotes=True)", ["“x”"])) == ['"x"']


any_text = st.text(
    st.sampled_from("ab é\u0301\r\n\t\x00\x07\x0b\x85\u2028\u00a0\u3000\ufeff\u200d\U0001f469 漢") | st.characters()
)


def normalized(text, empty_lines):
    """The form of a text, one character and one line at a time."""
    text = text.replace("\r\n", "\n")
    text = "".join("\n" if c in "\r\x0b\x0c\x85\u2028\u2029" else c for c in text)
    gone = {"\ufeff", "\ufff9", "\ufffa", "\ufffb", "\ufffe", "\uffff"}
    text = "".join(c for c in text if c in "\t\n" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in gone))
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)
    lines = [line.rstrip(" \t") for line in text.split("\n")]
    kept = []
    for line in lines:
        if line or (kept and any(kept[-empty_lines:] or [""] if empty_lines else [])):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return "\n".join(kept)


@settings(max_examples=300, deadline=None)
@given(any_text, st.integers(0, 3))
def test_texts_get_one_form(text, empty_lines):
    (found,) = texts_of(run(f"normalize({empty_lines})", [text]))
    assert found == normalized(text, empty_lines)
    assert run(f"normalize({empty_lines})", [found]).entries == []


@pytest.mark.parametrize("empty_lines", [0, 1, 2])
def test_empty_lines_are_few(empty_lines):
    text = "a\n" + " \r\n" * 4 + "b\nc"
    assert texts_of(run(f"normalize({empty_lines})", [text])) == ["a" + "\n" * (empty_lines + 1) + "b\nc"]


def test_the_form_of_awkward_texts_is_found_in_time_linear_in_the_text():
    start_s = time.perf_counter()
    outcome = run(
        "normalize|normalize(one_space=True)|boilerplate",
        [*TEXTS, *(unit * 400_000 for unit in " \t.\n-0"), " \n" * 200_000],
    )
    assert len(outcome.records) == len(TEXTS) + 7
    assert time.perf_counter() - start_s < 20
    assert texts_of(run("normalize(one_space=True)", ["  a \t b  \n c"])) == [" a b\n c"]


PAGE = """<!DOCTYPE html><html><head><title>News</title><style>p {color: red}</style></head><body>
<nav><ul><li><a href="/">Home</a></li></ul></nav><script>alert("x < y")</script>
<article><p>Caf&eacute; &amp; more&nbsp;&#8212; it is <b>open</b>.</p><p>Second <!-- hidden --> paragraph,
with enough words to be taken for the main content of this page.</p></article></body></html>"""


def test_html_becomes_text():
    (record,) = run("html", [PAGE], format="html", url="u").records
    assert "Café & more\xa0— it is open." in record.text
    assert not any(mark in record.text for mark in ("<", "alert", "color", "hidden", "&eacute;"))
    assert record.fields == {"format": "text", "url": "u"}


def test_main_content_leaves_menus_out():
    assert "Home" in texts_of(run("html", [PAGE], format="html"))[0]
    (text,) = texts_of(run("html(main_content=True)", [PAGE], format="html"))
    assert "Home" not in text
    assert "Second paragraph" in text.replace("\n", " ")


def test_only_html_is_read_as_html():
    for fields in ({}, {"format": "text"}):
        outcome = run("html", ["1 < 2 <b>"], **fields)
        assert (texts_of(outcome), outcome.entries) == (["1 < 2 <b>"], [])


def test_html_without_text_is_removed():
    outcome = run("html", ["", "<p> </p>", "<script>x</script>"], format="html")
    assert [(entry.rule, entry.action) for entry in outcome.entries] == [("html.chars", "removed")] * 3


def test_hostile_html_ends_soon():
    pages = [
        "<div>" * 100_000 + PROSE,
        "<b><i>" * 20_000,
        "half \ud800 a pair",
        "a\x00b",
        "<" * 100_000,
        "<a " + "b=c " * 9999,
    ]
    pages += [*TEXTS, "<li>" * 50_000 + PROSE, "<table><tr><td>" * 10_000 + PROSE]
    start_s = time.perf_counter()
    for line in ("html", "html(main_content=True)"):
        outcome = run(line, pages, format="html")
        assert len(outcome.records) + sum(entry.action == "removed" for entry in outcome.entries) == len(pages)
    assert "html.depth" in {entry.rule for entry in outcome.entries}
    assert time.perf_counter() - start_s < 30
