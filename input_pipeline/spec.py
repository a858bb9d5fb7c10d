"""The description of a run's data: one frozen dataclass, checked the moment it is made."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from input_pipeline.packing import PACKINGS
from input_pipeline.sources import SOURCES, SPLITTERS, constructor, parse_split
from input_pipeline.tokenizer import vocab_size


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which text, how it becomes tokens, and how tokens become rows. A source does not read the fields of others.

    Raises ValueError in one line: what was expected, what came, what to write instead.
    """

    seq_len: int  # tokens a row
    source: str = "files"  # a key of sources.SOURCES, or my_package.my_module:name
    files: tuple[str, ...] = ()  # globs or URLs (source="files", "jsonl", "parquet" and "array_record")
    field: str = "text"  # of a record, that holds the text; "a.b" is b in a, "" the record itself (sources of records)
    max_bad: float = 0.01  # the greatest share of records that may hold no text (sources of records)
    tfds: str = ""  # a set of TensorFlow Datasets, such as "lm1b:1.1.0" (source="tfds")
    tfds_dir: str = ""  # where it lies; "" for tfds's own folder (source="tfds")
    tfds_split: str = "train"  # the split of the set whose parts are train_split, val_split, ... (source="tfds")
    packages: tuple[str, ...] = ()  # distributions whose .py files are the documents (source="packages")
    documents: tuple[str, ...] = ()  # the texts themselves (source="memory")
    num_documents: int = 0  # (source="synthetic")
    document_bytes: int = 0  # length of each document (source="synthetic")
    fingerprint: str = ""  # of the source as it should be; "" accepts any
    tokenizer: str = "bytes"  # "bytes" | "bpe:4096" (fitted on the training split) | "path/to/tokenizer.json"
    packing: str = "concat"  # a key of packing.PACKINGS
    split_by: str = "document"  # a key of sources.SPLITTERS
    train_split: str = "train[:90%]"
    val_split: str = "train[90%:]"  # "" for none
    test_split: str = ""  # "" for none
    workers: int = 0  # loader processes; 0 loads in threads of this one
    prepare_workers: int = 2  # processes that tokenize; 0 tokenizes in this one
    cache: str = ""  # "" for $XDG_CACHE_HOME/meshwright or ~/.cache/meshwright

    def __post_init__(self) -> None:
        _at_least("seq_len", self.seq_len, least=1)
        for field in ("num_documents", "document_bytes", "workers", "prepare_workers"):
            _at_least(field, getattr(self, field), least=0)
        if not 0 <= self.max_bad <= 1:
            raise ValueError(
                f"data.max_bad: expected a share from 0 to 1, got {self.max_bad}; write 0.01 for one percent"
            )
        if ":" in self.source:
            constructor(self.source)
        else:
            _one_of("source", self.source, names=SOURCES)
        _one_of("packing", self.packing, names=PACKINGS)
        _one_of("split_by", self.split_by, names=SPLITTERS)
        if self.tokenizer == "bytes" or self.tokenizer.startswith("bpe"):
            vocab_size(self.tokenizer)
        self._check_splits()

    def _check_splits(self) -> None:
        """Every split is well formed, and none sees what another is judged by."""
        seen: list[tuple[str, str]] = []
        for field in ("train_split", "val_split", "test_split"):
            expression = getattr(self, field)
            if expression or field == "train_split":
                parse_split(expression, field=field)
                seen.append((field, expression))
        for i, (field, expression) in enumerate(seen):
            for other_field, other in seen[:i]:
                _disjoint(field, expression, other_field=other_field, other=other)


def _at_least(field: str, value: int, *, least: int) -> None:
    if value < least:
        raise ValueError(f"data.{field}: expected {least} or more, got {value}")


def _one_of(field: str, value: str, *, names: Iterable[str]) -> None:
    if value not in (names := list(names)):
        nearest = difflib.get_close_matches(value, names, n=1, cutoff=0)[0]
        expected = ", ".join(map(repr, names))
        raise ValueError(f"data.{field}: expected one of {expected}; got {value!r}; write {nearest!r}")


def _disjoint(field: str, expression: str, *, other_field: str, other: str) -> None:
    low, high = parse_split(expression)
    other_low, other_high = parse_split(other)
    if low < other_high and other_low < high:
        raise ValueError(
            f"data.{field}: expected a range outside data.{other_field} = {other!r}, got {expression!r}, which "
            "overlaps it; write ranges such as 'train[:90%]' and 'train[90%:]', or '' for no such split"
        )
