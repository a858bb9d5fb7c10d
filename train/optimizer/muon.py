"""Muon's update of hidden matrices: momentum, made orthogonal by Newton-Schulz iterations.

Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/; scaled as in Liu et al., 2025,
https://arxiv.org/abs/2502.16982. optax's own (`optax.contrib.muon`) multiplies matrices that lie cut over an Explicit
mesh, which is an error there; this one says where they lie.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from train import trees
from train.optimizer.matrices import Matrix

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic (Jordan et al., 2024)
TINY = 1e-7  # added to a matrix's norm


class MuonState(NamedTuple):
    """`momentum` lies as its parameters do."""

    momentum: Any


def scale_by_muon(
    matrices: Mapping[str, Matrix], *, momentum: Float[Array, ""], nesterov: bool, steps: int, update_rms: Any
) -> optax.GradientTransformation:
    """Updates whose root mean square is about `update_rms` (section 2.2 of Liu et al.), for the parameters named."""

    def init(params):
        return MuonState(jax.tree.map(jnp.zeros_like, params))

    def update(grads, state, params=None):
        mix = lambda old, grad: momentum * old + (1 - momentum) * grad
        new = jax.tree.map(mix, state.momentum, grads)
        direction = jax.tree.map(mix, new, grads) if nesterov else new
        scaled = lambda name, x: update_rms * matrix_rms_to_one(x.shape, matrices[name])
        updates = trees.map_with_name(
            lambda name, x: scaled(name, x) * orthogonal(x, matrices[name], steps=steps), direction
        )
        kept = jax.tree.map(lambda x, old: x.astype(old.dtype), new, state.momentum)
        return updates, MuonState(kept)

    return optax.GradientTransformation(init, update)


def matrix_rms_to_one(shape: tuple[int, ...], dims: Matrix) -> float:
    """What gives an orthogonal matrix of this shape a root mean square of one."""
    sizes = [math.prod(shape[dim] for dim in side) for side in (dims.rows, dims.columns)]
    return math.sqrt(max(sizes))


def orthogonal(x: Float[Array, "..."], dims: Matrix, *, steps: int) -> Float[Array, "..."]:
    """Each matrix U S V^T of `x` as about U V^T, in x's layout.

    On a mesh a device takes whole matrices. A mesh axis that cuts them is moved to the layers where it divides their
    number (an all-to-all there and back, of x's size), so that devices share the work; where it does not, they gather
    (an all-gather), one layer at a time where no axis could be moved. Nothing is summed over devices: every mesh gives
    the same numbers.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return orthogonal_here(x, dims, steps=steps)
    home = jax.typeof(x).sharding.spec
    cut = {axis: mesh.shape[axis] for axis in axes_of(home) if mesh.shape[axis] > 1}
    spread = spread_over([x.shape[dim] for dim in dims.stack], {**cut, **mesh.shape})
    if cut and 0 in dims.stack and not any(spread):
        return jax.lax.map(partial(orthogonal, dims=without_layers(dims), steps=steps), x)
    lies = dict(zip(dims.stack, spread, strict=True))
    whole = PartitionSpec(*[lies.get(dim) for dim in range(x.ndim)])
    moved = PartitionSpec(*[tuple(axis for axis in lies.get(dim, ()) if axis in cut) for dim in range(x.ndim)])
    x = jax.reshard(jax.reshard(x, moved), whole)  # first what is an exchange, then what costs nothing
    x = orthogonal_here(x, dims, steps=steps)
    return jax.reshard(jax.reshard(x, moved), home)


def orthogonal_here(x: Float[Array, "..."], dims: Matrix, *, steps: int) -> Float[Array, "..."]:
    """`orthogonal` where rows and columns lie whole."""
    order = (*dims.stack, *dims.rows, *dims.columns)
    ordered = jnp.transpose(x, order)
    stacked, sides = ordered.shape[: len(dims.stack)], ordered.shape[len(dims.stack) :]
    sizes = math.prod(sides[: len(dims.rows)]), math.prod(sides[len(dims.rows) :])
    flat = newton_schulz(ordered.reshape(*stacked, *sizes), steps=steps)
    return jnp.transpose(flat.reshape(ordered.shape), [order.index(dim) for dim in range(x.ndim)])


def newton_schulz(x: Float[Array, "... R C"], *, steps: int) -> Float[Array, "... R C"]:
    """Singular values to between about 0.7 and 1.2, in five steps; the smaller side is multiplied."""
    if x.shape[-2] > x.shape[-1]:
        return newton_schulz(x.mT, steps=steps).mT
    a, b, c = COEFFICIENTS
    x = x / (jnp.sqrt(jnp.sum(jnp.square(x), axis=(-2, -1), keepdims=True)) + TINY)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def axes_of(spec: PartitionSpec) -> list[str]:
    """The mesh axes of a sharding, in the order of its dims."""
    return [axis for axes in spec if axes for axis in ((axes,) if isinstance(axes, str) else axes)]


def spread_over(sizes: list[int], mesh: Mapping[str, int]) -> list[tuple[str, ...]]:
    """For each stacked dim the mesh axes that it is cut over: each axis once, where it divides."""
    free, taken = {axis: size for axis, size in mesh.items() if size > 1}, list[tuple[str, ...]]()
    for size in sizes:
        axes: list[str] = []
        for axis in list(free):
            if size % free[axis] == 0:
                axes.append(axis)
                size //= free.pop(axis)
        taken.append(tuple(axes))
    return taken


def without_layers(dims: Matrix) -> Matrix:
    """The dims of one slice along dim 0, which is stacked."""
    less = lambda several: tuple(dim - 1 for dim in several)
    return Matrix(less(dims.stack[1:]), less(dims.rows), less(dims.columns), dims.is_table)
