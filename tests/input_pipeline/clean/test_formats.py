"""Each format against readers of others: json, pyarrow, TFDS without TensorFlow; and against what was written."""

import hashlib
import io
import itertools
import json
import math
import pathlib
import random
import subprocess
import sys
import tracemalloc

import numpy as np
import pyarrow
import pytest
import tensorflow_datasets
from PIL import Image
from pyarrow import parquet

from input_pipeline import example
from input_pipeline.array_record import ArrayRecord
from input_pipeline.clean import formats
from input_pipeline.clean.formats import FORMATS
from input_pipeline.clean.record import Record
from input_pipeline.clean.schema import Schema, together, types_of, wider
from input_pipeline.digests import Digest
from input_pipeline.files import File

pytestmark = pytest.mark.fast
FIELDS = [
    {
        "year": 1999,
        "score": 0.5,
        "ok": True,
        "url": "a",
        "big": 2**60,
        "mixed": 1,
        "half": 3,
        "hash": 2**70,
        "rare": None,
    },
    {
        "year": -5,
        "score": 2,
        "ok": False,
        "url": "\U0001f600 é\u0000\n",
        "big": 1,
        "mixed": "x",
        "half": math.nan,
        "hash": 7,
    },
    {
        "year": 0,
        "score": 1e300,
        "ok": True,
        "url": "",
        "big": -(2**63),
        "mixed": 2.5,
        "hash": 8,
        "id": "own",
        "text": 4,
    },
]
KINDS = {
    "year": "int",
    "score": "float",
    "ok": "bool",
    "url": "str",
    "big": "long",
    "mixed": "str",
    "half": "int?",
    "hash": "str",
    "rare": "null",
    "id": "str?",
    "text": "int?",
}


def records(count=3):
    return [Record(f"dir/é {n}.jsonl#{n}", f"text {n} \U0001f600\n", fields=FIELDS[n % 3]) for n in range(count)]


def schema_of(records, modality="text"):
    return Schema(modality, types_of(record.fields for record in records))


def write(folder, format, records, *, modality="text", split="train", shards=1, channels=0):
    """A dataset of one split. -> the paths of its files."""
    schema = schema_of(records, modality)
    paths = []
    for shard in range(shards):
        part = records[shard * len(records) // shards : (shard + 1) * len(records) // shards]
        paths.append(folder / FORMATS[format].name("mails", split, shard, shards))
        FORMATS[format].write(paths[-1], iter(part), schema)
    sizes = [(len(records) // shards, path.stat().st_size) for path in paths]
    FORMATS[format].finish(folder, "mails", Schema(modality, schema.types, channels), {split: sizes})
    return paths


def rows_of_jsonl(path):
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


def rows_of_parquet(path):
    return parquet.read_table(path).to_pylist()


def rows_of_array_record(path):
    """By our own reader of Examples: a value that is missing is an empty list."""
    file = File(path.name, str(path), Digest(0, b""))
    features = [example.features_of(raw) for _, raw in ArrayRecord("").scan(file)]
    return [{name: values[0] if values else None for name, values in row.items()} for row in features]


READ = {"jsonl": rows_of_jsonl, "parquet": rows_of_parquet, "array_record": rows_of_array_record}


def comparable(value):
    return value.decode() if isinstance(value, bytes) else value


def test_the_kind_of_a_field_is_the_narrowest_that_holds_all_its_values():
    assert types_of(FIELDS) == KINDS
    assert types_of([{}, {"a": 1}]) == {"a": "int?"}
    assert types_of([{"a": math.nan}]) == {"a": "null"}
    assert types_of([{"a": 2**53 + 1}, {"a": 0.5}]) == {"a": "str"}  # as a float it would be another number
    assert types_of([{"a": 2**53}, {"a": 0.5}]) == {"a": "float"}
    assert types_of([{"a": True}, {"a": 1}]) == {"a": "str"}


def test_the_order_in_which_kinds_are_joined_makes_no_difference():
    kinds = ["null", "bool", "int", "long", "float", "str", "bool?", "int?", "long?", "float?", "str?"]
    for one, two, three in itertools.product(kinds, repeat=3):
        assert wider(one, two) == wider(two, one)
        assert wider(wider(one, two), three) == wider(one, wider(two, three))


def test_kinds_do_not_depend_on_where_blocks_are_cut():
    rng = random.Random(0)
    values = [None, True, 3, 2**60, 2**80, 0.5, "x"]
    rows = [{name: rng.choice(values) for name in "abcdef" if rng.random() < 0.7} for _ in range(40)]
    for cut in (1, 7, 39):
        assert together([types_of(rows[:cut]), types_of(rows[cut:])]) == types_of(rows)
        assert list(together([types_of(rows[:cut]), types_of(rows[cut:])])) == list(types_of(rows))


@pytest.mark.parametrize("format", FORMATS)
def test_every_cell_comes_back(format, tmp_path):
    [path] = write(tmp_path, format, records())
    found = [{name: comparable(value) for name, value in row.items()} for row in READ[format](path)]
    for n, row in enumerate(found):
        fields = FIELDS[n]
        assert (row["id"], row["text"]) == (f"dir/é {n}.jsonl#{n}", f"text {n} \U0001f600\n")
        assert (row["year"], row["big"], row["url"]) == (fields["year"], fields["big"], fields["url"])
        assert row["ok"] == fields["ok"]
        with np.errstate(over="ignore"):  # what 32 bits do not hold is infinite
            score = np.float32(fields["score"]) if format == "array_record" else fields["score"]
        assert row["score"] == score or (format == "array_record" and math.isinf(row["score"]))
        assert row["mixed"] == (fields["mixed"] if n == 1 else json.dumps(fields["mixed"]))
        assert row["hash"] == str(fields["hash"])
    assert [row["half"] for row in found] == [3, None, None]
    assert [row["rare"] for row in found] == [None, None, None]
    # A field that is called as a column of ours keeps its values, under another name.
    assert [row["id_"] for row in found] == [None, None, "own"]
    assert [row["text_"] for row in found] == [None, None, 4]


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_kinds_of_python_come_back(format, tmp_path):
    [path] = write(tmp_path, format, records())
    row = READ[format](path)[0]
    assert [type(row[name]) for name in ("year", "ok", "score", "big")] == [int, bool, float, int]


@pytest.mark.parametrize("format", FORMATS)
def test_the_order_of_columns_is_id_content_and_fields_as_they_are_met(format, tmp_path):
    [path] = write(tmp_path, format, records())
    expected = ["id", "text", *(name + "_" * (name in ("id", "text")) for name in KINDS)]
    row = list(READ[format](path)[0])
    assert row == (sorted(expected) if format == "array_record" else expected)


def test_names_that_clash_stay_apart():
    schema = Schema("text", dict.fromkeys(["id", "id_", "text", "text__", "a"], "int"))
    assert dict(schema.columns) == {"id__": "id", "id_": "id_", "text_": "text", "text__": "text__", "a": "a"}
    row = schema.row(Record("r", "t", fields={"id": 1, "id_": 2, "text": 3, "text__": 4, "a": 5}))
    assert row == {"id": "r", "text": "t", "id__": 1, "id_": 2, "text_": 3, "text__": 4, "a": 5}
    assert "text" in Schema("table", {"text": "int"}).columns


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["", "a/b", "a.b", "ü ß", "a b", "ragged_flat_values", "x" * 300, "\n", "0"])
def test_any_name_of_a_field(format, name, tmp_path):
    [path] = write(tmp_path, format, [Record("r", "t", fields={name: 5, "a": 1})])
    assert READ[format](path)[0][name] == 5
    if format == "array_record":
        [row] = tensorflow_datasets.builder_from_directory(tmp_path).as_data_source("train")
        assert row[name] == 5


def test_tfds_reads_text_and_fields(tmp_path):
    write(tmp_path, "array_record", records(7), shards=2)
    builder = tensorflow_datasets.builder_from_directory(tmp_path)
    assert builder.info.splits["train"].num_examples == 7 - 1  # what `finish` was told of: 3 records a file
    source = builder.as_data_source("train")
    row = source[0]
    assert (row["id"].decode(), row["text"].decode()) == ("dir/é 0.jsonl#0", "text 0 \U0001f600\n")
    assert (row["year"], row["ok"], row["big"]) == (1999, True, 2**60)
    assert [list(each["half"]) for each in itertools.islice(source, 3)] == [[3], [], []]
    assert [list(each["id_"]) for each in itertools.islice(source, 3)] == [[], [], [b"own"]]


def _picture(mode, format):
    drawn = io.BytesIO()
    Image.new(mode, (5, 4), 200 if mode == "L" else None).save(drawn, format)
    return drawn.getvalue()


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_tfds_reads_pictures(mode, channels, tmp_path):
    raw = _picture(mode, "PNG")
    write(
        tmp_path,
        "array_record",
        [Record("a", payload=raw, fields={"label": "cat"})],
        modality="image",
        channels=channels,
    )
    [row] = tensorflow_datasets.builder_from_directory(tmp_path).as_data_source("train")
    assert row["label"] == b"cat"
    assert np.array_equal(row["image"], np.asarray(Image.open(io.BytesIO(raw))).reshape(4, 5, channels))


@pytest.mark.parametrize("format", ["parquet", "array_record"])
@pytest.mark.parametrize("modality", ["image", "audio"])
def test_payloads_come_back_byte_by_byte(format, modality, tmp_path):
    payloads = [_picture("L", "PNG"), _picture("RGB", "JPEG"), b"RIFF\x00\xff"]
    [path] = write(tmp_path, format, [Record(str(n), payload=p) for n, p in enumerate(payloads)], modality=modality)
    assert [row[modality] for row in READ[format](path)] == payloads
    if format == "array_record":
        found = tensorflow_datasets.builder_from_directory(tmp_path).as_data_source("train")
        assert [row[modality] for row in found] == payloads


@pytest.mark.parametrize("format", FORMATS)
def test_shards_have_one_schema_though_a_field_stands_in_one_alone(format, tmp_path):
    made = [Record(str(n), "t", fields={"late": 0.5} if n == 3 else {"early": n}) for n in range(4)]
    rows = [row for path in write(tmp_path, format, made, shards=2) for row in READ[format](path)]
    assert [row["early"] for row in rows] == [0, 1, 2, None]
    assert [row["late"] for row in rows] == [None, None, None, 0.5]
    if format == "parquet":
        one, other = (parquet.read_schema(tmp_path / f"train-0000{n}-of-00002.parquet") for n in range(2))
        assert one.equals(other)


@pytest.mark.parametrize("format", FORMATS)
def test_no_record_at_all(format, tmp_path):
    """A file without a record can be read; a dataset without one has none, and no metadata that TFDS would refuse."""
    [path] = write(tmp_path / "a", format, [])
    assert READ[format](path) == []
    (tmp_path / "b").mkdir()
    FORMATS[format].finish(tmp_path / "b", "mails", Schema("text", {}), {})
    assert list((tmp_path / "b").iterdir()) == []


def test_infinities_are_valid_json(tmp_path):
    [path] = write(tmp_path, "jsonl", [Record("a", "t", fields={"x": math.inf, "y": -math.inf, "z": math.nan})])
    assert path.read_text() == '{"id": "a", "text": "t", "x": 1e999, "y": -1e999, "z": null}\n'
    assert rows_of_jsonl(path)[0]["x"] == math.inf


HERE = str(pathlib.Path(__file__).parent)
COMMAND = """
import pathlib, sys
import test_formats
for format in test_formats.FORMATS:
    folder = pathlib.Path(sys.argv[1]) / format
    folder.mkdir()
    test_formats.write(folder, format, test_formats.records(50), shards=2)
"""


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_bytes_again_and_in_another_process(tmp_path):
    for name in ("one", "two"):
        for format in FORMATS:
            (tmp_path / name / format).mkdir(parents=True)
            write(tmp_path / name / format, format, records(50), shards=2)
    (tmp_path / "other").mkdir()
    subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "other")],
        env={
            "PYTHONPATH": ":".join([str(pathlib.Path(__file__).parent), *sys.path]),
            "PYTHONHASHSEED": "7",
            "PATH": "",
        },
        check=True,
        timeout=120,
    )
    assert len(tree(tmp_path / "one")) == 2 * 3 + 2
    assert tree(tmp_path / "one") == tree(tmp_path / "two") == tree(tmp_path / "other")


def test_row_groups_are_small_in_rows_and_in_bytes(tmp_path):
    many = [Record(str(n), "t") for n in range(1500)]
    large = [Record(str(n), payload=random.Random(n).randbytes(3 << 20)) for n in range(8)]
    [path] = write(tmp_path, "parquet", many)
    with parquet.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert sizes == [512, 512, 476]
    (tmp_path / "large").mkdir()
    [path] = write(tmp_path / "large", "parquet", large, modality="image")
    with parquet.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert sizes == [2, 2, 2, 2]


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_records(format, tmp_path):
    """Records are taken one by one: 64 MB of text pass through less than 24 MB of Python's memory."""
    text = "word " * 200_000
    tracemalloc.start()
    before = pyarrow.total_allocated_bytes()
    stream = (Record(str(n), text + str(n)) for n in range(64))
    FORMATS[format].write(tmp_path / "file", stream, Schema("text", {}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20
    assert pyarrow.total_allocated_bytes() - before < 24 << 20


@pytest.mark.parametrize("format", FORMATS)
def test_a_writer_that_fails_leaves_nothing(format, tmp_path):
    def broken():
        yield Record("a", "t")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        FORMATS[format].write(tmp_path / "file", broken(), Schema("text", {}))
    assert list(tmp_path.iterdir()) == []


def test_names_of_files():
    names = {format: FORMATS[format].name("mails", "val", 3, 12) for format in formats.FORMATS}
    assert names == {
        "jsonl": "val-00003-of-00012.jsonl",
        "parquet": "val-00003-of-00012.parquet",
        "array_record": "mails-val.array_record-00003-of-00012",
    }
