"""The description of a run's labelled data: one frozen dataclass, checked the moment it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from input_pipeline import batch, checks
from input_pipeline.batch import Contract, Field
from input_pipeline.checks import at_least, one_of
from input_pipeline.clean import dataset
from input_pipeline.clean.spec import Clean
from input_pipeline.labelled import sources, splits
from input_pipeline.transforms import TRANSFORMS, Transform
from input_pipeline.transforms.mixing import Mixing
from input_pipeline.transforms.parse import Operations, parse

MODALITIES = ("image", "audio", "table")
LABELS = {"class": np.dtype(np.int32), "classes": np.dtype(np.float32), "numbers": np.dtype(np.float32)}
# Fields that only some sources read; a source of the user's own may read them all.
READ_BY = {
    "files": ("folder", "parquet", "csv", "array_record", "idx", "cleaned"),
    "clean": ("cleaned",),
    "pattern": ("folder", "parquet", "array_record", "tfds"),
    "set": ("idx", "sklearn", "tfds"),
    "set_dir": ("tfds",),
    "input_field": ("parquet", "array_record", "tfds", "cleaned"),
    "label_fields": ("parquet", "csv", "array_record", "tfds", "cleaned"),
    "group_field": ("parquet", "csv", "array_record", "tfds", "cleaned"),
    "columns": ("parquet", "csv", "cleaned"),
    "num_examples": ("synthetic",),
    "made_shape": ("synthetic",),
    "kind": ("synthetic",),
}


@dataclass(frozen=True, kw_only=True)
class LabelledData:
    """Which labelled examples, how they are split, and what is done to them (config section `data`).

    Raises ValueError in one line: what was expected, what came, what to write instead.
    """

    modality: str  # image | audio | table (tables, and sequences of numbers)
    source: str  # a key of labelled/sources.py, or my_module:name (Examples.of(..), or a function that returns them)
    shape: tuple[int, ...]  # of one input after its transforms: (height, width, channels), (frames, mels), (features,)
    labels: str = "class"  # one of num_classes | classes: any of num_classes | numbers: num_targets of them
    num_classes: int = 0
    num_targets: int = 0
    files: tuple[str, ...] = ()  # globs or URLs; the folder that scripts/clean_data.py wrote (source="cleaned")
    clean: Clean | None = None  # or a whole cleaning, which is run when it was not before (source="cleaned")
    pattern: str = ""  # of file names, such as "{label}_{group}_{number}.wav"; "": the label is the file's folder
    set: str = ""  # such as "fashion_mnist" (source="idx"), "digits" ("sklearn") or "mnist:3.0.1" ("tfds")
    set_dir: str = ""  # where a set of TFDS lies; "" for its own folder
    input_field: str = ""  # of a record (source="parquet", "array_record", "tfds")
    label_fields: tuple[str, ...] = ("label",)  # of a record; several columns of numbers (source="parquet", "csv")
    group_field: str = ""  # of a record; with a pattern, its {group} is the group
    columns: tuple[str, ...] = ()  # of a table, the features; (): all others (source="parquet", "csv")
    num_examples: int = 0  # (source="synthetic")
    made_shape: tuple[int, ...] = ()  # of an input before its transforms; (): `shape` (source="synthetic")
    kind: str = ""  # what is made up: "shapes", "tones" or "sequences" (source="synthetic")
    sample_rate: int = 0  # of sound, a second; a record of another rate is bad
    max_bad: float = 0.01  # the greatest share of records that may be bad
    fingerprint: str = ""  # of the training rows as they should be; "" accepts any
    rows_per_class: int = 1  # so many rows of one class stand together, for an objective that compares rows
    split_by: str = "example"  # or "group": no group is cut
    train_split: str = "train[:90%]"
    val_split: str = "train[90%:]"  # "" for none
    test_split: str = ""  # "" for none
    transforms: str = ""  # of training rows, left to right; see transforms/
    eval_transforms: str = ""  # of the rows of other splits
    workers: int = 0  # loader processes; 0 loads in threads of this one
    prepare_workers: int = 2  # processes that look through the records once; 0 does it in this one
    cache: str = ""  # "" for $XDG_CACHE_HOME/meshwright or ~/.cache/meshwright

    mixture: ClassVar[Mapping[str, Any]] = {}
    weights: ClassVar[Mapping[str, float]] = {"": 1.0}
    example_tokens: ClassVar[int] = 1
    unit: ClassVar[str] = "examples"

    def __post_init__(self) -> None:
        one_of(MODALITIES, modality=self.modality)
        one_of(LABELS, labels=self.labels)
        if ":" in self.source:
            checks.source(self.source, sources.SOURCES)
        else:
            one_of(sources.SOURCES, source=self.source)
        one_of(splits.SPLIT_BY, split_by=self.split_by)
        for name in ("num_examples", "sample_rate", "workers", "prepare_workers"):
            at_least(0, **{name: getattr(self, name)})
        at_least(1, rows_per_class=self.rows_per_class)
        if self.rows_per_class > 1 and self.labels != "class":
            raise ValueError(f"data.rows_per_class: expected 1 for labels={self.labels!r}, got {self.rows_per_class}")
        if self.modality == "audio":
            at_least(1, sample_rate=self.sample_rate)
        if self.labels == "numbers":
            at_least(1, num_targets=self.num_targets)
        else:
            at_least(2 if self.labels == "class" else 1, num_classes=self.num_classes)
        self._check_label_fields()
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"data.shape: expected positive sizes, got {self.shape}; write for example (28, 28, 1)")
        if not 0 <= self.max_bad <= 1:
            raise ValueError(f"data.max_bad: expected a share from 0 to 1, got {self.max_bad}; write 0.01 for 1 %")
        dataset.check(self)
        splits.check_disjoint(self.splits)
        for name in ("transforms", "eval_transforms"):
            self.planned(name)

    def _check_label_fields(self) -> None:
        has_columns = self.source in ("csv", "parquet") or (self.source == "cleaned" and self.modality == "table")
        expected = self.label_width if self.labels != "class" and has_columns else 1
        if len(self.label_fields) != expected:
            raise ValueError(
                f"data.label_fields: expected {expected} for labels={self.labels!r} and source={self.source!r}, got "
                f"{self.label_fields}; write for example ('label',)"
            )
        without = ("tfds", "array_record", "folder", "idx", *(() if has_columns else ("cleaned",)))
        if self.labels == "classes" and self.source in without:
            raise ValueError(
                f"data.labels: expected 'class' for source={self.source!r}, got 'classes'; write source='csv' or "
                "'parquet' with a column of 0 and 1 for each class"
            )

    def operations(self, field: str, *, instead: str = "", **given: Any) -> Operations:
        """Those of `transforms` or `eval_transforms`, or of another line instead.

        `given`: of the training rows, what operations may want.
        """
        line = instead or getattr(self, field)
        found = parse(line, field=field, modality=self.modality, **given, sample_rate=self.sample_rate)
        if field == "eval_transforms" and found.mixing:
            raise ValueError(f"data.eval_transforms: expected no mixing of rows, got {line!r}")
        return found

    def planned(self, field: str, *, instead: str = "") -> Operations:
        """As `operations`, before the training rows are known: to be looked at, not used on rows."""
        return self.operations(field, instead=instead, mean=(0.0,), std=(1.0,))

    @property
    def mixing(self) -> tuple[Mixing, ...]:
        """What mixes the rows of a training batch."""
        return self.planned("transforms").mixing

    def decoders(self, others: Sequence[str] = ()) -> list[Transform]:
        """What makes inputs of files, in training and in evaluation. `others`: lines in the place of eval_transforms.

        Raises:
          ValueError: a line of transforms that does not begin with it.
        """
        decode: Any = TRANSFORMS[self.modality].get("decode", ())
        found: dict[Transform, None] = {}
        evaluated = [("eval_transforms", line) for line in (self.eval_transforms, *others) if line]
        for field, line in [("transforms", self.transforms), *evaluated]:
            operations = self.planned(field, instead=line).rows
            if not operations or not isinstance(operations[0], decode):
                raise ValueError(
                    f"data.{field}: expected it to begin with decode, since the source gives files; got {line!r} for "
                    f"modality={self.modality!r}"
                )
            found[operations[0]] = None
        return list(found)

    @property
    def unread(self) -> tuple[str, ...]:
        """The fields that are set though this source reads none of them."""
        defaults = {field.name: field.default for field in fields(self)}
        is_set = [name for name in READ_BY if getattr(self, name) != defaults[name]]
        return tuple(name for name in is_set if ":" not in self.source and self.source not in READ_BY[name])

    @property
    def label_width(self) -> int:
        """How many numbers a label is; 0 where it is one of the classes."""
        return {"class": 0, "classes": self.num_classes, "numbers": self.num_targets}[self.labels]

    @cached_property
    def splits(self) -> dict[str, splits.Split]:
        """Of the fields that are not empty."""
        named = {name: getattr(self, name) for name in ("train_split", "val_split", "test_split")}
        return {
            name: splits.parse_split(text, field=name) for name, text in named.items() if text or name == "train_split"
        }

    @property
    def parts(self) -> dict[str, "LabelledData"]:
        """Itself, as the one part of its data."""
        return {"": self}

    @property
    def contract(self) -> Contract:
        """What a batch is."""
        width = (self.label_width,) if self.label_width else ()
        return batch.labelled(self.shape, labels=Field(LABELS[self.labels], width))
