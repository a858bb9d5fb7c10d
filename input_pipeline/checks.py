"""Checks of a config's values: what is wrong becomes one line."""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def at_least(least: int, section: str = "data.", **values: float) -> None:
    """Raises a ValueError for a field of a section below `least`."""
    for name, value in values.items():
        if not value >= least:
            raise ValueError(f"{section}{name}: expected {least} or more, got {value}")


def one_of(names: Iterable[str], section: str = "data.", **values: str) -> None:
    """Raises a ValueError for a field of a section that is none of `names`, with the nearest of them."""
    known = list(names)
    for name, value in values.items():
        if value not in known:
            nearest = difflib.get_close_matches(value, known, n=1, cutoff=0)[0]
            expected = ", ".join(map(repr, known))
            raise ValueError(f"{section}{name}: expected one of {expected}; got {value!r}; write {nearest!r}")


def source(name: str, table: Mapping[str, T]) -> T:
    """An entry of the table, or `my_package.my_module:name`, imported: what `data.source` names.

    Raises:
      ValueError: no such module, or no such name in it.
    """
    if ":" not in name:
        return table[name]
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"data.source: expected an importable module:name, got {name!r}: {error}") from None
