"""Every source keeps one contract; splits share out a source without loss or overlap."""

import hashlib
import os
import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline import sources
from input_pipeline.documents import Documents
from input_pipeline.sources import SOURCES, Memory, open_source, split
from input_pipeline.spec import Data
from input_pipeline.splits import Subset


@pytest.fixture(params=sorted(SOURCES))
def data(request, tmp_path):
    """A spec of some dozens of documents for each entry of SOURCES."""
    for i in range(40):
        file = tmp_path / "corpus" / f"part{i % 3}" / f"{i}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"text {i} é" * i, "utf-8")
    specs = {
        "files": {"files": (f"{tmp_path}/corpus/**/*.txt",)},
        "packages": {"packages": ("ml-collections", "etils")},
        "memory": {"documents": tuple(f"document {i}" for i in range(40))},
        "synthetic": {"num_documents": 40, "document_bytes": 300},
    }
    return Data(seq_len=8, source=request.param, **specs[request.param])


def _contents(source):
    return {source.name(i): source.read(i) for i in range(len(source))}


def test_reads_are_exact_and_repeatable(data):
    source, again = open_source(data), pickle.loads(pickle.dumps(open_source(data)))
    assert len(source) >= 40
    for i in range(len(source)):
        text = source.read(i)
        assert (again.name(i), again.read(i)) == (source.name(i), text)
        assert source.num_bytes(i) == len(text)
        assert source.digest(i) == hashlib.sha256(text).digest()


def test_fingerprint_is_the_sha256_of_sorted_names_and_contents(data):
    source = open_source(data)
    lines = sorted((n.encode(), hashlib.sha256(t).digest()) for n, t in _contents(source).items())
    expected = hashlib.sha256(b"".join(b"%d %b %b\n" % (len(n), n, d) for n, d in lines)).hexdigest()
    backwards = Subset(source, np.arange(len(source))[::-1])
    assert source.fingerprint() == open_source(data).fingerprint() == backwards.fingerprint() == expected


def test_splits_partition(data):
    source = open_source(data)
    parts = [split(source, f"train[{r}]", by="document") for r in (":50%", "50%:87.5%", "87.5%:")]
    merged = {}
    for part in parts:
        assert not merged.keys() & _contents(part).keys()
        merged |= _contents(part)
    assert merged == _contents(source)
    assert len({part.fingerprint() for part in parts}) == 3
    assert split(source, "train", by="document") is source


def test_a_wrong_fingerprint_names_both_and_the_way_out(data):
    found = open_source(data).fingerprint()
    with pytest.raises(ValueError, match=rf"expected 123, .*{found}; --config.data.fingerprint='' accepts it"):
        open_source(Data(**vars(data) | {"fingerprint": "123"}))


def test_new_documents_never_move_old_ones():
    few, many = (Memory(tuple(b"%d" % i for i in range(n))) for n in (50, 100))
    before, after = (_contents(split(s, "train[:60%]", by="document")) for s in (few, many))
    assert before == {name: text for name, text in after.items() if name in _contents(few)}


@settings(deadline=None)
@given(st.text(min_size=8), st.integers(1, 99))
def test_byte_ranges_partition_at_characters(text, percent):
    source = Memory((text.encode(),))
    try:
        parts = [split(source, f"train[{r}]", by="bytes") for r in (f":{percent}%", f"{percent}%:")]
    except ValueError as error:
        assert "is empty" in str(error)  # noqa: PT017 a range shorter than one character
        return
    assert "".join(part.read(0).decode() for part in parts) == text
    assert 0 <= parts[0].num_bytes(0) - len(text.encode()) * percent // 100 < 4


@pytest.mark.parametrize("expression", ["", "test", "train[90%:10%]", "train[:101%]", "train[5:]", "train[:90%"])
def test_malformed_splits(expression):
    with pytest.raises(ValueError, match=r"data.split: expected 'train' or a range"):
        split(Memory((b"a", b"b")), expression, by="document")


def test_splits_that_cannot_be():
    with pytest.raises(ValueError, match=r"write --config.data.split_by=bytes"):
        split(Memory((b"a",)), "train[:90%]", by="document")
    with pytest.raises(ValueError, match=r"write --config.data.split_by=document"):
        split(Memory((b"a", b"b")), "train[:90%]", by="bytes")
    with pytest.raises(ValueError, match="none of 2 falls there"):
        split(Memory((b"a", b"b")), "train[:0.001%]", by="document")


def test_globs_that_match_nothing_say_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"'no/\*.txt' matches none in {tmp_path}; write a path or a glob"):
        open_source(Data(seq_len=8, files=("no/*.txt",)))
    with pytest.raises(ValueError, match="expected an installed distribution, got 'no-such-thing'"):
        open_source(Data(seq_len=8, source="packages", packages=("no-such-thing",)))


def test_names_are_below_the_last_plain_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/x.txt", "a/b/y.txt"):
        (tmp_path / name).write_text(name)
    tree = open_source(Data(seq_len=8, files=("~/a/**/*.txt", f"{tmp_path}/a/x.txt")))
    assert [tree.name(i) for i in range(len(tree))] == ["b/y.txt", "x.txt"]
    assert open_source(Data(seq_len=8, files=("~/a/x.txt",))).name(0) == "x.txt"


def test_digests_are_remembered_until_a_file_changes(tmp_path):
    file = tmp_path / "a.txt"
    data = Data(seq_len=8, files=(str(file),))
    now = time.time_ns()
    file.write_text("one")
    os.utime(file, ns=(now, now))
    first = open_source(data)
    file.write_text("two")  # same size, same tick of the clock: too fresh to be trusted
    os.utime(file, ns=(now, now))
    assert open_source(data).fingerprint() != first.fingerprint()
    with pytest.raises(ValueError, match="has changed; run again"):
        first.read(0)
    os.utime(file, ns=(0, 10**18))
    second = open_source(data).fingerprint()
    file.write_text("three")
    assert open_source(data).fingerprint() != second


def test_settled_files_are_not_read_again(tmp_path, monkeypatch):
    file = tmp_path / "a.txt"
    file.write_text("one")
    os.utime(file, ns=(0, 10**18))
    data = Data(seq_len=8, files=(str(file),))
    open_source(data)
    monkeypatch.setattr(sources.digests.hashlib, "file_digest", None)
    assert open_source(data).digest(0) == hashlib.sha256(b"one").digest()


def test_a_base_that_knows_names_and_contents_is_enough():
    class Letters(Documents):
        def __len__(self):
            return 26

        def name(self, i):
            return "abcdefghijklmnopqrstuvwxyz"[i]

        def read(self, i):
            return self.name(i).encode() * i

    assert Letters().num_bytes(3) == 3
    assert len(Letters().fingerprint()) == 64


def test_synthetic_text_never_changes():
    source = open_source(Data(seq_len=8, source="synthetic", num_documents=3, document_bytes=500))
    assert source.fingerprint() == "64aa84416f2275cb3aee165b895414c4239eead0c29f037f77b048308f080975"
    assert all(source.num_bytes(i) == len(source.read(i)) == 500 for i in range(3))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seq_len": 0}, r"data.seq_len: expected 1 or more, got 0"),
        ({"source": "fils"}, r"data.source: expected one of 'files', .*; got 'fils'; write 'files'"),
        ({"packing": "firstfit"}, r"data.packing: .* write 'first_fit'"),
        ({"split_by": "byte"}, r"data.split_by: .* write 'bytes'"),
        ({"tokenizer": "bpe:12"}, r"data.tokenizer: expected 'bpe:N' .*, got 'bpe:12'; write 'bpe:4096'"),
        ({"train_split": ""}, r"data.train_split: expected 'train'"),
        ({"val_split": "train[80%:]"}, r"data.val_split: .* outside data.train_split = 'train\[:90%\]'"),
        ({"test_split": "train[95%:]"}, r"data.test_split: .* outside data.val_split"),
        ({"workers": -1}, r"data.workers: expected 0 or more, got -1"),
    ],
)
def test_the_spec_says_what_to_write(fields, message):
    with pytest.raises(ValueError, match=message) as error:
        Data(**{"seq_len": 8} | fields)
    assert "\n" not in str(error.value)
