"""Tokenizers lose nothing, are fitted once and always alike, and never take text for a separator."""

import pickle
import string

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from input_pipeline import tokenizer as tokenizers
from input_pipeline.sources import Memory, Synthetic
from input_pipeline.spec import Data

CORPUS = Synthetic(20, 2000)
CODE = Memory((b"def f(a):\n    if a:\n\n        return a\n\n\n  \n" * 50, b"x\n\n\ny \n z\r\n" * 50))


def _load(name, source=CORPUS):
    return tokenizers.load(Data(seq_len=8, tokenizer=name), train_source=source)


@pytest.fixture(scope="module")
def bpe(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("bpe"))
    return tokenizers.load(Data(seq_len=8, tokenizer="bpe:400", cache=cache), train_source=CODE)


@settings(deadline=None)
@given(st.text())
@example("<|endofdocument|>  \n\n\t def f():\n    pass\n é 漢字 🙂 ﷽ \ufeff\x00")
def test_decoding_gives_the_text_back(bpe, text):
    for tokenizer in (tokenizers.Bytes(), bpe):
        ids = tokenizer.encode(text.encode())
        assert ids.dtype == np.uint16
        assert not (ids == tokenizer.eod_id).any()
        assert (ids < tokenizer.vocab_size).all()
        assert tokenizer.decode(ids) == text


def test_bytes_are_exact_whatever_they_are():
    everything = bytes(range(256))
    assert tokenizers.Bytes().encode(everything).tolist() == list(range(256))
    assert tokenizers.Bytes().decode([104, 105, 256, 0xC3]) == "hi\ufffd"


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "word", "\n", " ", "  ", "\t", "\r\n", ".", "é", "\u2003"]), max_size=60))
def test_cutting_a_long_text_changes_no_token(bpe, words):
    text = "".join(words)
    parts = list(tokenizers.pieces(text, limit=3))
    assert "".join(parts) == text
    assert (
        np.concatenate([bpe.encode(p.encode()) for p in parts] or [[]]).tolist() == bpe.encode(text.encode()).tolist()
    )


def test_long_texts_are_really_cut(monkeypatch):
    assert len(list(tokenizers.pieces("line\n" * 10, limit=10))) == 5
    assert list(tokenizers.pieces("x" * 50, limit=10)) == ["x" * 50]


def test_fitting_is_deterministic_and_happens_once(tmp_path):
    heard = []

    def load(folder):
        data = Data(seq_len=8, tokenizer="bpe:400", cache=str(tmp_path / folder))
        return tokenizers.load(data, train_source=CORPUS, progress=lambda *report: heard.append(report))

    first = load("a")
    assert heard[-1] == ("fitting the tokenizer (bytes)", 40_000, 40_000)
    heard.clear()
    assert load("a") == first
    assert not heard
    assert load("b").definition == first.definition
    assert first.vocab_size == 400 == tokenizers.vocab_size("bpe:400")
    assert len(first.encode(CORPUS.read(50 % 20))) < 1000  # it has learnt something: 2,000 bytes


def test_a_large_corpus_is_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizers, "SAMPLE_BYTES", 5000)
    heard = []
    data = Data(seq_len=8, tokenizer="bpe:300", cache=str(tmp_path))
    tokenizers.load(data, train_source=CORPUS, progress=lambda *report: heard.append(report))
    taken = np.diff([0, *(done for _, done, _ in heard)])
    assert sorted(taken) == [1000, 2000, 2000]  # whole texts, and a part of one
    assert {total for *_, total in heard} == {5000}


def test_tokenizers_travel(bpe):
    for tokenizer in (tokenizers.Bytes(), bpe):
        there = pickle.loads(pickle.dumps(tokenizer))
        assert there.fingerprint == tokenizer.fingerprint
        assert there.encode(b"Ada went").tolist() == tokenizer.encode(b"Ada went").tolist()


def _word_level(path, *, added):
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    vocab = {letter: i for i, letter in enumerate(string.ascii_lowercase)} | {"?": 26}
    made = Tokenizer(models.WordLevel(vocab, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([AddedToken(name, normalized=False) for name in added])
    made.enable_truncation(3)
    made.enable_padding(length=9)
    made.save(str(path))
    return str(path)


def test_any_tokenizer_json(tmp_path):
    path = _word_level(tmp_path / "tokenizer.json", added=["<pad>", "<|endoftext|>"])
    loaded = _load(path)
    assert (loaded.vocab_size, loaded.eod_id) == (29, 28) == (tokenizers.vocab_size(path), 28)
    assert loaded.encode(b"a b c d").tolist() == [0, 1, 2, 3]  # neither cut nor padded
    assert 28 not in loaded.encode(b"a <|endoftext|> b")


def test_tokenizer_files_that_cannot_serve(tmp_path):
    with pytest.raises(ValueError, match="expected a token that separates documents"):
        _load(_word_level(tmp_path / "tokenizer.json", added=["<pad>"]))
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(ValueError, match=r"expected a tokenizer.json, but .*broken.json does not load"):
        _load(str(tmp_path / "broken.json"))
    with pytest.raises(ValueError, match="expected 'bytes', 'bpe:4096' or the path"):
        tokenizers.vocab_size("byts")


def test_ids_are_as_small_as_they_can_be():
    assert tokenizers.id_dtype(1 << 16) == np.uint16
    assert tokenizers.id_dtype((1 << 16) + 1) == np.uint32


def test_what_is_not_utf8_is_replaced(bpe):
    assert bpe.decode(bpe.encode(b"a\xffb")) == "a\ufffdb"
    assert Memory((b"\xff",)).read(0) == b"\xff"
