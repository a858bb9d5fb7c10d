"""Names of a pytree's leaves."""

from collections.abc import Callable
from typing import Any

import jax


def name(path: tuple) -> str:
    """A leaf's path as text: "layers/attention/query/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def names(tree: Any) -> list[str]:
    """The names of all leaves, in the tree's order."""
    return [name(path) for path, _ in jax.tree.leaves_with_path(tree)]


def map_with_name(fn: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """`jax.tree.map` whose function is handed the leaf's name first."""
    return jax.tree.map_with_path(lambda path, *leaves: fn(name(path), *leaves), tree, *rest)
