"""Where labelled examples come from: one constructor for each name in `SOURCES`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from input_pipeline import cache, checks, files, tfds
from input_pipeline.array_record import ArrayRecord
from input_pipeline.files import File
from input_pipeline.labelled import folders, idx, made, quarantine, shards, tables
from input_pipeline.labelled.examples import Examples, InMemory, digests_of
from input_pipeline.progress import Progress, quiet
from input_pipeline.records import Format

if TYPE_CHECKING:
    from input_pipeline.labelled.spec import LabelledData

SETS = ("digits", "iris", "wine", "breast_cancer", "diabetes")  # that lie in scikit-learn's wheel


def idx_files(data: "LabelledData", *, progress: Progress) -> Examples:
    """A set that a package brings, or pairs of idx files."""
    cache_dir = cache.directory(data.cache)
    patterns = data.files or idx.known_files(data.set)
    found = files.find(patterns, cache_dir=cache_dir, progress=progress)
    classes = idx.SETS[data.set].classes if data.set in idx.SETS else ()
    return idx.examples(found, classes=classes, cache_dir=cache_dir)


def scikit_learn(data: "LabelledData", *, progress: Progress) -> Examples:
    """A set of scikit-learn's: digits are images [8, 8, 1] of 0 to 255, the others tables."""
    try:
        from sklearn import datasets
    except ImportError:
        raise ValueError("data.source: 'sklearn' needs scikit-learn; write pip install scikit-learn") from None
    if data.set not in SETS:
        raise ValueError(f"data.set: expected one of {', '.join(SETS)}, got {data.set!r}")
    bunch = getattr(datasets, f"load_{data.set}")()
    inputs, labels = bunch.data.astype(np.float32), bunch.target
    if data.set == "digits":  # sixteen is the greatest
        inputs = np.rint(bunch.images[..., None] * (255 / 16)).astype(np.uint8)
    is_class = data.set != "diabetes"
    return Examples(
        reader=InMemory(inputs),
        labels=labels.astype(np.int32) if is_class else labels.astype(np.float32)[:, None],
        names=[f"{data.set}-{i:06d}" for i in range(len(inputs))],
        digests=digests_of(inputs),
        classes=tuple(str(name) for name in bunch.target_names) if is_class else (),
    )


def folder(data: "LabelledData", *, progress: Progress) -> Examples:
    """One example a file, images or sound; its folder or its name tells the class."""
    return folders.examples(_found(data, progress), pattern=data.pattern)


def table_files(data: "LabelledData", *, progress: Progress) -> Examples:
    """Rows of CSV or Parquet files; with `data.input_field`, encoded images or sound in a column of Parquet files."""
    found = _found(data, progress)
    if data.input_field:
        return tables.encoded(found, field=data.input_field, label=data.label_field, group=data.group_field)
    return tables.examples(
        found, columns=data.columns, label=data.label_field, labels=data.labels, group=data.group_field
    )


def array_records(data: "LabelledData", *, progress: Progress) -> Examples:
    """Records of ArrayRecord files, each a tf.train.Example."""
    parts: dict[str, tuple[Format, list[File]]] = {"": (ArrayRecord(""), _found(data, progress))}
    return _shards(parts, (), data, progress)


def tfds_set(data: "LabelledData", *, progress: Progress) -> Examples:
    """All splits of a set of TensorFlow Datasets."""
    parts, classes = tfds.labelled(
        data.set,
        directory=data.set_dir,
        label_field=data.label_field,
        cache_dir=cache.directory(data.cache),
        progress=progress,
    )
    return _shards(parts, classes, data, progress)


def _shards(
    parts: dict[str, tuple[Format, list[File]]], classes: tuple[str, ...], data: "LabelledData", progress: Progress
) -> Examples:
    return shards.examples(
        parts,
        input_field=data.input_field or data.modality,
        label_field=data.label_field,
        classes=classes,
        cache_dir=cache.directory(data.cache),
        progress=progress,
    )


def _found(data: "LabelledData", progress: Progress) -> list[File]:
    return files.find(data.files, cache_dir=cache.directory(data.cache), progress=progress)


def made_up(data: "LabelledData", *, progress: Progress) -> Examples:
    """`data.num_examples` shapes, tones or sequences."""
    return made.examples(data.kind, num_examples=data.num_examples, shape=data.made_shape or data.shape)


SOURCES: dict[str, Callable[..., Examples]] = {
    "folder": folder,
    "parquet": table_files,
    "csv": table_files,
    "array_record": array_records,
    "tfds": tfds_set,
    "idx": idx_files,
    "sklearn": scikit_learn,
    "synthetic": made_up,
}


def open_source(data: "LabelledData", *, progress: Progress = quiet) -> Examples:
    """The examples that the spec names, whole.

    Raises:
      ValueError: nothing is there, too much of it is bad, or its labels are not what the spec says.
    """
    found = checks.source(data.source, SOURCES)(data, progress=progress)
    if quarantine.is_raw(found):
        operations = data.operations("transforms", mean=(0.0,), std=(1.0,)).rows
        if not operations:
            raise ValueError(
                "data.transforms: expected it to begin with decode, since the source gives files; got none"
            )
        found = quarantine.sound(found, operations[0], data=data, progress=progress)
    quarantine.check_share(found, max_bad=data.max_bad)
    _check_labels(found, data)
    return found


def _check_labels(found: Examples, data: "LabelledData") -> None:
    labels = found.labels
    if data.labels == "class":
        num_classes = len(found.classes) or int(labels.max()) + 1
        if labels.dtype != np.int32:
            raise ValueError("data.labels: expected 'numbers', since they are no classes; write num_targets too")
        if num_classes != data.num_classes or int(labels.max()) >= num_classes or int(labels.min()) < 0:
            named = f": {', '.join(found.classes)}" if 0 < len(found.classes) <= 20 else ""
            raise ValueError(
                f"data.num_classes: expected {num_classes}, the classes that there are{named}; got {data.num_classes}"
            )
        return
    width = data.num_classes if data.labels == "classes" else data.num_targets
    if labels.dtype != np.float32 or labels.shape[1:] != (width,):
        raise ValueError(
            f"data.labels: expected {width} numbers an example for {data.labels!r}, got {labels.dtype} "
            f"{list(labels.shape)}; write data.labels='class', or their number"
        )
