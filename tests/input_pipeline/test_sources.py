"""Every source keeps one contract; splits share out a source without loss or overlap."""

import hashlib
import os
import pickle
import time

import numpy as np
import pytest
import record_files
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline import digests, loader, packing, token_store
from input_pipeline.clean.spec import Clean, Split
from input_pipeline.documents import BadRecord, Documents, Parted, why_bad
from input_pipeline.sources import SOURCES, Memory, open_source, split
from input_pipeline.spec import Data
from input_pipeline.splits import Subset
from input_pipeline.tokenizer import Bytes

TEXTS = [f"text {i} é" * i for i in range(40)]


@pytest.fixture(params=sorted(SOURCES))
def data(request, tmp_path):
    """A spec of some dozens of documents for each entry of SOURCES."""
    if request.param in record_files.FORMATS:
        return Data(seq_len=8, **record_files.write(request.param, tmp_path / "corpus", TEXTS))
    for i, text in enumerate(TEXTS):
        file = tmp_path / "corpus" / f"part{i % 3}" / f"{i}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    specs = {
        "files": {"files": (f"{tmp_path}/corpus/**/*.txt",)},
        "packages": {"packages": ("ml-collections", "etils")},
        "memory": {"documents": tuple(f"document {i}" for i in range(40))},
        "synthetic": {"num_documents": 40, "document_bytes": 300},
    }
    if request.param == "cleaned":
        return Data(seq_len=8, **cleaned_texts(tmp_path))
    return Data(seq_len=8, source=request.param, **specs[request.param])


def cleaned_texts(folder):
    """The texts that `data` wrote, as a run's own cleaning splits them; the empty one is no record."""
    parts = Split(val=0.3, test=0.2)
    clean = Clean(files=(f"{folder}/corpus",), split=parts, block_records=9)
    named = {f"{split}_split": split for split in ("train", "val", "test")}
    return {"source": "cleaned", "clean": clean, "prepare_workers": 0, **named}


@pytest.fixture(params=sorted(record_files.FORMATS))
def write(request, tmp_path):
    """Writes texts as records, None being a bad one. -> their spec."""

    def written(texts, *, folder="corpus", **fields):
        return Data(**{"seq_len": 8} | record_files.write(request.param, tmp_path / folder, texts) | fields)

    return written


def _contents(source):
    return {source.name(i): source.read(i) for i in range(len(source))}


def test_reads_are_exact_and_repeatable(data):
    source, again = open_source(data), pickle.loads(pickle.dumps(open_source(data)))
    assert len(source) >= 39  # the empty one is no record of a cleaning
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
    expressions = [f"train[{r}]" for r in (":50%", "50%:87.5%", "87.5%:")]
    if isinstance(source, Parted):  # it has splits of its own
        expressions = ["train", "val", "test"]
    parts = [split(source, expression, by="document") for expression in expressions]
    merged = {}
    for part in parts:
        assert not merged.keys() & _contents(part).keys()
        merged |= _contents(part)
    assert sorted(merged.values()) == sorted(_contents(source).values())
    assert len({part.fingerprint() for part in parts}) == 3
    if not isinstance(source, Parted):
        assert merged == _contents(source)
        assert split(source, "train", by="document") is source


def test_a_wrong_fingerprint_names_both_and_the_way_out(data):
    found = open_source(data).fingerprint()
    with pytest.raises(ValueError, match=rf"expected 123, .*{found}; --config.data.fingerprint='' accepts it"):
        open_source(Data(**vars(data) | {"fingerprint": "123"}))


def test_a_run_goes_on_exactly(data, tmp_path):
    store = token_store.build(open_source(data), tokenizer=Bytes(), cache_dir=tmp_path / "cache")
    rows = packing.plan_rows(store, seq_len=32, packing="first_fit", cache_dir=tmp_path / "cache")
    assert store.num_bytes == sum(map(len, _contents(open_source(data)).values()))

    def batches(*, start, steps):
        with loader.train_batches(
            [loader.Part("", rows)], seed=3, batch_size=4, row_range=(0, 4), start=start, workers=0
        ) as found:
            return [next(found)["tokens"].tobytes() for _ in range(steps)]

    assert batches(start=0, steps=6)[4:] == batches(start=16, steps=2)


def test_records_are_the_texts_that_were_written(write):
    source = open_source(write(TEXTS))
    assert [source.read(i).decode() for i in range(40)] == TEXTS
    backwards = [source.read(i).decode() for i in reversed(range(40))]
    assert backwards[::-1] == TEXTS
    names = [source.name(i) for i in range(40)]
    assert names == sorted(set(names))
    assert names[0].endswith("#000000000")


def test_names_and_fingerprints_know_no_folder_and_contents_change_them(write):
    first, moved, changed = (
        open_source(write(texts, folder=folder))
        for texts, folder in ((TEXTS, "one"), (TEXTS, "two"), ([*TEXTS[:-1], "other"], "three"))
    )
    assert first.fingerprint() == moved.fingerprint() != changed.fingerprint()
    assert [first.name(i) for i in range(40)] == [changed.name(i) for i in range(40)]


def test_bad_records_are_named_and_count_for_nothing(write, tmp_path):
    texts = [*TEXTS[:5], None, *TEXTS[5:30], None, None, *TEXTS[30:], None]
    data = write(texts, max_bad=0.1)
    source = open_source(data)
    bad = [i for i, text in enumerate(texts) if text is None]
    assert source.bad().tolist() == bad
    for i in bad:
        with pytest.raises(BadRecord, match=r"text|JSON"):
            source.read(i)
        assert (source.num_bytes(i), source.digest(i)) == (0, bytes(32))
    good = [i for i in range(len(texts)) if i not in bad]
    assert [source.read(i).decode() for i in good] == TEXTS
    store = token_store.build(source, tokenizer=Bytes(), cache_dir=tmp_path / "cache")
    assert (store.num_documents, store.index.num_bad) == (44, 4)
    assert store.index.bad == tuple(why_bad(source, i) for i in bad)
    expected = [token for text in TEXTS for token in (256, *text.encode())]
    assert store.tokens.tolist() == [*expected, 256]
    assert (store.num_tokens, store.num_bytes) == (len(expected), len("".join(TEXTS).encode()))


def test_too_many_bad_records_are_an_error_that_names_the_first(write):
    with pytest.raises(ValueError, match=r"data.max_bad: expected at most 1%.* got 2 of 42: .*#.*: .*;") as error:
        open_source(write([None, *TEXTS, None]))
    assert "\n" not in str(error.value)
    way_out = float(str(error.value).rsplit("=", 1)[1])
    assert len(open_source(write([None, *TEXTS, None], folder="again", max_bad=way_out))) == 42


def test_a_bad_record_moves_no_other(write):
    good, bad = (open_source(write(t, folder=f, max_bad=1.0)) for t, f in ((TEXTS, "a"), ([None, *TEXTS[1:]], "b")))
    assert good.fingerprint() != bad.fingerprint()
    assert [good.name(i) for i in range(40)] == [bad.name(i) for i in range(40)]
    assert _contents(Subset(good, np.arange(1, 40))) == _contents(Subset(bad, np.arange(1, 40)))


def test_indices_are_made_once_and_reads_are_held_to_them(write, tmp_path, monkeypatch):
    data = write(TEXTS)
    before = open_source(data)
    made = {path: path.stat().st_mtime_ns for path in before.indices}
    assert {path: path.stat().st_mtime_ns for path in open_source(data).indices} == made
    for file in (tmp_path / "corpus").rglob("*"):
        if file.is_file():
            os.utime(file, ns=(0, 10**18))
    write([text.upper() for text in TEXTS])
    with pytest.raises(ValueError, match="as it was when the run began, but it has changed; run again"):
        pickle.loads(pickle.dumps(before)).read(3)
    assert open_source(data).read(3).decode() == TEXTS[3].upper()


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
    monkeypatch.setattr(digests.hashlib, "file_digest", None)
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


def test_a_source_of_somebody_elses(tmp_path, monkeypatch):
    (tmp_path / "their_module.py").write_text(
        "from input_pipeline.sources import Memory\ndef letters(data, *, progress): return Memory((b'a', b'b'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert open_source(Data(seq_len=8, source="their_module:letters")).read(1) == b"b"
    for name in ("their_module:words", "no_module:letters"):
        with pytest.raises(ValueError, match=f"data.source: expected an importable module:name, got '{name}'"):
            Data(seq_len=8, source=name)


def test_synthetic_text_never_changes():
    source = open_source(Data(seq_len=8, source="synthetic", num_documents=3, document_bytes=500))
    assert source.fingerprint() == "64aa84416f2275cb3aee165b895414c4239eead0c29f037f77b048308f080975"
    assert all(source.num_bytes(i) == len(source.read(i)) == 500 for i in range(3))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seq_len": 0}, r"data.seq_len: expected 1 or more, got 0"),
        ({"source": "fils"}, r"data.source: expected one of 'files', .*; got 'fils'; write 'files'"),
        ({"max_bad": 1.5}, r"data.max_bad: expected a share from 0 to 1, got 1.5; write 0.01"),
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
