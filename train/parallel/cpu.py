"""What runs faster on CPUs and is chosen for them alone: products and column sums of flat rows, unrolled layers, and
Eigen's matmuls. LOG.md has what each is worth. M in names of arrays: the rows, all positions of a batch."""

import functools
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from models.layers.conv import Window, convolve, padding
from models.placement import LayerFn
from train.parallel import rules
from train.parallel.placement import MeshPlacement

# No product goes to the library YNN, which is slower here than Eigen; the list of what may go there is empty.
EIGEN_ALONE = {"xla_cpu_experimental_ynn_fusion_type": ""}
# Devices of one process wait for each other on the threads of one pool. A program that has many collectives ready at a
# time fills it with waiting threads, and aborts after 40 s; in this order, what is ready is used before more begins.
FEW_AT_A_TIME = {"xla_cpu_enable_concurrency_optimized_scheduler": False}

FEW_TERMS = 32  # of each of a convolution's sums: 3 x 3 windows of grey or coloured images


def compiler_options(mesh: Mesh) -> dict[str, Any]:
    """What XLA is asked for on a mesh of CPUs; nothing on others."""
    if mesh.devices.flat[0].platform != "cpu":
        return {}
    return EIGEN_ALONE | (FEW_AT_A_TIME if mesh.size > 1 else {})


def suits(mesh: Mesh) -> bool:
    """Whether a mesh is one of CPUs that cuts no weight in use, so that any of its other axes may be merged."""
    return mesh.devices.flat[0].platform == "cpu" and mesh.shape["tensor"] == 1


class CpuPlacement(MeshPlacement):
    """`MeshPlacement` for a mesh that `suits`."""

    def einsum(self, equation: str, x: jax.Array, weight: jax.Array, *, dtype: Any = None) -> jax.Array:
        """One product of two matrices: from products of three axes, XLA's backward pass makes transposed copies."""
        inputs, _, output = equation.partition("->")
        x_letters, letters = inputs.split(",")
        rows = x_letters[: sum(letter not in letters for letter in x_letters)]
        summed, made = x_letters.removeprefix(rows), output.removeprefix(rows)
        if letters not in (summed + made, made + summed):
            return super().einsum(equation, x, weight, dtype=dtype)
        size = dict(zip(letters, weight.shape, strict=True))
        groups = (summed, made) if letters == summed + made else (made, summed)
        sizes = [math.prod(map(size.__getitem__, group)) for group in groups]
        matrix = jax.lax.reshape(self.weight(weight, letters), sizes, out_sharding=rules.used("NN"))
        y = jax.lax.dot_general(
            flat(x, num_axes=len(summed)),
            matrix,
            (((1,), (groups.index(summed),)), ((), ())),
            preferred_element_type=dtype,
            out_sharding=rules.used("BN"),
        )
        shape = (*x.shape[: len(rows)], *map(size.__getitem__, made))
        return jax.lax.reshape(y, shape, out_sharding=rules.used(output))

    def conv(self, x_BHWC: jax.Array, kernel_IJCO: jax.Array, *, stride: Window) -> jax.Array:
        kernel_IJCO = self.weight(kernel_IJCO, "IJCN")
        few = math.prod(kernel_IJCO.shape[:3]) <= FEW_TERMS and stride == (1, 1)
        return convolve_few(x_BHWC, kernel_IJCO) if few else convolve(x_BHWC, kernel_IJCO, stride=stride)

    def spread(self, weight: jax.Array, letters: str, x: jax.Array) -> jax.Array:
        vector = jax.lax.reshape(self.weight(weight, letters), (weight.size,), out_sharding=rules.used("N"))
        rows_MN = spread_rows(vector, math.prod(x.shape) // vector.size)
        return jax.lax.reshape(rows_MN, x.shape, out_sharding=jax.typeof(x).sharding)

    def channel_sums(self, x: jax.Array) -> jax.Array:
        """Over rows first, whole positions at a time; the barrier keeps XLA from merging both into its slow sum."""
        return jnp.sum(jax.lax.optimization_barrier(jnp.sum(x, axis=0)), axis=range(x.ndim - 2))

    def run_layers(self, layer_fn: LayerFn, carry: Any, stacked: Any, *, loop: str) -> tuple[Any, Any]:
        return super().run_layers(layer_fn, carry, stacked, loop="unroll" if loop == "auto" else loop)


def flat(x: Float[Array, "B *dims"], *, num_axes: int) -> Float[Array, "M N"]:
    """The last `num_axes` axes merged into one, and all others into rows."""
    size = math.prod(x.shape[x.ndim - num_axes :])
    return jax.lax.reshape(x, (x.size // size, size), out_sharding=rules.used("BN"))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def spread_rows(vector: Float[Array, "N"], num_rows: int) -> Float[Array, "M N"]:
    """A vector in each of `num_rows` rows. The gradient is a sum over rows, which XLA takes in two slow passes; as a
    product with ones it takes one."""
    return jnp.broadcast_to(vector, (num_rows, vector.size), out_sharding=rules.used("BN"))


def _spread_rows(vector, num_rows):
    return spread_rows(vector, num_rows), None


def _sum_rows(num_rows, _, grad_MN):
    ones_M = jnp.ones(num_rows, grad_MN.dtype, out_sharding=rules.used("B"))
    return (jnp.einsum("M,MN->N", ones_M, grad_MN, out_sharding=rules.used("N")),)


spread_rows.defvjp(_spread_rows, _sum_rows)


@jax.custom_vjp
def convolve_few(x_BHWC: Float[Array, "B H W C"], kernel_IJCO: Float[Array, "I J C O"]) -> Float[Array, "B h w O"]:
    """`convolve` with a stride of 1, term by term in one loop: Eigen's product is slow where sums have few terms."""
    height, width = x_BHWC.shape[1:3]
    padded = jnp.pad(x_BHWC, ((0, 0), *padding(kernel_IJCO.shape[:2]), (0, 0)))
    terms = (
        padded[:, i : i + height, j : j + width, c, None] * kernel_IJCO[None, None, None, i, j, c]
        for i, j, c in np.ndindex(*kernel_IJCO.shape[:3])
    )
    return functools.reduce(jnp.add, terms)


def _convolve_few(x_BHWC, kernel_IJCO):
    return convolve_few(x_BHWC, kernel_IJCO), (x_BHWC, kernel_IJCO)


def _backward(inputs, grad):
    return jax.vjp(partial(convolve, stride=(1, 1)), *inputs)[1](grad)


convolve_few.defvjp(_convolve_few, _backward)
