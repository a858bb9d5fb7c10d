"""Recurrent layers: LSTM and GRU cells, scanned over time.

Arrays lie time first ([L, B, ...]) from the first layer to the last, so that a step reads and writes whole blocks. The
input projections of all steps are one product before the scan, and the recurrent kernel's gradient is one product after
the backward scan, in place of a sum that is carried through it. Where the hidden axis "U" is cut, each step gathers the
last output whole ("D") and makes its own piece of the next.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.layers.linear import param


class State(NamedTuple):
    """What a cell hands to its next step; the hidden axis lies as "U" does."""

    h_BU: Float[Array, "*rows U"]  # the output
    c_BU: Float[Array, "*rows U"] | None  # an LSTM's memory, in float32; a GRU has none


def lstm(x_BTU: Float[Array, "B 4 U"], r_BTU: Float[Array, "B 4 U"], state: State) -> State:
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), with forget gates (Gers et al., 2000).

    `x_BTU` is the input's part of input gate, forget gate, candidate and output gate, `r_BTU` the part of the last
    output. In the equations of torch.nn.LSTM, but with one bias where it adds two.
    """
    assert state.c_BU is not None
    i, f, g, o = jnp.unstack((x_BTU + r_BTU).astype(jnp.float32), axis=1)
    c_BU = jax.nn.sigmoid(f) * state.c_BU + jax.nn.sigmoid(i) * jnp.tanh(g)
    h_BU = jax.nn.sigmoid(o) * jnp.tanh(c_BU)
    return State(h_BU.astype(state.h_BU.dtype), c_BU)


def gru(x_BTU: Float[Array, "B 4 U"], r_BTU: Float[Array, "B 3 U"], state: State) -> State:
    """Gated recurrent unit (Cho et al., 2014, https://arxiv.org/abs/1406.1078), the variant of cuDNN and torch.nn.GRU:
    the reset gate scales what the recurrent kernel gives (`reset after`), not what it is given, so that one product
    serves all gates.

    `x_BTU`: the input's part of reset gate, update gate and candidate, then the candidate's recurrent bias, which the
    reset gate scales too. `r_BTU`: the last output's part of the same three.
    """
    x_BTU, r_BTU = x_BTU.astype(jnp.float32), r_BTU.astype(jnp.float32)
    reset_BU = jax.nn.sigmoid(x_BTU[:, 0] + r_BTU[:, 0])
    update_BU = jax.nn.sigmoid(x_BTU[:, 1] + r_BTU[:, 1])
    candidate_BU = jnp.tanh(x_BTU[:, 2] + reset_BU * (x_BTU[:, 3] + r_BTU[:, 2]))
    h_BU = candidate_BU + update_BU * (state.h_BU.astype(jnp.float32) - candidate_BU)
    return State(h_BU.astype(state.h_BU.dtype), None)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A cell, and how many gates its kernels and its bias have."""

    cell: Callable[[Array, Array, State], State]
    num_gates: int  # of both kernels
    num_biases: int  # the parts of `x_BTU`
    recurrent: tuple[int, ...]  # the parts of `x_BTU` that the recurrent product is added to, in its order
    open_gate: int  # its bias starts at 1, so that a state is kept at first; -1: none
    has_memory: bool

    def recurrent_part(self, x_LBTU: Array) -> Array:
        """The parts that the recurrent product is added to."""
        if self.num_gates == self.num_biases:
            return x_LBTU
        return jnp.stack([x_LBTU[:, :, part] for part in self.recurrent], axis=2)


KINDS: Mapping[str, Kind] = {
    "lstm": Kind(lstm, num_gates=4, num_biases=4, recurrent=(0, 1, 2, 3), open_gate=1, has_memory=True),
    "gru": Kind(gru, num_gates=3, num_biases=4, recurrent=(0, 1, 3), open_gate=-1, has_memory=False),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MakeRecurrent:
    """What the recurrent layers of a model have in common."""

    kind: str  # one of KINDS
    hidden_size: int
    param_dtype: Any
    compute_dtype: Any

    def __call__(self, input_size: int, letter: str, *, rngs: nnx.Rngs) -> "Recurrent":
        """A layer that reads vectors of `input_size`, whose axis is `letter`."""
        return Recurrent(self, input_size, letter, rngs=rngs)

    def empty_state(self, *shape: int) -> State:
        """States of zero; `shape` is that of the rows."""
        zeros = lambda dtype: jnp.zeros((*shape, self.hidden_size), dtype)
        return State(zeros(self.compute_dtype), zeros(jnp.float32) if KINDS[self.kind].has_memory else None)


def orthogonal(key: jax.Array, shape: tuple[int, int], dtype: Any) -> Float[Array, "D U"]:
    """A square orthogonal matrix, all of them alike probable: a product of reflections (Stewart, 1980,
    https://doi.org/10.1137/0717034).

    LAPACK's factorization, called by many virtual devices at a time, waits for threads that wait for it.
    """
    size = shape[0]

    def reflect(matrix, drawn):
        index, normal = drawn
        v = jnp.where(jnp.arange(size) < index, 0, normal)
        sign = jnp.where(v[index] < 0, -1, 1)
        v = v.at[index].add(sign * jnp.linalg.norm(v))
        v = v / jnp.linalg.norm(v)
        return matrix - 2 * jnp.outer(matrix @ v, v), -sign

    rows = jnp.arange(size), jax.random.normal(key, shape, dtype)
    matrix, signs = jax.lax.scan(reflect, jnp.eye(size, dtype=dtype), rows)
    return matrix * signs[None, :]


class Recurrent(nnx.Module):
    """One layer in one direction.

    Input kernels start uniform after Glorot and Bengio (2010), recurrent ones orthogonal (Saxe et al., 2014,
    https://arxiv.org/abs/1312.6120), gate by gate; an LSTM's forget bias at 1 (Gers et al., 2000).
    """

    def __init__(self, make: MakeRecurrent, input_size: int, letter: str, *, rngs: nnx.Rngs):
        self.make, self.kind, self.letter = make, KINDS[make.kind], letter
        size, dtype = make.hidden_size, jnp.dtype(make.param_dtype)
        gates = lambda init, rows: jnp.stack(
            [init(rngs.params(), (rows, size), jnp.float32) for _ in range(self.kind.num_gates)], axis=1
        ).astype(dtype)
        self.input_kernel = param(gates(jax.nn.initializers.glorot_uniform(), input_size), f"{letter}TU")
        self.recurrent_kernel = param(gates(orthogonal, size), "DTU")
        bias_TU = jnp.zeros((self.kind.num_biases, size), dtype)
        self.bias = param(bias_TU.at[self.kind.open_gate].set(1) if self.kind.open_gate >= 0 else bias_TU, "TU")

    def __call__(
        self,
        x_LBD: Float[Array, "L B _"],
        *,
        state: State,
        keep_LB: Float[Array, "L B"] | None,
        reverse: bool,
        placement,
    ) -> State:
        """The state after each step, [L, B, U].

        Args:
          state: before the first step.
          keep_LB: 0 where a step begins from a state of zero instead of the last step's; None: nowhere.
          reverse: whether the last position is the first step.
        """
        dtype = jnp.dtype(self.make.compute_dtype)
        kernel = self.input_kernel[...].astype(dtype)
        x_LBTU = placement.einsum(f"LB{self.letter},{self.letter}TU->LBTU", x_LBD.astype(dtype), kernel)
        x_LBTU = self._add_bias(x_LBTU, self.bias[...].astype(dtype), placement)
        kernel = placement.weight(self.recurrent_kernel[...].astype(dtype), "DTU")
        state = jax.tree.map(lambda leaf: placement.activation(leaf, "BU"), state)
        return unfold(self.kind, kernel, x_LBTU, state, keep_LB, reverse=reverse, placement=placement)

    def _add_bias(self, x_LBTU, bias_TU, placement):
        missing = self.kind.num_biases - self.kind.num_gates
        x_LBTU = jnp.pad(x_LBTU, ((0, 0), (0, 0), (0, missing), (0, 0))) if missing else x_LBTU
        return x_LBTU + placement.spread(bias_TU, "TU", x_LBTU)


def unfold(
    kind: Kind,
    kernel_DTU: Float[Array, "D T U"],
    x_LBTU: Float[Array, "L B _ U"],
    state: State,
    keep_LB: Float[Array, "L B"] | None,
    *,
    reverse: bool,
    placement,
) -> State:
    """Scans a cell over time: the state after each step. The kernel lies as it is used.

    No gradient is taken with respect to `keep_LB`.
    """

    def step(kernel_DTU, state, now):
        x_BTU, keep_B = now
        state = _keep(state, keep_B)
        r_BTU = placement.einsum("BD,DTU->BTU", placement.activation(state.h_BU, "BD"), kernel_DTU)
        state = kind.cell(x_BTU, r_BTU, state)
        return state, state

    def scan(kernel_DTU, x_LBTU, state, keep_LB):
        return jax.lax.scan(partial(step, kernel_DTU), state, (x_LBTU, keep_LB), reverse=reverse)[1]

    def forward(kernel_DTU, x_LBTU, state, keep_LB):
        states, pull = jax.vjp(lambda x_LBTU, state: scan(kernel_DTU, x_LBTU, state, keep_LB), x_LBTU, state)
        return states, (pull, kernel_DTU, states.h_BU, state.h_BU, keep_LB)

    def backward(saved, states_grad):
        pull, kernel_DTU, h_LBU, first_BU, keep_LB = saved
        x_grad_LBTU, state_grad = pull(states_grad)
        before = [h_LBU[1:], first_BU[None]] if reverse else [first_BU[None], h_LBU[:-1]]
        before_LBU = _keep(jnp.concatenate(before), keep_LB)
        product = partial(placement.einsum, "LBD,DTU->LBTU", placement.activation(before_LBU, "LBD"))
        (kernel_grad_DTU,) = jax.linear_transpose(product, kernel_DTU)(kind.recurrent_part(x_grad_LBTU))
        return kernel_grad_DTU, x_grad_LBTU, state_grad, None

    run = jax.custom_vjp(scan)
    run.defvjp(forward, backward)
    return run(kernel_DTU, x_LBTU, state, keep_LB)


def _keep(state: Any, keep: Float[Array, "*rows"] | None) -> Any:
    """A state of zero in rows where `keep` is 0."""
    return state if keep is None else jax.tree.map(lambda leaf: leaf * keep[..., None].astype(leaf.dtype), state)
