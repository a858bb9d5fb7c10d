"""From what a source calls its classes to their numbers."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32


def numbered(values: Sequence[Any]) -> tuple[Int32[np.ndarray, "N"], tuple[str, ...]]:
    """-> (the class number of each value, 0 where it is empty; the names of the classes, in order)."""
    ordered = in_order({value for value in values if not is_empty(value)})
    number = {value: i for i, value in enumerate(ordered)}
    return np.array([number.get(value, 0) for value in values], np.int32), tuple(map(str, ordered))


def in_order(classes: Collection[Any]) -> list[Any]:
    """Numbers as numbers, also where they are written out ("2" before "10"); all else by the alphabet."""
    if any(isinstance(each, str) for each in classes):
        are_numbers = all(isinstance(each, str) and each.isdecimal() for each in classes)
        return sorted(classes, key=lambda each: (int(each) if are_numbers else 0, str(each)))
    return sorted(classes)


def is_empty(value: Any) -> bool:
    """Whether a cell names no class: null, no letters, or not a number."""
    return value is None or value == "" or value != value  # NaN alone is not itself
