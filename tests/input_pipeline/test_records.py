"""What is peculiar to each format of records: compression, nested fields, damage, and what the errors name."""

import bz2
import gzip
import hashlib
import json
import lzma
import os

import numpy as np
import pyarrow
import pytest
import record_files
from pyarrow import parquet

from input_pipeline import compression, records
from input_pipeline import parquet as parquet_rows
from input_pipeline.documents import why_bad
from input_pipeline.sources import open_source
from input_pipeline.spec import Data
from input_pipeline.splits import Subset

TEXTS = [f"text {i} é" * i for i in range(300)]
LINES = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()


def _open(path, **fields):
    fields = {"source": path.name.split(".")[1], "files": (str(path),), "seq_len": 8} | fields
    return open_source(Data(**fields))


def _texts(source):
    return [source.read(i).decode() for i in range(len(source))]


def _reasons(source):
    return [why_bad(source, i) for i in source.bad()]


def _zstd(data):
    return pyarrow.Codec("zstd").compress(data, asbytes=True)


COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": _zstd}


# --- compression ---


@pytest.mark.parametrize("suffix", sorted(compression.OPENERS))
def test_compressed_lines_are_those_of_the_plain_file(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"a.jsonl{suffix}"
    half = LINES.index(b"\n", len(LINES) // 2) + 1
    path.write_bytes(COMPRESS[suffix](LINES[:half]) + COMPRESS[suffix](LINES[half:]))  # two members
    os.utime(path, ns=(0, 10**18))
    source = _open(path)
    assert _texts(source) == TEXTS
    assert source.name(3) == f"a.jsonl{suffix}#000000003"
    monkeypatch.setitem(compression.OPENERS, suffix, None)
    assert _open(path).fingerprint() == source.fingerprint()  # decompressed once


@pytest.mark.parametrize("suffix", sorted(compression.OPENERS))
def test_a_compressed_file_that_ends_early_says_what_is_lost(suffix, tmp_path):
    path = tmp_path / f"a.jsonl{suffix}"
    rng = np.random.default_rng(0)
    texts = [rng.bytes(9000).hex() for _ in range(120)]
    whole = COMPRESS[suffix]("".join(json.dumps({"text": text}) + "\n" for text in texts).encode())
    path.write_bytes(whole[: len(whole) * 9 // 10])
    source = _open(path, max_bad=1.0)
    good = [i for i in range(len(source)) if i not in source.bad()]
    assert [source.read(i).decode() for i in good] == texts[: len(good)]
    assert 1 <= len(source.bad()) <= 2
    assert f"damaged {suffix} file" in _reasons(source)[-1]
    assert "what follows is lost" in path.parent.joinpath(source.files[0].path).read_text().splitlines()[-1]


def test_a_flipped_bit_in_gzip_is_noticed(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    spoilt = bytearray(gzip.compress(LINES))
    spoilt[-6] ^= 1  # the checksum
    path.write_bytes(spoilt)
    source = _open(path)
    assert [source.read(i).decode() for i in range(300)] == TEXTS
    assert source.bad().tolist() == [300]


def test_other_compressions_are_refused(tmp_path):
    path = tmp_path / "a.jsonl.zip"
    path.write_bytes(LINES)
    with pytest.raises(
        ValueError, match=r"expected plain files, or .gz, .bz2, .xz, .zst, got .*a.jsonl.zip; unpack it"
    ):
        _open(path)


# --- JSON ---


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "cut', "not JSON: Unterminated string"),
        ("[" * 100_000, "not JSON: maximum recursion"),
        ('{"text": 3}', "expected a string in 'text', got a number"),
        ('{"text": null}', "expected a string in 'text', got null"),
        ('{"text": true}', "got a boolean"),
        ('{"text": ["a"]}', "got an array"),
        ('{"body": "a", "id": 1}', "no field 'text'; it has 'body', 'id'"),
        ("{}", "no field 'text'; it has none"),
        ('"text"', "expected an object with field 'text', got a string"),
        (b'{"text": "\xff"}', "not UTF-8 at byte 10"),
    ],
)
def test_reasons(line, reason, tmp_path):
    path = tmp_path / "a.jsonl"
    line = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(LINES + line + b"\n" + LINES)
    source = _open(path)
    [said] = _reasons(source)
    assert said.startswith("a.jsonl#000000300: ")
    assert reason in said
    assert _texts_without(source, 300) == TEXTS * 2


def _texts_without(source, bad):
    return [source.read(i).decode() for i in range(len(source)) if i != bad]


def test_blank_lines_marks_and_endings_are_no_records(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n\n  \n{"text": "b"}\n{"text": ""}\n\n{"text": "c"}')
    assert _texts(_open(path)) == ["a", "b", "", "c"]


@pytest.mark.parametrize(
    ("line", "field", "text"),
    [
        ('{"a": {"b": {"c": "x"}}}', "a.b.c", b"x"),
        ('{"a.b": "x", "a": {"b": "y"}}', "a.b", b"x"),
        ('"x"', "", b"x"),
        (r'{"text": "\ud83d\ude00"}', "text", "😀".encode()),
        (r'{"text": "\ud83d"}', "text", b"\xed\xa0\xbd"),  # no character: replaced and counted by the token store
    ],
)
def test_fields_of_json(line, field, text, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(line)
    assert _open(path, field=field).read(0) == text


def test_a_file_without_records(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n\n")
    with pytest.raises(ValueError, match=r"expected records, got none in 1 files, the first of them .*a.jsonl"):
        _open(path)


def test_processes_make_the_same_index(tmp_path, monkeypatch):
    paths = [tmp_path / f"{name}.jsonl" for name in "abc"]
    for path in paths:
        path.write_bytes(LINES)
    monkeypatch.setattr(records, "_BYTES_PER_WORKER", 1)
    files = (f"{tmp_path}/*.jsonl",)
    heard = []
    found = [
        open_source(
            Data(seq_len=8, source="jsonl", files=files, prepare_workers=n, cache=str(tmp_path / f"cache{n}")),
            progress=lambda *report: heard.append(report),
        )
        for n in (0, 2)
    ]
    assert found[0].fingerprint() == found[1].fingerprint()
    assert heard[-1] == ("reading records (bytes)", 3 * len(LINES), 3 * len(LINES))


@pytest.mark.parametrize("names", [("a", "b"), ("a", "a!"), ("a", "a#0"), ("a", "sub/a"), ("é", "ü")])
def test_fingerprints_of_many_files_are_those_of_their_sorted_lines(names, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_LINES", 7)
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(LINES)
    source = open_source(Data(seq_len=8, source="jsonl", files=(f"{tmp_path}/**/*",)))
    assert len(source) == 600
    members = np.random.default_rng(0).permutation(600)[:500]
    part = Subset(source, members)
    entries = sorted((source.name(i).encode(), source.digest(i)) for i in members)
    expected = b"".join(b"%d %b %b\n" % (len(name), name, digest) for name, digest in entries)
    assert part.fingerprint() == hashlib.sha256(expected).hexdigest()
    assert Subset(part, np.arange(10)).fingerprint() == Subset(source, members[:10]).fingerprint()


# --- Parquet ---


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.string(),
        pyarrow.large_string(),
        pyarrow.binary(),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
    ],
)
def test_columns_of_text(kind, tmp_path):
    path = tmp_path / "a.parquet"
    column = pyarrow.array(TEXTS).cast(kind) if not pyarrow.types.is_dictionary(kind) else pyarrow.array(TEXTS, kind)
    parquet.write_table(pyarrow.table({"text": column}), path, row_group_size=50)
    source = _open(path)
    order = np.random.default_rng(0).permutation(300)
    assert [source.read(i).decode() for i in order] == [TEXTS[i] for i in order]


def test_nested_columns_and_missing_parents(tmp_path):
    path = tmp_path / "a.parquet"
    rows = [{"a": {"b": "x", "c": 1}}, {"a": None}, {"a": {"b": None, "c": 2}}, {"a": {"b": "y", "c": 3}}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    source = _open(path, field="a.b", max_bad=0.5)
    assert source.bad().tolist() == [1, 2]
    assert (source.read(0), source.read(3)) == (b"x", b"y")
    assert _reasons(source)[0] == "a.parquet#000000001: field 'a.b' is null"


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("body", r"data.field or data.input_field: expected a column of .*, got 'body'; it has 'text', 'n', 'a'$"),
        ("a.x", r"got 'a.x'; it has 'b' in 'a'$"),
        ("text.x", r"got 'text.x'; it has .*"),
        ("n", r"expected a column of text, but 'n' of .*a.parquet is int64"),
        ("", r"got ''"),
    ],
)
def test_columns_that_cannot_be(field, message, tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["x"], "n": [1], "a": [{"b": "y"}]}), path)
    with pytest.raises(ValueError, match=message):
        _open(path, field=field)


def test_a_damaged_row_group_is_its_rows_alone(tmp_path):
    path = tmp_path / "a.parquet"
    texts = [np.random.default_rng(i).bytes(500).hex() for i in range(300)]
    table = pyarrow.table({"text": texts})
    parquet.write_table(table, path, row_group_size=50, use_dictionary=False, write_page_checksum=True)
    start = parquet.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    spoilt = bytearray(path.read_bytes())
    spoilt[start + 5000] ^= 1
    path.write_bytes(spoilt)
    source = _open(path, max_bad=0.2)
    assert source.bad().tolist() == [*range(100, 150)]
    assert source.read(99).decode() == texts[99]
    assert "its row group cannot be read" in _reasons(source)[0]


def test_row_groups_are_read_once_in_order(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": TEXTS}), path, row_group_size=30)
    parquet_rows._column.cache_clear()
    source = _open(path)
    assert _texts(source) == TEXTS
    assert parquet_rows._column.cache_info().misses == 20  # ten to index, ten to read
    assert parquet_rows._column.cache_info().currsize == 2


@pytest.mark.parametrize("source", ["parquet", "array_record"])
def test_files_of_another_kind_are_named(source, tmp_path):
    path = tmp_path / f"a.{source}"
    path.write_bytes(LINES)
    with pytest.raises(ValueError, match=rf"data.files: expected an? \w+ file, but {path} does not open"):
        _open(path)


# --- ArrayRecord ---


def test_array_records_of_plain_text(tmp_path):
    path = tmp_path / "a.array_record"
    record_files.write_records(path, [text.encode() for text in TEXTS])
    assert _texts(_open(path, field="")) == TEXTS


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"\nnonsense", "not a tf.train.Example"),
        (b"", "not JSON"),
        (record_files.example(body="x"), "no feature 'text'; it has 'body'"),
        (b'{"text": 1}', "expected a string in 'text', got a number"),
    ],
)
def test_array_records_that_hold_no_text(record, reason, tmp_path):
    path = tmp_path / "a.array_record"
    record_files.write_records(path, [record, *(record_files.example(text=text) for text in TEXTS)])
    source = _open(path)
    [said] = _reasons(source)
    assert reason in said
    assert _texts_without(source, 0) == TEXTS


def test_a_damaged_array_record_is_bad_and_the_rest_is_not(tmp_path):
    path = tmp_path / "a.array_record"
    texts = [np.random.default_rng(i).bytes(2000).hex() for i in range(100)]
    record_files.write_records(path, [record_files.example(text=text) for text in texts])
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    path.write_bytes(spoilt)
    source = _open(path, max_bad=0.1)
    assert 1 <= len(source.bad()) <= 2
    assert "damaged: " in _reasons(source)[0]
    assert all(source.read(i).decode() == texts[i] for i in range(100) if i not in source.bad())
