"""Small sources of labelled examples for tests: one maker for each entry of `SOURCES`."""

import gzip
import io
import pathlib
import struct
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow
import record_files
from PIL import Image
from pyarrow import csv, parquet

from input_pipeline.labelled.examples import Reader
from input_pipeline.labelled.spec import LabelledData

NUM = 6  # examples of each; example i is of class i % 2
PICTURES = dict(modality="image", shape=(4, 4, 3), num_classes=2, transforms="decode|normalize", prepare_workers=0)
TABLES = dict(modality="table", shape=(2,), num_classes=2, prepare_workers=0)


def png(i: int, *, size: int = 4) -> bytes:
    """A picture that no other number has."""
    levels = np.random.default_rng(i).integers(0, 256, (size, size, 3), np.uint8)
    packed = io.BytesIO()
    Image.fromarray(levels).save(packed, "PNG")
    return packed.getvalue()


def wav(i: int, *, sample_rate: int = 8000, num_samples: int = 80) -> bytes:
    """A tone that no other number has."""
    samples = np.rint(8000 * np.sin(np.arange(num_samples) * (0.1 + 0.01 * i))).astype("<i2")
    packed = io.BytesIO()
    with wave.open(packed, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.tobytes())
    return packed.getvalue()


def folder(path: pathlib.Path) -> dict[str, Any]:
    for i in range(NUM):
        (path / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
        (path / f"class{i % 2}" / f"{i}.png").write_bytes(png(i))
    return dict(PICTURES, source="folder", files=(f"{path}/*/*.png",))


def table(path: pathlib.Path) -> pyarrow.Table:
    path.mkdir(parents=True, exist_ok=True)
    return pyarrow.table(
        {
            "a": [float(i) for i in range(NUM)],
            "b": [i * i for i in range(NUM)],
            "label": [i % 2 for i in range(NUM)],
            "who": ["theo" if i < NUM // 2 else "lucas" for i in range(NUM)],
        }
    )


def csv_table(path: pathlib.Path) -> dict[str, Any]:
    csv.write_csv(table(path), path / "a.csv")
    return dict(TABLES, source="csv", files=(f"{path}/*.csv",), group_field="who")


def parquet_table(path: pathlib.Path) -> dict[str, Any]:
    parquet.write_table(table(path), path / "a.parquet")
    return dict(TABLES, source="parquet", files=(f"{path}/*.parquet",), group_field="who")


def parquet_pictures(path: pathlib.Path, *, metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
    """As datasets of Hugging Face lie in Parquet: a struct of bytes and path."""
    cells = [{"bytes": png(i), "path": f"{i}.png"} for i in range(NUM)]
    made = table(path).append_column("image", [cells]).replace_schema_metadata(metadata)
    parquet.write_table(made, path / "a.parquet", row_group_size=4)
    return dict(PICTURES, source="parquet", files=(f"{path}/*.parquet",), input_field="image.bytes", group_field="who")


def example(**features: Any) -> bytes:
    """A tf.train.Example of bytes, whole numbers or numbers, one or a list."""
    from tensorflow_datasets.proto import tf_example_pb2

    made = tf_example_pb2.Example()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(values[0])]
        getattr(made.features.feature[name], kind).value.extend(values)
    return made.SerializeToString(deterministic=True)


def array_record(path: pathlib.Path) -> dict[str, Any]:
    path.mkdir(parents=True, exist_ok=True)
    records = [example(image=png(i), label=i % 2, who=b"theo" if i < NUM // 2 else b"lucas") for i in range(NUM)]
    record_files.write_records(path / "a.array_record", records[:4])
    record_files.write_records(path / "b.array_record", records[4:])
    return dict(PICTURES, source="array_record", files=(f"{path}/*.array_record",), group_field="who")


def tfds_set(path: pathlib.Path) -> dict[str, Any]:
    """The set `pictures`, with two splits, as TFDS makes it without TensorFlow."""
    import tensorflow_datasets as tfds

    features = {"image": tfds.features.Image(shape=(4, 4, 3)), "label": tfds.features.ClassLabel(names=["cat", "dog"])}
    records = [{"image": io.BytesIO(png(i)), "label": i % 2} for i in range(NUM)]
    build_tfds("pictures", path, features, {"train": records[:4], "test": records[4:]})
    return dict(PICTURES, source="tfds", set="pictures", set_dir=str(path))


def build_tfds(name: str, path: pathlib.Path, features: Mapping[str, Any], parts: Mapping[str, list[dict]]) -> None:
    import tensorflow_datasets as tfds
    from etils import epath

    tfds.disable_progress_bar()
    path.mkdir(parents=True, exist_ok=True)

    class Set(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = epath.Path(path)

        def _info(self):
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, _):
            return {part: self._generate_examples(records) for part, records in parts.items()}

        def _generate_examples(self, records):
            yield from enumerate(records)

    Set.name = name
    Set(data_dir=str(path), file_format="array_record").download_and_prepare()


def cleaned(path: pathlib.Path) -> dict[str, Any]:
    """What `folder` makes, cleaned into parts of 4 and 2 pictures."""
    from input_pipeline.clean.spec import Clean, Output, Split

    folder(path)
    clean = Clean(
        modality="image",
        files=(f"{path}/*/*.png",),
        split=Split(val=0.0, test=1 / 3, stratify="label"),
        output=Output(format="array_record"),
    )
    return dict(PICTURES, source="cleaned", clean=clean, train_split="train", val_split="", test_split="test")


def cleaned_table(path: pathlib.Path) -> dict[str, Any]:
    """What `csv_table` makes, cleaned."""
    from input_pipeline.clean.collect.spec import Collect
    from input_pipeline.clean.spec import Clean, Output, Split

    csv_table(path)
    clean = Clean(
        modality="table",
        files=(f"{path}/*.csv",),
        source=Collect(field=""),
        split=Split(val=0.0, test=1 / 3, stratify="label"),
        output=Output(format="parquet"),
    )
    named = {"train_split": "train", "val_split": "", "test_split": "test", "group_field": "who"}
    return dict(TABLES, source="cleaned", clean=clean, **named)


def idx(path: pathlib.Path) -> dict[str, Any]:
    path.mkdir(parents=True, exist_ok=True)
    for part, members in (("train", range(4)), ("t10k", range(4, NUM))):
        images = np.stack([np.full((4, 4), 10 * i, np.uint8) for i in members])
        labels = np.array([i % 2 for i in members], np.uint8)
        for what, array in (("images", images), ("labels", labels)):
            head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
            packed = gzip.compress(head + array.tobytes())
            (path / f"{part}-{what}-idx{array.ndim}-ubyte.gz").write_bytes(packed)
    fields = dict(PICTURES, shape=(4, 4, 1), transforms="normalize")
    return dict(fields, source="idx", files=(f"{path}/*-ubyte.gz",))


def scikit_learn(path: pathlib.Path) -> dict[str, Any]:
    return dict(TABLES, source="sklearn", set="breast_cancer", shape=(30,))


def synthetic(path: pathlib.Path) -> dict[str, Any]:
    from input_pipeline.synthetic import LABELLED

    fields = dict(PICTURES, shape=(16, 16, 1), num_classes=len(LABELLED["shapes"].classes), transforms="normalize")
    return dict(fields, source="synthetic", kind="shapes", num_examples=NUM)


MAKERS: Mapping[str, Callable[[pathlib.Path], dict[str, Any]]] = {
    "folder": folder,
    "csv": csv_table,
    "parquet": parquet_table,
    "parquet pictures": parquet_pictures,
    "array_record": array_record,
    "tfds": tfds_set,
    "idx": idx,
    "cleaned": cleaned,
    "cleaned table": cleaned_table,
    "sklearn": scikit_learn,
    "synthetic": synthetic,
}


def data(fields: Mapping[str, Any], path: pathlib.Path, **others: Any) -> LabelledData:
    """The spec of a source that was made, with its cache beside it."""
    return LabelledData(**{**fields, "cache": str(path / "cache"), **others})


@dataclass(frozen=True)
class Reading:
    """The bytes of some inputs of each reader; pickles to another process."""

    indices: np.ndarray

    def __call__(self, readers: Sequence[Reader]) -> list[list[bytes]]:
        read = (reader.read(self.indices) for reader in readers)
        return [[each if isinstance(each, bytes) else each.tobytes() for each in inputs] for inputs in read]
