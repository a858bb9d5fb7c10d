"""Text as it comes, beside the obvious: decode everything, and look for the stop strings from the front."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from input_pipeline.tokenizer import Bytes
from train.transcript import Transcript

ALPHABET = "ab\né\u20ac\U0001f600\ufffd"  # of one to four bytes; the last is what decoders write for broken ones


def naive(text: str, stop: list[str]) -> tuple[str, bool]:
    """Character by character: the text before the longest stop string that ends first."""
    for end in range(1, len(text) + 1):
        ending = [string for string in stop if text[:end].endswith(string)]
        if ending:
            return text[: end - max(map(len, ending))], True
    return text, False


@settings(deadline=None, max_examples=600, derandomize=True)
@given(
    content=st.one_of(st.text(ALPHABET, max_size=24).map(str.encode), st.binary(max_size=12)),
    cuts=st.lists(st.integers(1, 5), max_size=40),
    stop=st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=3),
)
@example(content=b"xabcd", cuts=[1] * 5, stop=["abcd", "bc"])
@example(content=b"xabcd", cuts=[], stop=["abcd", "bc"])
@example(content=b"xabc", cuts=[1] * 4, stop=["bc", "abc"])
@example(content="é€".encode(), cuts=[1] * 5, stop=["€"])
@example(content=b"aab", cuts=[1] * 3, stop=["ab"])
@example(content=b"a\xe2", cuts=[1] * 2, stop=["\ufffd"])
def test_pieces_are_the_whole_text_up_to_the_stop(content, cuts, stop):
    """However the ids are divided; and what is shown is never taken back, nor any part of a stop string."""
    transcript, shown, ids = Transcript(Bytes().decode, stop), "", list(content)
    expected, is_stopped = naive(content.decode("utf-8", "replace"), stop)
    for size in [*cuts, len(ids)]:
        shown += transcript.add(ids[:size])
        del ids[:size]
        assert expected.startswith(shown)
        if transcript.is_stopped:
            break
    shown += transcript.end()
    assert (shown, transcript.is_stopped) == (expected, is_stopped)


@pytest.mark.fast
def test_what_cannot_become_a_stop_string_is_shown_at_once():
    transcript = Transcript(Bytes().decode, ["\n\n", "END"])
    pieces = [transcript.add(piece.encode()) for piece in ("one\n", "two E", "Nough\n", "\n more")]
    assert pieces == ["one", "\ntwo ", "ENough", ""]
    assert transcript.is_stopped
    assert transcript.end() == ""


@pytest.mark.fast
def test_a_character_is_shown_when_it_is_whole():
    transcript = Transcript(Bytes().decode)
    assert [transcript.add([byte]) for byte in "a€".encode()] == ["a", "", "", "€"]
    assert transcript.add([0xE2]) + transcript.end() == "\ufffd"
