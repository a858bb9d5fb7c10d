"""Encoded pictures and sound in Parquet, ArrayRecord and sets of TFDS; sound as TFDS keeps it."""

import json
import shutil
from types import SimpleNamespace

import made_sources
import numpy as np
import pyarrow
import pytest
import record_files
from made_sources import example, png
from pyarrow import parquet

from input_pipeline import tfds
from input_pipeline.labelled.sources import open_source

pytestmark = pytest.mark.fast


def test_hugging_face_tells_the_names_of_classes(tmp_path):
    told = {"info": {"features": {"label": {"names": ["no", "yes", "maybe"], "_type": "ClassLabel"}}}}
    fields = made_sources.parquet_pictures(tmp_path / "made", metadata={"huggingface": json.dumps(told)})
    found = open_source(made_sources.data(fields, tmp_path, num_classes=3))
    assert found.classes == ("no", "yes", "maybe")
    assert found.labels.tolist() == [0, 1] * 3
    assert found.reader.read(np.array([5, 0])) == [png(5), png(0)]
    other = {"info": {"features": {"label": {"names": ["yes", "no", "maybe"]}}}}
    made = parquet.read_table(tmp_path / "made/a.parquet").replace_schema_metadata({"huggingface": json.dumps(other)})
    parquet.write_table(made, tmp_path / "made/b.parquet")
    with pytest.raises(ValueError, match=r"expected the same names of classes for 'label' .*\('no', .*\('yes', 'no'"):
        open_source(made_sources.data(fields, tmp_path, num_classes=3))


def test_pictures_of_parquet_are_copied_and_read_alone(tmp_path):
    data = made_sources.data(made_sources.parquet_pictures(tmp_path / "made"), tmp_path)
    reader = open_source(data).reader
    (tmp_path / "made/a.parquet").rename(tmp_path / "gone")
    assert reader.read(np.array([5, 0, 3])) == [png(5), png(0), png(3)]
    (tmp_path / "gone").rename(tmp_path / "made/a.parquet")
    [copy] = (tmp_path / "cache/shards").glob("*.inputs")
    whole = copy.read_bytes()
    copy.unlink()
    open_source(data)
    assert copy.read_bytes() == whole
    copy.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=rf"expected {len(whole)} bytes in .*, found {len(whole) - 1}; delete it to"):
        open_source(data)


def test_bad_rows_of_parquet(tmp_path):
    pictures = [png(0), None, png(2), png(3), b"", png(5)]
    table = pyarrow.table({"image": pictures, "label": [0, 1, None, 1, 0, 1]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=4)
    fields = dict(made_sources.PICTURES, source="parquet", files=(f"{tmp_path}/*.parquet",), max_bad=0.5)
    found = open_source(made_sources.data(fields, tmp_path, input_field="image"))
    assert found.reader.read(np.arange(3)) == [png(0), png(3), png(5)]
    assert found.labels.tolist() == [0, 1, 1]
    assert [line.split(": ", 1) for line in found.bad] == [
        ["a.parquet#000000001", "field 'image' is null"],
        ["a.parquet#000000002", "column 'label' is empty"],
        ["a.parquet#000000004", "empty"],
    ]


def test_several_numbers_beside_a_picture(tmp_path):
    fields = made_sources.parquet_pictures(tmp_path / "made")
    found = open_source(
        made_sources.data(fields, tmp_path, labels="numbers", num_targets=2, label_fields=("b", "a"), num_classes=0)
    )
    assert found.labels.tolist() == [[i * i, i] for i in range(made_sources.NUM)]


def test_bad_records_of_array_record(tmp_path):
    fields = made_sources.array_record(tmp_path / "made")
    records = [
        example(image=png(50), label=1, who=b"ana"),
        example(label=1, who=b"ana"),
        example(image=png(51), label=[0, 1], who=b"ana"),
        b"\nnot an example",
        example(image=b"", label=0, who=b"ana"),
        example(image=png(52), label=0, who=b"\xff"),
    ]
    record_files.write_records(tmp_path / "made/c.array_record", records)
    found = open_source(made_sources.data(fields, tmp_path, max_bad=0.5))
    assert list(found.names)[-1] == "c.array_record#000000000"
    assert [line.split(": ", 1) for line in found.bad] == [
        ["c.array_record#000000001", "no feature 'image'; it has 'label', 'who'"],
        ["c.array_record#000000002", "expected one whole number in feature 'label', got 2"],
        ["c.array_record#000000003", "not a tf.train.Example"],
        ["c.array_record#000000005", "feature 'who' is no UTF-8"],
        ["c.array_record#000000004", "empty"],
    ]
    assert found.groups.tolist() == ["theo"] * 3 + ["lucas"] * 3 + ["ana"]


def test_numbers_to_predict_in_array_record(tmp_path):
    record_files.write_records(
        tmp_path / "a.array_record",
        [example(image=png(0), at=[0.5, 2.0]), example(image=png(1), at=[3, 4]), example(image=png(2), at=[1.0])],
    )
    fields = dict(made_sources.PICTURES, source="array_record", files=(f"{tmp_path}/*.array_record",), max_bad=0.5)
    found = open_source(made_sources.data(fields, tmp_path, labels="numbers", num_targets=2, label_fields=("at",)))
    assert found.labels.tolist() == [[0.5, 2], [3, 4]]
    assert found.bad == ("a.array_record#000000002: expected 2 finite numbers in feature 'at', got [1.0]",)


def test_a_label_that_is_no_class_is_told(tmp_path):
    record_files.write_records(
        tmp_path / "a.array_record", [example(image=png(i), label=label) for i, label in enumerate((0, 1, -1))]
    )
    fields = dict(made_sources.PICTURES, source="array_record", files=(f"{tmp_path}/*.array_record",))
    with pytest.raises(ValueError, match=r"expected classes 0 to 1, got -1 in a.array_record#000000002, and 1 such"):
        open_source(made_sources.data(fields, tmp_path))


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """As TFDS keeps `spoken_digit`: samples as whole numbers, and the names of files, which tell the speaker.

    Its own feature, `Audio`, cannot be made without TensorFlow; `Tensor` stores the same.
    """
    import tensorflow_datasets

    path = tmp_path_factory.mktemp("spoken")
    features = {
        "audio": tensorflow_datasets.features.Tensor(shape=(None,), dtype=np.int64),
        "audio/filename": tensorflow_datasets.features.Text(),
        "label": tensorflow_datasets.features.ClassLabel(num_classes=2),
    }
    records = [
        {
            "audio": np.arange(i, i + 40),
            "audio/filename": f"{i % 2}_{('theo', 'lucas')[i // 3]}_{i}.wav",
            "label": i % 2,
        }
        for i in range(6)
    ]
    made_sources.build_tfds("spoken", path, features, {"train": records})
    return dict(
        modality="audio",
        source="tfds",
        set="spoken",
        set_dir=str(path),
        shape=(40,),
        num_classes=2,
        sample_rate=8000,
        transforms="decode",
        group_field="audio/filename",
        pattern="{label}_{group}_{number}.wav",
    )


def test_sound_of_tfds(spoken, tmp_path):
    found = open_source(made_sources.data(spoken, tmp_path))
    assert found.classes == ("0", "1")
    inputs = found.reader.read(np.arange(6))
    assert {x.dtype for x in inputs} == {np.dtype(np.int16)}
    assert sorted(int(x[0]) for x in inputs) == list(range(6))
    for x, label, group in zip(inputs, found.labels, found.groups, strict=True):
        assert (x[0] % 2, ("theo", "lucas")[x[0] // 3]) == (label, group)
        np.testing.assert_array_equal(x, np.arange(x[0], x[0] + 40))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input_field": "sound"}, "data.input_field: expected a feature of 'spoken', one of 'audio', .* got 'sound'"),
        ({"label_fields": ("digit",)}, "data.label_fields: expected a feature of 'spoken', one of .* got 'digit'"),
        ({"pattern": "{label}_{number}.wav"}, r"data.pattern: expected \{group\} in it"),
        ({"set": ""}, "data.set: expected the name of a set, got none"),
    ],
)
def test_what_is_wrong_is_told(spoken, tmp_path, fields, expected):
    with pytest.raises(ValueError, match=expected):
        open_source(made_sources.data(spoken, tmp_path, **fields))


def test_the_rate_of_a_set_is_held_to(spoken, tmp_path, monkeypatch):
    read = tfds.labelled
    monkeypatch.setattr(tfds, "labelled", lambda *names, **given: read(*names, **given)._replace(sample_rate=16000))
    with pytest.raises(ValueError, match=r"data.sample_rate: expected 16000, that of 'spoken', got 8000"):
        open_source(made_sources.data(spoken, tmp_path))


def test_a_set_that_opens_with_tensorflow_alone_says_so(spoken, tmp_path):
    copy = shutil.copytree(spoken["set_dir"], tmp_path / "made")
    [file] = copy.rglob("features.json")
    told = json.loads(file.read_text())
    told["featuresDict"]["features"]["audio"] = {
        "pythonClassName": "tensorflow_datasets.core.features.audio_feature.Audio",
        "audio": {"shape": {"dimensions": ["-1"]}, "dtype": "int64", "sampleRate": "8000", "encoding": "none"},
    }
    file.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"data.set: .*'spoken' needs TensorFlow: pip install tensorflow-cpu"):
        open_source(made_sources.data(spoken, tmp_path, set_dir=str(copy)))


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (SimpleNamespace(shape=(None, 2), sample_rate=8000), "expected sound of one channel, got 'x' of 'a': "),
        (SimpleNamespace(shape=(8, 8, 1), np_dtype=np.float32), "expected pictures of whole numbers, got 'x' of 'a'"),
    ],
)
def test_features_that_lie_in_a_way_of_their_own(feature, expected):
    with pytest.raises(ValueError, match=expected):
        tfds._check_input(feature, "x", name="a")


def test_samples_of_more_than_16_bits_are_bad(tmp_path):
    record_files.write_records(
        tmp_path / "a.array_record", [example(audio=[1, 40000], label=0), example(audio=[1, -1], label=1)]
    )
    fields = dict(modality="audio", source="array_record", shape=(2,), num_classes=2, sample_rate=8000, max_bad=0.5)
    found = open_source(made_sources.data(fields, tmp_path, files=(f"{tmp_path}/*.array_record",)))
    assert found.bad == ("a.array_record#000000000: expected samples of 16 bits in feature 'audio', got 1 to 40000",)
