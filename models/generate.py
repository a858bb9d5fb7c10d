"""Text from a decoder, token by token, through its key-value cache."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from models import cache
from models.cache import Cache


def choose(logits_BV: Float[Array, "B V"], key: Key[Array, ""], *, temperature: float | Array) -> Int[Array, "B"]:
    """The next token of each row: the likeliest at temperature 0, else drawn from softmax(logits / temperature)."""
    drawn_B = jax.random.categorical(key, logits_BV / jnp.maximum(temperature, 1e-6), axis=-1)
    return jnp.where(temperature == 0, jnp.argmax(logits_BV, axis=-1), drawn_B)


@partial(jax.jit, static_argnames="num_ids", donate_argnames="past")
def next_token(
    model: Any, tokens_BL: Array, past: Cache, key: Key[Array, ""], temperature: Array, *, num_ids: int
) -> tuple[Int[Array, "B"], Cache]:
    """Reads tokens into the cache and chooses the one that follows, among the first `num_ids` ids."""
    logits_BLV, past = model.extend(tokens_BL, past)
    return choose(logits_BLV[:, -1, :num_ids], key, temperature=temperature), past


def tokens(
    model: Any,
    prompt: Sequence[int],
    *,
    num_tokens: int,
    temperature: float,
    key: Key[Array, ""],
    num_ids: int,
) -> Iterator[int]:
    """Yields `num_tokens` ids that follow the prompt.

    `model` is a module with `config` and `extend`; `num_ids` the size of the tokenizer's vocabulary, which padding may
    exceed in the model. When `config.max_length` positions are full, the older half of them is forgotten.

    Raises:
      ValueError: the prompt is empty or holds an id outside the vocabulary.
    """
    if not len(prompt) or not all(0 <= token < num_ids for token in prompt):
        raise ValueError(f"prompt: expected token ids from 0 to {num_ids - 1}, at least one, got {list(prompt)[:8]}")
    length = model.config.max_length
    seen = list(prompt)
    unread = seen[-length:]
    past = cache.empty(model.config, num_rows=1, max_length=length)
    num_read = 0
    for number in range(num_tokens):
        if num_read + len(unread) > length:
            unread, num_read = seen[-(length // 2) :], 0
            past = cache.empty(model.config, num_rows=1, max_length=length)
        tokens_1L = np.asarray([unread], np.int32)
        step_key = jax.random.fold_in(key, number)
        chosen_B, past = next_token(model, tokens_1L, past, step_key, jnp.float32(temperature), num_ids=num_ids)
        num_read += len(unread)
        unread = [int(chosen_B[0])]
        seen += unread
        yield unread[0]
