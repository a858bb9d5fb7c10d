"""Which parameters are matrices, and which of their dims are rows and columns: read off their logical axes.

Kernels are stored stacked over layers, with several axes a side ("layers", "embed", "kv_heads", "group", "head"), so
shapes alone cannot say. A matrix stands between the residual stream ("embed") and something else, or makes filters of
all that a convolution's window holds (as in Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/).
"""

from collections.abc import Sequence
from typing import NamedTuple

STACKED = ("layers", "gate")  # each index along these is a matrix of its own
TABLES = ("vocab", "position", "input", "channels")  # a matrix with one of these is an embedding, or the head


class Matrix(NamedTuple):
    """The dims of a parameter that holds matrices, in three lists."""

    stack: tuple[int, ...]
    rows: tuple[int, ...]  # what it maps from
    columns: tuple[int, ...]  # what it maps to
    is_table: bool


def matrix(axes: Sequence[str]) -> Matrix | None:
    """The dims of a parameter with these logical axes; None for what is no matrix: norms, biases, other layouts.

    "DKGH" in the letters of `models/axes.py` maps from D to K, G and H; "KGHD" the other way; "DTF" holds two matrices
    from D to F; a convolution's "IJCO" maps from I, J and C to O.
    """
    stack = tuple(dim for dim, axis in enumerate(axes) if axis in STACKED)
    rest = tuple(dim for dim in range(len(axes)) if dim not in stack)
    kinds = [axes[dim] for dim in rest]
    if len(rest) > 1 and kinds[-1] == "filters":
        return Matrix(stack, rest[:-1], rest[-1:], is_table=False)
    if len(rest) < 2 or kinds.count("embed") != 1:
        return None
    is_table = any(kind in TABLES for kind in kinds)
    if kinds[0] == "embed":
        return Matrix(stack, rest[:1], rest[1:], is_table)
    if kinds[-1] == "embed":
        return Matrix(stack, rest[:-1], rest[-1:], is_table)
    return None


def dims_of_one(axes: Sequence[str]) -> tuple[int, ...]:
    """The dims of one layer's parameter: those that are not stacked."""
    return tuple(dim for dim, axis in enumerate(axes) if axis not in STACKED)
