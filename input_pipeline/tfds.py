"""Sets of TensorFlow Datasets, by name. Their files are read as what they are, so without TensorFlow."""

import pathlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from input_pipeline import example, files, remote
from input_pipeline.array_record import ArrayRecord
from input_pipeline.documents import Content, attempt
from input_pipeline.files import File
from input_pipeline.parquet import Parquet
from input_pipeline.progress import Progress
from input_pipeline.records import Format

_EXTRA = "pip install tensorflow-cpu"


@dataclass(frozen=True)
class Examples:
    """Records of another format, each of them a tf.train.Example with the text in one of its features."""

    records: Format
    feature: str

    def scan(self, file: File) -> Iterator[tuple[int, Content]]:
        for place, content in self.records.scan(file):
            yield place, content if isinstance(content, Exception) else attempt(example.text_of, content, self.feature)

    def read(self, file: File, place: int) -> bytes:
        return example.text_of(self.records.read(file, place), self.feature)


# A set's file format -> what reads it. TFDS puts whole examples into one column of a Parquet file.
FORMATS: dict[str, Format] = {"array_record": ArrayRecord(""), "parquet": Parquet("data")}


def find(
    name: str, *, directory: str, split: str, field: str, cache_dir: pathlib.Path, progress: Progress
) -> tuple[Format, list[File]]:
    """The files of one split of a set, which is downloaded and made now if it is not there, and how to read them.

    Args:
      name: as TFDS spells it, such as "lm1b:1.1.0", or the folder of one version of a set.
      directory: where sets lie, on this machine or behind a URL; "" for TFDS's own choice.

    Raises:
      ValueError: no such set, split or field of text; a set that needs TensorFlow.
    """
    if not name:
        raise ValueError("data.tfds: expected the name of a set, got none; write --config.data.tfds=lm1b:1.1.0")
    info = _prepared(name, directory, option="data.tfds").info
    format = _format(info, name, option="data.tfds")
    _check_feature(info.features, field, name=name)
    _check_split(info, split, name=name, option="data.tfds_split")
    found = _shards(info, split, option="data.tfds", cache_dir=cache_dir, progress=progress)
    return Examples(format, field.replace(".", "/")), found


def shards(name: str, *, split: str, cache_dir: pathlib.Path, progress: Progress) -> list[File]:
    """The ArrayRecord files of one split of a set, whose records are tf.train.Examples of its features.

    Raises:
      ValueError: no such set or split; a set of another file format.
    """
    info = _prepared(name, "", option="source.files").info
    if info.file_format.value != "array_record":
        raise ValueError(
            f"expected a set of array_record files, but {name!r} lies in {info.data_dir} as {info.file_format.value}; "
            "write tfds convert_format --out_file_format=array_record"
        )
    _check_split(info, split, name=name, option="source.files")
    return _shards(info, split, option="source.files", cache_dir=cache_dir, progress=progress)


class Labelled(NamedTuple):
    """Every split of a set."""

    records: Format  # each of them a tf.train.Example
    parts: dict[str, list[File]]
    classes: tuple[str, ...]  # what the numbers in its feature of labels mean; () where they are no classes
    sample_rate: int | None  # of the sound in its feature of inputs, where the set tells it


def labelled(
    name: str, *, directory: str, input_field: str, label_field: str, cache_dir: pathlib.Path, progress: Progress
) -> Labelled:
    """Every split of a set whose features are inputs and labels.

    Raises:
      ValueError: no such set or field; a set that needs TensorFlow.
    """
    if not name:
        raise ValueError("data.set: expected the name of a set, got none; write --config.data.set=mnist:3.0.1")
    info = _prepared(name, directory, option="data.set").info
    for field, feature in (("input_field", input_field), ("label_fields", label_field)):
        if feature not in info.features:
            there = ", ".join(map(repr, sorted(info.features)))
            raise ValueError(f"data.{field}: expected a feature of {name!r}, one of {there}; got {feature!r}")
    _check_input(info.features[input_field], input_field, name=name)
    parts = {
        split: _shards(info, split, option="data.set", cache_dir=cache_dir, progress=progress) for split in info.splits
    }
    classes = tuple(getattr(info.features[label_field], "names", ()) or ())
    sample_rate = getattr(info.features[input_field], "sample_rate", None) or None  # 0 where it is not told
    return Labelled(_format(info, name, option="data.set"), parts, classes, sample_rate)


def _check_input(feature: Any, field: str, *, name: str) -> None:
    """Raises a ValueError for sound and pictures whose numbers lie in a way of their own."""
    if hasattr(feature, "sample_rate") and len(feature.shape) > 1:
        raise ValueError(f"data.input_field: expected sound of one channel, got {field!r} of {name!r}: {feature.shape}")
    if len(feature.shape) == 3 and feature.np_dtype == np.float32:  # each number in the four bytes of a pixel
        raise ValueError(f"data.input_field: expected pictures of whole numbers, got {field!r} of {name!r}: float32")


def _format(info: Any, name: str, *, option: str) -> Format:
    if format := FORMATS.get(kind := info.file_format.value):
        return format
    raise ValueError(
        f"{option}: expected files of {' or '.join(FORMATS)}, but {name!r} lies in {info.data_dir} as {kind}, "
        f"which needs TensorFlow; write another {option}_dir to make it anew, or convert it: {_EXTRA}, then "
        "tfds convert_format --out_file_format=array_record"
    )


def _prepared(name: str, directory: str, *, option: str) -> Any:
    """The builder of a set whose files are there. `option`: what errors name."""
    import tensorflow_datasets
    from etils import epath

    for url in filter(remote.is_url, (name, directory)):
        remote.file_system(url, field=option)
    where = {"data_dir": directory} if directory else {}
    try:
        if "/" in name and (epath.Path(name).expanduser() / "dataset_info.json").exists():
            return tensorflow_datasets.builder_from_directory(epath.Path(name).expanduser())
        builder = tensorflow_datasets.builder(name, **where)
        if not builder.is_prepared():
            builder = tensorflow_datasets.builder(name, **where, file_format="array_record")
            builder.download_and_prepare()
        return builder
    except ImportError as error:
        needs = f"TensorFlow: {_EXTRA}" if "tensorflow" in str(error).lower() else f"more: {_line(error)}"
        raise ValueError(f"{option}: making {name!r} needs {needs}") from None
    except Exception as error:  # TFDS asserts, and a set's own code raises what it likes
        raise ValueError(f"{option}: expected a set that TFDS can make, got {name!r}: {_line(error)}") from None


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]


def _check_feature(features: Any, field: str, *, name: str) -> None:
    found = features
    for part in field.split("."):
        if not hasattr(found, "keys") or part not in found:
            there = ", ".join(map(repr, sorted(features)))
            raise ValueError(f"data.field: expected a feature of {name!r}, got {field!r}; it has {there}")
        found = found[part]
    if found.shape != () or found.np_dtype not in (str, object, bytes):
        kind = " ".join(str(found).split())
        raise ValueError(f"data.field: expected a feature of text, but {field!r} of {name!r} is {kind}")


def _check_split(info: Any, split: str, *, name: str, option: str) -> None:
    if split not in info.splits:
        there = ", ".join(map(repr, info.splits))
        raise ValueError(
            f"{option}: expected a whole split of {name!r}, one of {there}, got {split!r}; data.train_split and "
            "the like take parts of it"
        )


def _shards(info: Any, split: str, *, option: str, cache_dir: pathlib.Path, progress: Progress) -> list[File]:
    paths = [str(path) for path in info.splits[split].filepaths]
    urls = [path for path in paths if remote.is_url(path)]
    names = {path: pathlib.PurePath(path).name for path in paths if path not in urls}
    names |= remote.copies(urls, cache_dir=cache_dir, progress=progress, field=option)
    return files.ordered(names, cache_dir=cache_dir)
