"""Rules that compare documents with files: lists of words, evaluation sets; and the language of a text."""

import json
import re

import pytest
from awkward_texts import PROSE, TEXTS, run, texts_of
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline.clean.steps.text import decontaminate, toxicity

pytestmark = pytest.mark.fast


# --- lists of words ---


phrases = st.lists(
    st.sampled_from(["bad", "very bad", "a$$", "Übel", "😀", "bad word", "x-y", "悪い"]), min_size=1, max_size=4
)
sentences = st.lists(
    st.sampled_from(["bad", "BAD", "badly", "very", "a$$", "übel,", "😀", "word.", "x-y", "悪い", "_bad_"])
)


@settings(max_examples=200, deadline=None)
@given(phrases, sentences)
def test_listed_phrases_are_found_where_c4_finds_them(words, sentence):
    text = " ".join(sentence)
    pattern = "|".join(re.escape(word.lower()) for word in words)
    expected = re.search(rf"(?:\W|^)({pattern})(?:\W|$)", text.lower()) is not None
    assert (toxicity.count(text, toxicity.listed(words)) > 0) == expected
    inside = any(word.lower() in text.lower() for word in words)
    assert (toxicity.count(text, toxicity.listed(words), inside_words=True) > 0) == inside


def test_phrases_are_not_found_inside_words_though_their_first_word_is_there():
    assert toxicity.count("xa$$ a$$x a", toxicity.listed(["a$$"])) == 0
    assert toxicity.count("a$$, xa$$", toxicity.listed(["a$$"])) == 1


def test_documents_with_many_listed_words_go(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("darn\nbloody hell\n\n")
    texts = ["Darn it, " + "word " * 8, "bloody hell darn", "darning", ""]
    outcome = run(f"toxicity(('{path}',))", texts)
    assert [(entry.id, entry.rule, entry.value) for entry in outcome.entries] == [
        ("0", "toxicity.listed_words", 0.1),
        ("1", "toxicity.listed_words", round(2 / 3, 6)),
    ]
    assert texts_of(run(f"toxicity(('{path}',), 0.1)", texts)) == [texts[0], texts[2], texts[3]]
    assert texts_of(run(f"toxicity(('{path}',), inside_words=True)", texts)) == [""]


def test_lists_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    for files, message in (
        ("()", "expected lists"),
        ("('no.txt',)", "readable"),
        (f"('{tmp_path}/empty.txt',)", "got none"),
    ):
        with pytest.raises(ValueError, match=message):
            run(f"toxicity({files})", [])


# --- evaluation sets ---


def shared(text, items, ngram):
    """Places of a text whose n-gram of words stands in an item."""

    def grams(text):
        words = re.findall(r"\w+", text.lower())
        return [tuple(words[i : i + ngram]) for i in range(len(words) - ngram + 1)]

    known = {gram for item in items for gram in grams(item)}
    return sum(gram in known for gram in grams(text))


few_words = st.lists(st.sampled_from(["the", "Cat", "sat,", "on", "a", "mat", "漢字", "it's"]), max_size=30).map(
    " ".join
)


@settings(max_examples=200, deadline=None)
@given(st.lists(few_words, min_size=1, max_size=4), few_words, st.integers(1, 5))
def test_shared_ngrams_are_counted_as_a_set_of_them_counts(items, text, ngram):
    known = decontaminate.index([*items, "the end of all of it"], ngram)
    assert known.num_shared(text) == shared(text, [*items, "the end of all of it"], ngram)


def test_documents_with_a_question_of_an_evaluation_set_go(tmp_path):
    question = "How many roads must a man walk down, before you can call him a man at all?"
    (tmp_path / "eval.jsonl").write_text(
        json.dumps({"id": 1, "q": {"text": question}, "options": ["42", PROSE]}) + "\n\n"
    )
    texts = [PROSE, f"x {question.upper().replace(',', ' --')} y", question.replace("call", "name"), *TEXTS[:5]]
    outcome = run(f"decontaminate(('{tmp_path}/eval.jsonl',))", texts)
    words = len(re.findall(r"\w+", PROSE))
    assert [(entry.id, entry.value) for entry in outcome.entries] == [("0", words - 12), ("1", 17 - 12)]
    assert run(f"decontaminate(('{tmp_path}/eval.jsonl',), most={words})", texts).entries == []
    (tmp_path / "eval.txt").write_text(question)
    assert [entry.id for entry in run(f"decontaminate(('{tmp_path}/eval.txt',))", texts).entries] == ["1"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("a.jsonl", '{"q": "x"}\n{', "line 2"), ("a.txt", "too short", "13 words or more"), ("b.txt", None, "readable")],
)
def test_evaluation_sets_that_say_nothing_are_refused(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        run(f"decontaminate(('{tmp_path}/{name}',))", [])


# --- languages ---


SPOKEN = {
    "en": PROSE,
    "de": "Es war die beste und die schönste Zeit, aber niemand hatte eine Antwort auf diese Frage gefunden.",
    "fr": "C'était le meilleur et le pire des temps, et personne n'avait trouvé la réponse à cette question.",
    "zh": "这是最好的时代\uff0c也是最坏的时代\uff0c没有人找到这个问题的答案。",
}


def test_documents_in_the_wanted_languages_stay():
    outcome = run("language(('en', 'fr'))", SPOKEN.values(), label=3)
    assert [record.fields["language"] for record in outcome.records] == ["en", "fr"]
    assert all(
        0.65 <= record.fields["language_score"] <= 1 and record.fields["label"] == 3 for record in outcome.records
    )
    assert [(entry.rule, entry.value, entry.threshold) for entry in outcome.entries] == [
        ("language.code", "de", "en or fr"),
        ("language.code", "zh", "en or fr"),
    ]


def test_documents_of_which_little_is_sure_go():
    outcome = run("language('en', 1.0)", [PROSE[:40]])
    assert [(entry.rule, entry.threshold) for entry in outcome.entries] == [("language.score", 1.0)]
    assert 0 < outcome.entries[0].value < 1
    assert len(run("language('en')", TEXTS).records) < len(TEXTS)


def test_languages_are_looked_at_in_the_middle():
    text = SPOKEN["de"] * 20 + PROSE * 30 + SPOKEN["de"] * 20
    assert run("language('en', chars=500)", [text]).entries == []


@pytest.mark.parametrize(
    "line", ["language('english')", "language(())", "language('en', 65)", "language('en', chars=0)"]
)
def test_languages_that_are_none_are_refused(line):
    with pytest.raises(ValueError, match="expected"):
        run(line, [])
