"""How long work reports itself: one callable, so that a bar, a log or nothing at all can listen."""

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""(label, done, total): the label says what is counted, such as "tokenizing (bytes)"."""


def quiet(label: str, done: int, total: int) -> None:
    """Nobody listens."""
    del label, done, total
