"""Parts of labelled examples: `train[:90%]`, `test`, `groups(theo, lucas)`.

A part is one that the source has ("test"), or "train": all that is in no part of the source. A range of it is taken by
a hash of each example's name, or of its group, so that examples that are added later never move the others. Whole
groups are held out by name: what `groups(..)` names in one split is in no other.
"""

import re
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from input_pipeline.labelled.examples import Examples
from input_pipeline.splits import name_hash

SPLIT_BY = ("example", "group")
_RANGE = re.compile(r"([\w-]+)(?:\[(?:(\d+(?:\.\d+)?)%)?:(?:(\d+(?:\.\d+)?)%)?\])?")
_GROUPS = re.compile(r"groups\(\s*([^()]*?)\s*\)")
_EXPECTED = "expected a part such as 'train', 'train[:90%]' or 'test', or groups such as 'groups(theo, lucas)'"


class Split(NamedTuple):
    """What an expression says: a range of a part, or groups."""

    part: str = ""
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(1)
    groups: tuple[str, ...] = ()


def parse_split(expression: str, *, field: str) -> Split:
    """Reads an expression.

    Raises:
      ValueError: it is malformed, or its range does not grow.
    """
    if match := _GROUPS.fullmatch(expression):
        if groups := tuple(name.strip() for name in match[1].split(",") if name.strip()):
            return Split(groups=groups)
    elif match := _RANGE.fullmatch(expression):
        low, high = Fraction(match[2] or 0) / 100, Fraction(match[3] or 100) / 100
        if 0 <= low < high <= 1:
            return Split(match[1], low, high)
    raise ValueError(f"data.{field}: {_EXPECTED}, got {expression!r}")


def check_disjoint(splits: Mapping[str, Split]) -> None:
    """Raises a ValueError if two splits, given by the names of their fields, have an example in common."""
    seen: list[str] = []
    for field, split in splits.items():
        for other_field in seen:
            other = splits[other_field]
            shared = set(split.groups) & set(other.groups)
            if shared or (
                split.part and split.part == other.part and split.low < other.high and other.low < split.high
            ):
                what = f"the group {min(shared)!r}" if shared else f"a range of {split.part!r}"
                raise ValueError(
                    f"data.{field}: expected no example of data.{other_field}, but both have {what}; write ranges such "
                    "as 'train[:90%]' and 'train[90%:]'"
                )
        seen.append(field)


def members(examples: Examples, split: Split, *, by: str, held_out: Collection[str]) -> Int64[np.ndarray, "M"]:
    """The numbers of the examples in a split.

    Args:
      by: of `SPLIT_BY`, what is hashed.
      held_out: the groups that other splits name.

    Raises:
      ValueError: no such part or group, no groups at all, or nothing in the split.
    """
    if split.groups:
        groups = _groups(examples)
        if missing := sorted(set(split.groups) - set(groups.tolist())):
            raise ValueError(f"expected a group, one of {', '.join(sorted(set(groups)))}, got {missing[0]!r}")
        found = np.flatnonzero(np.isin(groups, split.groups))
    else:
        found = _part(examples, split.part)
        if held_out:
            found = found[~np.isin(_groups(examples)[found], list(held_out))]
        if (split.low, split.high) != (0, 1):
            found = found[_in_range(examples, found, split, by=by)]
    if not len(found):
        raise ValueError(f"expected an example there, got none of {len(examples):,}")
    return found


def _part(examples: Examples, name: str) -> np.ndarray:
    if name in examples.parts:
        return np.asarray(examples.parts[name])
    if name != "train":
        there = ", ".join(map(repr, dict.fromkeys(["train", *examples.parts])))
        raise ValueError(f"expected a part of the source, one of {there}, got {name!r}")
    rest = np.ones(len(examples), bool)
    for taken in examples.parts.values():
        rest[taken] = False
    return np.flatnonzero(rest)


def _groups(examples: Examples) -> np.ndarray:
    if examples.groups is None:
        raise ValueError(
            "expected a source that knows groups; write data.pattern with {group}, for example "
            "'{label}_{group}_{number}.wav'"
        )
    return examples.groups


def _in_range(examples: Examples, found: np.ndarray, split: Split, *, by: str) -> np.ndarray:
    names = _groups(examples)[found].tolist() if by == "group" else [examples.names[i] for i in found.tolist()]
    known: dict[str, int] = {}
    hashes = np.array([known.setdefault(name, name_hash(name)) for name in names], np.uint64)
    first, last = int(split.low * 2**64), int(split.high * 2**64)
    return (hashes >= np.uint64(first)) & ((hashes < np.uint64(last)) if last < 2**64 else True)
