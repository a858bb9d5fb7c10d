"""The mesh of devices and the shares of a batch that its processes hold."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ("data", "fsdp", "tensor")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshShape:
    """Devices along each mesh axis (config section `mesh`); one may be -1: all that are left.

    `data` splits the batch; `fsdp` splits the batch and the stored weights; `tensor` splits heads, MLP and vocabulary.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1

    def __post_init__(self):
        for axis in AXES:
            if getattr(self, axis) < 1 and getattr(self, axis) != -1:
                raise ValueError(f"mesh.{axis}: expected a positive number or -1, got {getattr(self, axis)}")
        if self.sizes.count(-1) > 1:
            raise ValueError(f"mesh: expected at most one axis of -1, got {self}; write the sizes of the others")

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(getattr(self, axis) for axis in AXES)

    def resolve(self, num_devices: int) -> "MeshShape":
        """The same shape with -1 replaced, for exactly `num_devices` devices.

        Raises:
          ValueError: the sizes do not multiply to the number of devices.
        """
        known = math.prod(size for size in self.sizes if size != -1)
        sizes = [num_devices // known if size == -1 else size for size in self.sizes]
        if math.prod(sizes) != num_devices:
            got = " x ".join(f"{axis}={getattr(self, axis)}" for axis in AXES)
            raise ValueError(
                f"mesh: expected sizes that multiply to the {num_devices} devices here, got {got}; "
                f"write -1 for one axis, for example --config.mesh.data=-1, or divisors of {num_devices}"
            )
        return MeshShape(**dict(zip(AXES, sizes, strict=True)))

    @property
    def num_batch_shards(self) -> int:
        """Pieces that a resolved mesh cuts a batch in."""
        return self.data * self.fsdp


def make(devices: Sequence[jax.Device], shape: MeshShape) -> Mesh:
    """A mesh over the given devices, with Explicit axes: a wrong sharding is an error while tracing."""
    sizes = shape.resolve(len(devices)).sizes
    if all(device.platform == "tpu" for device in devices):
        return jax.make_mesh(sizes, AXES, axis_types=(AxisType.Explicit,) * 3, devices=devices)
    return Mesh(np.asarray(devices).reshape(sizes), AXES, axis_types=(AxisType.Explicit,) * 3)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows over `data` and `fsdp`."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def local_rows(mesh: Mesh, batch_size: int) -> tuple[int, int]:
    """The rows [start, stop) of a global batch that this process places on its devices.

    Raises:
      ValueError: they are not one contiguous piece.
    """
    places = batch_sharding(mesh).addressable_devices_indices_map((batch_size,))
    pieces = sorted({place[0].indices(batch_size)[:2] for place in places.values() if place})
    for (_, stop), (start, _) in itertools.pairwise(pieces):
        if stop != start:
            raise ValueError(f"mesh: expected this process's rows of a batch to be contiguous, got {pieces}")
    return pieces[0][0], pieces[-1][1]


def place_batch(mesh: Mesh, batch: dict[str, np.ndarray], batch_size: int) -> dict[str, jax.Array]:
    """This process's rows -> global arrays of `batch_size` rows."""
    sharding = batch_sharding(mesh)
    place = lambda rows: jax.make_array_from_process_local_data(sharding, rows, (batch_size, *rows.shape[1:]))
    return {key: place(rows) for key, rows in batch.items()}
