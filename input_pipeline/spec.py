"""The description of a run's data: one frozen dataclass, checked the moment it is made."""

import contextlib
import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from input_pipeline import batch, checks, text_noise
from input_pipeline.batch import Contract
from input_pipeline.checks import at_least, one_of
from input_pipeline.clean import dataset
from input_pipeline.clean.spec import Clean
from input_pipeline.mixture import counts
from input_pipeline.packing import PACKINGS
from input_pipeline.sources import SOURCES, SPLITTERS, parse_split
from input_pipeline.tokenizer import vocab_size
from input_pipeline.transforms.mixing import Mixing
from input_pipeline.transforms.parse import parse

_NAME = re.compile(r"[\w-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Which text there is, and how it is split. `Data` is one, and so is each ingredient of a mixture.

    A source does not read the fields of others.
    """

    source: str = "files"  # a key of sources.SOURCES, or my_package.my_module:name
    files: tuple[str, ...] = ()  # globs or URLs (source="files", "jsonl", "parquet" and "array_record"); or the folder
    # that scripts/clean_data.py wrote (source="cleaned")
    clean: Clean | None = None  # or a whole cleaning, which is run when it was not before (source="cleaned")
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
    split_by: str = "document"  # a key of sources.SPLITTERS
    train_split: str = "train[:90%]"  # "train", "val" or "test" of a cleaned dataset
    val_split: str = "train[90%:]"  # "" for none
    test_split: str = ""  # "" for none
    text_noise: str = ""  # of training documents, before they become tokens: "case(0.1)|typos(0.02)"; see text_noise.py
    transforms: str = ""  # of training rows, left to right: "mask_spans(0.15, 3)|drop_tokens(0.1)"; see transforms/


@dataclass(frozen=True, kw_only=True)
class Ingredient(Corpus):
    """One corpus of a mixture. `Data` checks it."""

    weight: float = 1.0  # its share of the examples, beside the other weights; see mixture.py. 0: evaluated alone
    max_epochs: float = 0.0  # a run that would pass over it more often does not begin; 0 for any number


@dataclass(frozen=True, kw_only=True)
class Data(Corpus):
    """Which text, how it becomes tokens, and how tokens become rows.

    Either the fields of `Corpus` say where the text comes from, or `mixture` holds several corpora by name.

    Raises ValueError in one line: what was expected, what came, what to write instead.
    """

    modality: str = "text"
    seq_len: int  # tokens a row
    mixture: Mapping[str, Ingredient] = dataclasses.field(default_factory=dict)  # {} for a single corpus
    tokenizer: str = "bytes"  # "bytes" | "bpe:4096" (fitted on the training split) | "path/to/tokenizer.json"
    packing: str = "concat"  # a key of packing.PACKINGS
    workers: int = 0  # loader processes; 0 loads in threads of this one
    prepare_workers: int = 2  # processes that tokenize; 0 tokenizes in this one
    cache: str = ""  # "" for $XDG_CACHE_HOME/meshwright or ~/.cache/meshwright

    def __post_init__(self) -> None:
        one_of(["text"], modality=self.modality)
        at_least(1, seq_len=self.seq_len)
        for name in ("num_documents", "document_bytes", "workers", "prepare_workers"):
            at_least(0, **{name: getattr(self, name)})
        if not 0 <= self.max_bad <= 1:
            raise ValueError(
                f"data.max_bad: expected a share from 0 to 1, got {self.max_bad}; write 0.01 for one percent"
            )
        if ":" in self.source:
            checks.source(self.source, SOURCES)
        else:
            one_of(SOURCES, source=self.source)
        one_of(PACKINGS, packing=self.packing)
        one_of(SPLITTERS, split_by=self.split_by)
        if self.tokenizer == "bytes" or self.tokenizer.startswith("bpe"):
            vocab_size(self.tokenizer)
        text_noise.parse(self.text_noise)
        parse(self.transforms, separator=0)
        dataset.check(self)
        if self.source != "cleaned":
            self._check_splits()
        if self.mixture:
            self._check_mixture()

    unit: ClassVar[str] = "tokens"  # what a rate counts
    mixing: ClassVar[tuple[Mixing, ...]] = ()  # no rows of tokens are mixed
    rows_per_class: ClassVar[int] = 1  # they have no classes

    @property
    def example_tokens(self) -> int:
        """Places in a row."""
        return self.seq_len

    @property
    def contract(self) -> Contract:
        """What a batch is."""
        return batch.text(self.seq_len)

    @property
    def weights(self) -> dict[str, float]:
        """Of each part that is trained on."""
        return {name: part.weight for name, part in self.mixture.items() if part.weight} or {"": 1.0}

    @functools.cached_property
    def parts(self) -> dict[str, "Data"]:
        """Each corpus by its name, as the data of a single one; that of no mixture is called ""."""
        if not self.mixture:
            return {"": self}
        corpora = {
            name: {key: getattr(ingredient, key) for key in CORPUS_FIELDS} for name, ingredient in self.mixture.items()
        }
        return {name: self._part(name, corpus) for name, corpus in corpora.items()}

    def _part(self, name: str, corpus: Mapping[str, Any]) -> "Data":
        with naming(name):
            return replace(self, mixture={}, **corpus)

    def _check_mixture(self) -> None:
        """The corpus stands in the ingredients alone, and each of them is sound."""
        unset = Corpus()
        for name in CORPUS_FIELDS:
            if getattr(self, name) != getattr(unset, name):
                raise ValueError(
                    f"data.{name}: expected none beside data.mixture, whose corpora have their own, got "
                    f"{getattr(self, name)!r}; write data.mixture.{next(iter(self.mixture))}.{name}"
                )
        for name, ingredient in self.mixture.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"data.mixture: expected names of letters, digits, '_' and '-', got {name!r}")
            if not 0 <= ingredient.weight < math.inf:
                raise ValueError(f"data.mixture.{name}.weight: expected 0 or more, got {ingredient.weight}")
            if not 0 <= ingredient.max_epochs < math.inf:
                raise ValueError(
                    f"data.mixture.{name}.max_epochs: expected 0 (any number) or more, got {ingredient.max_epochs}"
                )
        if not any(ingredient.weight for ingredient in self.mixture.values()):
            raise ValueError(f"data.mixture: expected a weight above 0, got 0 for {', '.join(self.mixture)}")
        counts(self.weights)
        assert self.parts

    def _check_splits(self) -> None:
        """Every split is well formed, and none sees what another is judged by."""
        seen: list[tuple[str, str]] = []
        for name in ("train_split", "val_split", "test_split"):
            expression = getattr(self, name)
            if expression or name == "train_split":
                parse_split(expression, field=name)
                seen.append((name, expression))
        for i, (name, expression) in enumerate(seen):
            for other_name, other in seen[:i]:
                _disjoint(name, expression, other_field=other_name, other=other)


CORPUS_FIELDS = tuple(each.name for each in fields(Corpus))
_NAMED = re.compile(rf"^data(?=: )|(?<![\w/])data(?=\.(?:{'|'.join(CORPUS_FIELDS)})\b)")


@contextlib.contextmanager
def naming(part: str) -> Iterator[None]:
    """While this lasts, a ValueError about `data.files` is one about `data.mixture.<part>.files`; "" is no mixture."""
    try:
        yield
    except ValueError as error:
        if not part:
            raise
        raise ValueError(_NAMED.sub(f"data.mixture.{part}", str(error))) from error


def _disjoint(field: str, expression: str, *, other_field: str, other: str) -> None:
    low, high = parse_split(expression)
    other_low, other_high = parse_split(other)
    if low < other_high and other_low < high:
        raise ValueError(
            f"data.{field}: expected a range outside data.{other_field} = {other!r}, got {expression!r}, which "
            "overlaps it; write ranges such as 'train[:90%]' and 'train[90%:]', or '' for no such split"
        )
