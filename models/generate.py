"""Token ids from a decoder through its cache, many rows in one pass, each as if it were alone.

Reading and choosing are two programs. `_read` fills the cache with rows of known ids: all but the last id of each
prompt, and later what a row keeps when its cache is full. `_decode` reads a row's last id, chooses the next, and goes
on so for a chunk of tokens before the host hears of them: a dispatch and a transfer for each token would cost more than
a small model does. Lengths and numbers of rows that are read are rounded up to powers of two, so that few programs are
compiled. R counts the rows that are read, which may be fewer than B.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key

from models.cache import Cache
from models.sampling import Sampling, Settings, choose

CHUNK = 32  # tokens of each row in one dispatch, at most
SHORTEST = 16  # positions; shorter prompts are padded to as many


class Rows:
    """Rows of token ids that a model goes on writing.

    What a row becomes is a function of the model, its own prompt and its own key: other rows change rounding alone.
    When as many positions of a row are full as its cache can hold, the older half of them is forgotten and the newer
    half is read again. Rows come to that at different times, each at its own; those of a recurrent model never do.
    """

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        *,
        keys_B: Key[Array, "B"],
        sampling: Sampling,
        num_ids: int,
        end_id: int = -1,
    ):
        """Reads the prompts, the last ids of each, as many as a cache holds.

        Args:
          model: a module with `empty_cache` and `extend`.
          prompts: the ids of each row, at least one.
          keys_B: a row's n-th token, counted from 0, is drawn with the row's key folded with n.
          num_ids: the size of the tokenizer's vocabulary, which padding may exceed in the model.
          end_id: the id that ends a row; -1: none does.

        Raises:
          ValueError: a prompt is empty or holds an id outside the vocabulary.
        """
        for prompt in prompts:
            if not len(prompt) or not all(0 <= token < num_ids for token in prompt):
                raise ValueError(f"prompt: expected token ids from 0 to {num_ids - 1}, at least one, got {prompt[:8]}")
        self.is_open_B = np.ones(len(prompts), bool)
        self._model, self._keys_B, self._settings = model, keys_B, sampling.traced()
        self._num_ids, self._end_id = num_ids, end_id
        self._num_chosen = 0  # by each row that is still open
        self._past = model.empty_cache(num_rows=len(prompts))
        self._capacity = self._past.capacity
        self._seen = [list(prompt[-self._capacity :]) for prompt in prompts]
        self._num_read_B = np.zeros(len(prompts), int)
        self._read(list(range(len(prompts))))

    def advance(self, num_tokens: int) -> list[list[int]]:
        """Up to `num_tokens` more ids of each open row: fewer where a row ended, whose end id is left out."""
        new: list[list[int]] = [[] for _ in self._seen]
        while num_tokens > 0 and self.is_open_B.any():
            self._forget_where_full()
            room = self._capacity - int(self._num_read_B[self.is_open_B].max())
            limit = min(num_tokens, room, CHUNK)
            for row, ids in self._decode(limit).items():
                new[row] += ids
            num_tokens -= limit
        return new

    def close(self, row: int) -> None:
        """The row gets no more ids."""
        self.is_open_B[row] = False

    def _forget_where_full(self) -> None:
        full = [int(row) for row in np.flatnonzero(self.is_open_B & (self._num_read_B == self._capacity))]
        for row in full:
            self._seen[row] = self._seen[row][-max(self._capacity // 2, 1) :]
        if full:
            self._read(full)

    def _read(self, rows: list[int]) -> None:
        """Fills the cache of some rows anew with all that they have seen but the last id, which `_decode` reads."""
        lengths = [len(self._seen[row]) - 1 for row in rows]
        self._num_read_B[rows] = lengths
        num_positions = _padded(max(lengths), least=SHORTEST, most=self._capacity)
        repeated = rows + rows[-1:] * (_padded(len(rows), least=1, most=len(self._seen)) - len(rows))
        tokens_RL = np.zeros((len(repeated), num_positions), np.int32)
        for index, row in enumerate(repeated):
            tokens_RL[index, : self._num_read_B[row]] = self._seen[row][:-1]
        length_R = self._num_read_B[repeated].astype(np.int32)
        rows_R = np.asarray(repeated, np.int32)
        self._past = _read(self._model, self._past, *map(jnp.asarray, (rows_R, tokens_RL, length_R)))

    def _decode(self, limit: int) -> dict[int, list[int]]:
        """-> the new ids of each row that was open."""
        ids_BL, self._past = _decode(
            self._model,
            self._past,
            jnp.asarray([seen[-1] for seen in self._seen], jnp.int32),
            jnp.asarray(self.is_open_B),
            self._keys_B,
            self._settings,
            start=jnp.int32(self._num_chosen),
            limit=jnp.int32(limit),
            end_id=jnp.int32(self._end_id),
            num_ids=self._num_ids,
        )
        chosen = {int(row): np.asarray(ids_BL)[row, :limit].tolist() for row in np.flatnonzero(self.is_open_B)}
        self._num_chosen += limit
        self._num_read_B[self.is_open_B] += limit
        for row, ids in chosen.items():
            if self._end_id in ids:
                del ids[ids.index(self._end_id) :]
                self.close(row)
            self._seen[row] += ids
        return chosen


def _padded(size: int, *, least: int, most: int) -> int:
    """The next power of two, within bounds."""
    return min(max(1 << (size - 1).bit_length(), least), most)


@partial(jax.jit, donate_argnames="past")
def _read(
    model: Any, past: Cache, rows_R: Int[Array, "R"], tokens_RL: Int[Array, "R L"], length_R: Int[Array, "R"]
) -> Cache:
    """Fills rows of the cache anew. Beyond `length_R` tokens are padding."""
    fresh = model.empty_cache(num_rows=tokens_RL.shape[0], capacity=tokens_RL.shape[1])
    _, filled = model.extend(tokens_RL, fresh, num_new_B=length_R)
    return past.replace_rows(rows_R, filled)


@partial(jax.jit, static_argnames="num_ids", donate_argnames="past")
def _decode(
    model: Any,
    past: Cache,
    last_B: Int[Array, "B"],
    is_open_B: Bool[Array, "B"],
    keys_B: Key[Array, "B"],
    settings: Settings,
    *,
    start: Int[Array, ""],
    limit: Int[Array, ""],
    end_id: Int[Array, ""],
    num_ids: int,
) -> tuple[Int[Array, "B L"], Cache]:
    """Chooses up to `limit` ids of each open row, the first of them with the key that is folded with `start`.

    Returns:
      ids of `CHUNK` columns, which mean nothing behind a row's `end_id`; and the cache, which holds all but the last.
    """

    def is_unfinished(carry):
        index, is_open_B, *_ = carry
        return (index < limit) & jnp.any(is_open_B)

    def choose_one(carry):
        index, is_open_B, last_B, ids_BL, past = carry
        # A closed row is computed too. It begins anew, and so never runs out of positions.
        past = past.forget_rows(~is_open_B)
        logits_BLV, past = model.extend(last_B[:, None], past)
        row_keys_B = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys_B, start + index)
        chosen_B = choose(logits_BLV[:, 0, :num_ids], row_keys_B, settings)
        return index + 1, is_open_B & (chosen_B != end_id), chosen_B, ids_BL.at[:, index].set(chosen_B), past

    ids_BL = jnp.full((len(last_B), CHUNK), end_id)
    *_, ids_BL, past = jax.lax.while_loop(is_unfinished, choose_one, (jnp.int32(0), is_open_B, last_B, ids_BL, past))
    return ids_BL, past
