"""The description of a cleaning: one frozen dataclass a section, checked the moment it is made."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from input_pipeline.checks import at_least, one_of
from input_pipeline.clean import steps, tabular
from input_pipeline.clean.collect.spec import Collect
from input_pipeline.clean.formats import FORMATS
from input_pipeline.clean.record import Step
from input_pipeline.clean.similar import NEAR
from input_pipeline.clean.similar.sketch import Near
from input_pipeline.transforms.parse import read

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)  # as TFDS has them
ACTIONS = ("remove", "keep")
PREFERENCES = ("first", "longest")


@dataclass(frozen=True, kw_only=True)
class Dedup:
    """Config section `dedup`: what counts as the same, and which of them stays."""

    exact: bool = True  # records of one digest; see similar/exact.py
    near: str = ""  # an operation of similar.NEAR, such as "minhash(ngram=5)"; "" looks for no near-duplicates
    threshold: float = 0.8  # the least similarity of near-duplicates: Jaccard, or the share of equal bits
    prefer: str = "first"  # which of several stays: the first by name, or the longest
    action: str = "remove"  # or keep: none is removed, and none may lie in another split than its like
    index: bool = False  # whether <output>/index keeps what a later cleaning needs to be deduplicated `against` this
    against: tuple[str, ...] = ()  # outputs of earlier cleanings: what is in them is removed here
    substring_words: int = (
        0  # of texts: a run of so many words that stands before is cut; 0 cuts none; see substrings.py
    )

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"dedup.threshold: expected a similarity above 0, at most 1, got {self.threshold}")
        one_of(PREFERENCES, "dedup.", prefer=self.prefer)
        one_of(ACTIONS, "dedup.", action=self.action)
        at_least(0, "dedup.", substring_words=self.substring_words)
        if self.substring_words and self.action == "keep":
            raise ValueError("dedup.substring_words: expected dedup.action='remove' beside it, got 'keep'; write 0")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Config section `split`: shares of val and test; train is what these leave, or less, and the rest is left out.

    A record's place follows from the hash of its group, so that new records never move old ones.
    """

    train: float = 1.0  # at most
    val: float = 0.01
    test: float = 0.01
    by: str = ""  # a field whose equal values stay together, such as "speaker" or "site"; "" for the record's content
    time: str = ""  # a field by which the latest go to test, those before to val: in the place of hashes
    stratify: str = ""  # a field each of whose values is split in these shares exactly
    seed: int = 0

    def __post_init__(self) -> None:
        given = (self.train, self.val, self.test)
        if min(given) < 0 or self.val + self.test > 1 or sum(given) == 0:
            raise ValueError(
                f"split: expected shares, of which val and test leave some, got train, val, test = {given}"
            )
        if self.time and (self.by or self.stratify):
            raise ValueError("split.time: expected neither split.by nor split.stratify beside it; write one of them")

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of train, val and test."""
        return (min(self.train, 1 - self.val - self.test), self.val, self.test)


@dataclass(frozen=True, kw_only=True)
class Output:
    """Config section `output`."""

    format: str = "array_record"  # with the metadata of TFDS, or parquet, or jsonl
    shard_bytes: int = 256 << 20  # of text and payload in one file, at most a block more

    def __post_init__(self) -> None:
        one_of(FORMATS, "output.", format=self.format)
        at_least(1, "output.", shard_bytes=self.shard_bytes)


@dataclass(frozen=True, kw_only=True)
class Clean:
    """A whole cleaning: from files to a dataset.

    Raises ValueError in one line: what was expected, what came, what to write instead.
    """

    modality: str = "text"  # a key of steps.STEPS: text, image, audio or table
    files: tuple[str, ...] = ()  # globs or URLs; or "package:jax", "synthetic:400" (brought.py)
    source: Collect = field(default_factory=Collect)  # how files are read
    steps: str = ""  # operations of steps.STEPS, from left to right: "fix_text|gopher_quality|mask_pii"
    dedup: Dedup = field(default_factory=Dedup)
    split: Split = field(default_factory=Split)
    fitted: str = ""  # of tables: operations of tabular.OPERATIONS, learnt from training rows, done to all
    untouched: tuple[str, ...] = ()  # of tables: columns that these leave as they are, such as labels
    output: Output = field(default_factory=Output)
    shards: int = 0  # of the input; 0 for one per 64 MB, and sixteen or more
    block_records: int = 1_000  # at most, in a block: the unit of work, and what a kill may cost
    cache: str = ""  # "" for $XDG_CACHE_HOME/meshwright or ~/.cache/meshwright
    name: str = "cleaned"  # of the dataset, in TFDS's metadata
    licence: str = ""  # of the data, for its card
    origin: str = ""  # where it comes from, for its card

    def __post_init__(self) -> None:
        one_of(steps.STEPS, "", modality=self.modality)
        at_least(0, "", shards=self.shards)
        at_least(1, "", block_records=self.block_records)
        if self.output.format == "jsonl" and self.modality in ("image", "audio"):
            raise ValueError(f"output.format: expected array_record or parquet for {self.modality}, got 'jsonl'")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: expected letters, digits and '_', a letter first, got {self.name!r}")
        _ = self.operations, self.near
        if (self.fitted or self.untouched) and self.modality != "table":
            raise ValueError(f"fitted: expected none but for modality='table', got {self.fitted!r}, {self.untouched}")
        tabular.read(self.fitted, untouched=self.untouched)

    @cached_property
    def operations(self) -> Sequence[Step]:
        """The line of steps, read."""
        return steps.line(self.steps, modality=self.modality)

    @cached_property
    def near(self) -> Near | None:
        """How near-duplicates are found; None: they are not looked for."""
        found = read(self.dedup.near, NEAR[self.modality], field="dedup.near", threshold=self.dedup.threshold)
        if len(found) > 1:
            raise ValueError(f"dedup.near: expected one operation, got {self.dedup.near!r}")
        return found[0] if found else None


def with_files(spec: Clean, files: Sequence[str]) -> Clean:
    """The same cleaning, of these globs or URLs where any are given."""
    return replace(spec, files=tuple(files)) if files else spec
