"""What a decoder remembers of the positions already seen: the seam between a model and `models/generate.py`, the keys
and values of attention, and the states of recurrent layers."""

import sys
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from models.layers.attention import KeyValues
from models.layers.recurrent import State


@runtime_checkable
class Cache(Protocol):
    """A pytree, made by a model's `empty_cache` and filled by its `extend`."""

    @property
    def capacity(self) -> int:
        """Positions that a row can hold; `sys.maxsize` where there is no end."""
        ...

    def replace_rows(self, rows_R: Int[Array, "R"], other: "Cache") -> "Cache":
        """Rows of this cache forget what they held and hold the rows of another one, which may have a smaller capacity.

        A row may come twice in `rows_R` if it comes with the same content.
        """
        ...

    def forget_rows(self, is_forgotten_B: Bool[Array, "B"]) -> "Cache":
        """These rows hold nothing."""
        ...


class KeyValueCache(NamedTuple):
    """`layers` holds [Y, B, S, K, H] keys and values; `length_B` how many positions of each row are filled."""

    layers: KeyValues
    length_B: Int[Array, "B"]

    @property
    def capacity(self) -> int:
        return self.layers.k_BSKH.shape[2]

    def replace_rows(self, rows_R: Int[Array, "R"], other: "KeyValueCache") -> "KeyValueCache":
        put = lambda old, new: old.at[:, rows_R, : other.capacity].set(new)
        layers = jax.tree.map(put, self.layers, other.layers)
        return KeyValueCache(layers, self.length_B.at[rows_R].set(other.length_B))

    def forget_rows(self, is_forgotten_B: Bool[Array, "B"]) -> "KeyValueCache":
        return self._replace(length_B=jnp.where(is_forgotten_B, 0, self.length_B))


class RecurrentCache(NamedTuple):
    """The state of every layer, [Y, B, U]: all that a recurrent model remembers, however long a row is."""

    state: State

    @property
    def capacity(self) -> int:
        return sys.maxsize

    def replace_rows(self, rows_R: Int[Array, "R"], other: "RecurrentCache") -> "RecurrentCache":
        put = lambda old, new: old.at[:, rows_R].set(new)
        return RecurrentCache(jax.tree.map(put, self.state, other.state))

    def forget_rows(self, is_forgotten_B: Bool[Array, "B"]) -> "RecurrentCache":
        forget = lambda leaf: jnp.where(is_forgotten_B[None, :, None], 0, leaf)
        return RecurrentCache(jax.tree.map(forget, self.state))
