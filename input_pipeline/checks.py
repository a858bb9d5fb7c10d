"""Checks of a config's values: what is wrong becomes one line."""

import difflib
from collections.abc import Iterable


def at_least(least: int, **values: int) -> None:
    """Raises a ValueError for a field of `data` below `least`."""
    for name, value in values.items():
        if value < least:
            raise ValueError(f"data.{name}: expected {least} or more, got {value}")


def one_of(names: Iterable[str], **values: str) -> None:
    """Raises a ValueError for a field of `data` that is none of `names`, with the nearest of them."""
    known = list(names)
    for name, value in values.items():
        if value not in known:
            nearest = difflib.get_close_matches(value, known, n=1, cutoff=0)[0]
            expected = ", ".join(map(repr, known))
            raise ValueError(f"data.{name}: expected one of {expected}; got {value!r}; write {nearest!r}")
