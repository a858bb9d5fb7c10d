"""The one table that turns logical axes into mesh axes, and the checks and the printout that follow from it."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from models import axes

MeshAxes = str | tuple[str, ...] | None

# How weights are stored. A logical axis that is not named lies whole on every device.
STORED: dict[str, MeshAxes] = {
    "vocab": "tensor",
    "embed": "fsdp",
    "kv_heads": "tensor",
    "mlp": "tensor",
    "filters": "fsdp",
    "hidden": "tensor",
}

# How activations lie, and weights once they are gathered for use.
USED: dict[str, MeshAxes] = {
    "batch": ("data", "fsdp"),
    "vocab": "tensor",
    "kv_heads": "tensor",
    "mlp": "tensor",
    "hidden": "tensor",
}


def spec(names: tuple[str, ...], rules: Mapping[str, MeshAxes]) -> PartitionSpec:
    """Mesh axes of an array whose dimensions bear these logical names.

    Raises:
      ValueError: a name that is in no legend.
    """
    for name in names:
        if name not in axes.LEGEND.values():
            raise ValueError(f"expected a logical axis of models/axes.py, got {name!r}")
    return PartitionSpec(*(rules.get(name) for name in names))


def used(letters: str) -> PartitionSpec:
    """Mesh axes of an activation, or of a weight in use, whose dimensions bear these letters of `models/axes.py`."""
    return spec(axes.names(letters), USED)


def axis_size(mesh_axes: MeshAxes, mesh: Mesh) -> int:
    """Pieces that a dimension is cut in."""
    names = (mesh_axes,) if isinstance(mesh_axes, str) else mesh_axes or ()
    return int(np.prod([mesh.shape[name] for name in names], dtype=int))


def stored_sharding(path: str, names: tuple[str, ...], shape: tuple[int, ...], mesh: Mesh) -> NamedSharding:
    """Where a parameter of this shape lies.

    Raises:
      ValueError: a dimension that its mesh axes do not divide, naming leaf, axis and fix.
    """
    partition = spec(names, STORED)
    for name, dim_size, mesh_axes in zip(names, shape, partition, strict=True):
        pieces = axis_size(mesh_axes, mesh)
        if dim_size % pieces:
            raise ValueError(
                f"mesh.{mesh_axes}: expected a divisor of {dim_size}, the size of axis {name!r} of {path} "
                f"{shape}, got {pieces}; write a mesh.{mesh_axes} that divides {dim_size}, or change the model's size"
            )
    return NamedSharding(mesh, partition)


def table(abstract: Any) -> str:
    """Every leaf's shape, dtype, partition and bytes on one device, and the total, as text."""
    rows = [("leaf", "shape", "dtype", "sharding", "bytes a device")]
    total_bytes = 0
    for path, leaf in jax.tree.leaves_with_path(abstract):
        shard_bytes = int(np.prod(leaf.sharding.shard_shape(leaf.shape), dtype=int)) * leaf.dtype.itemsize
        total_bytes += shard_bytes
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        partition = ", ".join(str(axis or "-") for axis in leaf.sharding.spec) or "-"
        rows.append((name, str(leaf.shape), str(leaf.dtype), partition, f"{shard_bytes:,}"))
    rows.append(("total", "", "", "", f"{total_bytes:,}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
