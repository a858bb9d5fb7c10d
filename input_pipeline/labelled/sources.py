"""Where labelled examples come from: one constructor for each name in `SOURCES`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from input_pipeline import cache, checks, files, parquet, tfds
from input_pipeline.array_record import ArrayRecord
from input_pipeline.files import File
from input_pipeline.labelled import cleaned, folders, idx, made, patterns, quarantine, shards, tables
from input_pipeline.labelled.examples import Examples, InMemory, digests_of
from input_pipeline.labelled.records import ExampleRecords, ParquetRecords, Records
from input_pipeline.progress import Progress, quiet
from input_pipeline.records import Format

if TYPE_CHECKING:
    from input_pipeline.labelled.spec import LabelledData

SETS = ("digits", "iris", "wine", "breast_cancer", "diabetes")  # that lie in scikit-learn's wheel
_SHOWN = 20  # classes in an error


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
    if not data.input_field:
        return tables.examples(
            found,
            columns=data.columns,
            label_fields=data.label_fields,
            labels=data.labels,
            group_field=data.group_field,
        )
    records = ParquetRecords(data.input_field, data.label_fields, data.group_field, is_class=data.labels == "class")
    classes = data.label_fields if data.labels == "classes" else parquet.class_names(found, data.label_fields[0])
    return _shards(records, {"": found}, classes, data, progress)


def array_records(data: "LabelledData", *, progress: Progress) -> Examples:
    """Records of ArrayRecord files, each a tf.train.Example."""
    return _shards(_example_records(ArrayRecord(""), data), {"": _found(data, progress)}, (), data, progress)


def tfds_set(data: "LabelledData", *, progress: Progress) -> Examples:
    """All splits of a set of TensorFlow Datasets; sound is records of files, or 16-bit samples of a known rate."""
    found = tfds.labelled(
        data.set,
        directory=data.set_dir,
        input_field=data.input_field or data.modality,
        label_field=data.label_fields[0],
        cache_dir=cache.directory(data.cache),
        progress=progress,
    )
    if found.sample_rate not in (None, data.sample_rate or None):
        raise ValueError(
            f"data.sample_rate: expected {found.sample_rate}, that of {data.set!r}, got {data.sample_rate}"
        )
    return _shards(_example_records(found.records, data), found.parts, found.classes, data, progress)


def _example_records(records: Format, data: "LabelledData") -> ExampleRecords:
    return ExampleRecords(
        records,
        input_field=data.input_field or data.modality,
        label_field=data.label_fields[0],
        group_field=data.group_field,
        num_numbers=data.label_width,
    )


def _shards(
    records: Records,
    parts: Mapping[str, Sequence[File]],
    classes: Sequence[str] | None,
    data: "LabelledData",
    progress: Progress,
) -> Examples:
    return shards.examples(
        records,
        parts,
        labels=data.labels,
        classes=classes,
        group_of=_group_of(data) if data.group_field else None,
        cache_dir=cache.directory(data.cache),
        progress=progress,
    )


def _group_of(data: "LabelledData") -> Callable[[str], str]:
    """From what stands in `data.group_field` to the group: the whole, or its part by `data.pattern`."""
    if not data.pattern:
        return str
    read = patterns.reader(data.pattern, wanted="group")
    return lambda name: read(name)["group"]


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
    "cleaned": cleaned.examples,
}


def _named(data: "LabelledData", progress: Progress) -> Examples:
    """What `data.source` names: `Examples`, or a function that is called as `(data, progress=progress)` and returns
    them."""
    found: Any = checks.source(data.source, SOURCES)
    found = found(data, progress=progress) if callable(found) else found
    if not isinstance(found, Examples):
        raise ValueError(
            f"data.source: expected {data.source!r} to be Examples, got {type(found).__name__}; write "
            "name = Examples.of(inputs, labels) in that module"
        )
    return found


def open_source(data: "LabelledData", *, others: Sequence[str] = (), progress: Progress = quiet) -> Examples:
    """The examples that the spec names, whole. `others`: further lines of transforms that will read them.

    Raises:
      ValueError: nothing is there, too much of it is bad, or its labels are not what the spec says.
    """
    found = _named(data, progress)
    if len(found) and quarantine.is_raw(found):
        for decode in data.decoders(others):
            found = quarantine.sound(found, decode, data=data, progress=progress)
    quarantine.check_share(found, max_bad=data.max_bad)
    _check_labels(found, data)
    return found


def _check_labels(found: Examples, data: "LabelledData") -> None:
    if data.labels == "class":
        _check_classes(found, data)
    else:
        _check_numbers(found, data)


def _check_numbers(found: Examples, data: "LabelledData") -> None:
    labels = found.labels
    if labels.dtype != np.float32 or labels.shape[1:] != (data.label_width,):
        raise ValueError(
            f"data.labels: expected {data.label_width} numbers an example for {data.labels!r}, got {labels.dtype} "
            f"{list(labels.shape)}; write data.labels='class', or their number"
        )
    if len(odd := np.flatnonzero(~np.isfinite(labels).all(1))):
        first = f"{labels[odd[0]].tolist()} in {found.names[odd[0]]}"
        raise ValueError(f"data.labels: expected finite numbers, got {first}, and {len(odd)} such in all; mend them")
    if data.labels == "classes" and not ((labels >= 0) & (labels <= 1)).all():
        row = int(np.flatnonzero(((labels < 0) | (labels > 1)).any(1))[0])
        raise ValueError(
            f"data.labels: expected 0 or 1 for each class, got {labels[row].tolist()} in {found.names[row]}"
        )


def _check_classes(found: Examples, data: "LabelledData") -> None:
    if found.labels.dtype != np.int32:
        raise ValueError("data.labels: expected 'numbers', since they are no classes; write num_targets too")
    if found.classes and len(found.classes) != data.num_classes:
        named = f": {', '.join(found.classes)}" if len(found.classes) <= _SHOWN else ""
        raise ValueError(
            f"data.num_classes: expected {len(found.classes)}, the classes that there are{named}; got "
            f"{data.num_classes}"
        )
    outside = np.flatnonzero((found.labels < 0) | (found.labels >= data.num_classes))
    if len(outside):
        raise ValueError(
            f"data.num_classes: expected classes 0 to {data.num_classes - 1}, got {found.labels[outside[0]]} in "
            f"{found.names[outside[0]]}, and {len(outside)} such in all; write another number, or leave them out"
        )
