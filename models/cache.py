"""The key-value cache of a decoder: what is remembered of the positions already seen."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from models.layers.attention import KeyValues


class Cache(NamedTuple):
    """`layers` holds [Y, B, S, K, H] keys and values; `length_B` how many positions of each row are filled."""

    layers: KeyValues
    length_B: Int[Array, "B"]

    def replace_rows(self, rows_R: Int[Array, "R"], other: "Cache") -> "Cache":
        """Rows of this cache forget what they held and hold the rows of another one, which may have fewer positions.

        A row may come twice in `rows_R` if it comes with the same content.
        """
        num_positions = other.layers.k_BSKH.shape[2]
        put = lambda old, new: old.at[:, rows_R, :num_positions].set(new)
        layers = jax.tree.map(put, self.layers, other.layers)
        return Cache(layers, self.length_B.at[rows_R].set(other.length_B))


def empty(config, *, num_rows: int, max_length: int) -> Cache:
    """A cache for `num_rows` rows of at most `max_length` positions, in the compute dtype."""
    shape = (config.num_layers, num_rows, max_length, config.num_kv_heads, config.head_size)
    zeros = lambda: jnp.zeros(shape, config.compute_dtype)  # two arrays: each is donated
    return Cache(KeyValues(zeros(), zeros()), jnp.zeros(num_rows, jnp.int32))
