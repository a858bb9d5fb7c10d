"""Sets of TFDS, made here by its own builders, against TFDS's own reading of them; never with TensorFlow."""

import json
import shutil
import sys
from typing import ClassVar

import fsspec
import pytest
import record_files
import tensorflow_datasets
from fsspec.implementations.memory import MemoryFileSystem

from input_pipeline.sources import open_source
from input_pipeline.spec import Data

TEXTS = [f"story {i} é" * (i + 1) for i in range(30)]


@pytest.fixture(scope="module", params=["array_record", "parquet"])
def folder(request, tmp_path_factory):
    made = tmp_path_factory.mktemp(request.param)
    record_files.build_tfds(made, TEXTS, file_format=request.param)
    return made


def _open(folder, **fields):
    return open_source(Data(**{"seq_len": 8, "source": "tfds", "tfds": "stories", "tfds_dir": str(folder)} | fields))


def _texts(source):
    return [source.read(i) for i in range(len(source))]


def test_records_are_those_of_tfds(folder):
    builder = tensorflow_datasets.builder("stories", data_dir=folder)
    for split in ("train", "test"):
        expected = list(builder.as_data_source(split))
        assert _texts(_open(folder, tfds_split=split)) == [record["text"] for record in expected]
        assert _texts(_open(folder, tfds_split=split, field="meta.title")) == [r["meta"]["title"] for r in expected]
    assert "tensorflow" not in sys.modules


def test_versions_can_be_named(folder):
    assert _open(folder, tfds="stories:1.0.0").fingerprint() == _open(folder).fingerprint()
    assert _open(folder).name(0).startswith("stories-train.")


class Bucket(MemoryFileSystem):
    """gs:// without a network."""

    protocol = ("gs", "gcs")
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.removeprefix("gs://").removeprefix("gcs://"))


@pytest.fixture
def bucket():
    for protocol in Bucket.protocol:
        fsspec.register_implementation(protocol, Bucket, clobber=True)
    yield Bucket()
    for protocol in Bucket.protocol:
        sys.modules["fsspec.registry"]._registry.pop(protocol)


def test_sets_behind_urls(folder, bucket, tmp_path):
    for file in folder.rglob("1.0.0/*"):
        bucket.pipe(f"/sets/{file.relative_to(folder)}", file.read_bytes())
    for fields in ({"tfds_dir": "gs://sets"}, {"tfds": "gs://sets/stories/1.0.0"}):
        source = _open(folder, cache=str(tmp_path), **fields)
        assert source.fingerprint() == _open(folder).fingerprint()
        assert _texts(source) == _texts(_open(folder))
        assert all(file.path.startswith(str(tmp_path)) for file in source.files)


def test_a_set_is_found_by_its_folder(folder):
    assert _texts(_open("", tfds=str(folder / "stories" / "1.0.0"))) == _texts(_open(folder))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tfds": ""}, r"data.tfds: expected the name of a set, got none; write --config.data.tfds=lm1b:1.1.0"),
        ({"tfds": "storeys"}, r"data.tfds: expected a set .*, got 'storeys': .*"),
        ({"tfds": "stories:2.0.0"}, r"data.tfds: expected a set .*, got 'stories:2.0.0'"),
        ({"tfds_split": "dev"}, r"data.tfds_split: .* one of 'train', 'test', got 'dev'"),
        ({"tfds_split": "train[:10%]"}, r"expected a whole split .*; data.train_split and the like take parts of it"),
        ({"field": "body"}, r"data.field: .*, got 'body'; it has 'meta', 'n', 'tags', 'text'"),
        ({"field": "n"}, r"data.field: expected a feature of text, but 'n' of 'stories' is .*int64"),
        ({"field": "tags"}, r"data.field: expected a feature of text, but 'tags' of 'stories'"),
        ({"field": "meta"}, r"data.field: expected a feature of text, but 'meta' of 'stories'"),
        ({"tfds": "gs://bucket/set"}, r"gs:// needs .*pip install gcsfs"),
    ],
)
def test_what_cannot_be(folder, fields, message):
    with pytest.raises(ValueError, match=message) as error:
        _open(folder, **fields)
    assert "\n" not in str(error.value)


def test_files_that_need_tensorflow_say_what_to_install(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    [info] = tmp_path.rglob("dataset_info.json")
    info.write_text(json.dumps(json.loads(info.read_text()) | {"fileFormat": "riegeli"}))
    with pytest.raises(ValueError, match=r"as riegeli, .*pip install tensorflow-cpu"):
        _open(tmp_path)


def test_a_set_that_needs_tensorflow_to_be_made_says_what_to_install(tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        import tensorflow  # noqa: F401

    monkeypatch.setattr(tensorflow_datasets, "builder", fails)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ValueError, match=r"data.tfds: making 'lm1b' needs TensorFlow: pip install tensorflow-cpu"):
        _open(tmp_path, tfds="lm1b")
