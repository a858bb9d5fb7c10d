"""Word n-grams that a text holds more than once, found for a whole batch by sorting."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from input_pipeline.clean.steps.text.words import Words


class Repeated(NamedTuple):
    """The n-grams that stand in their text at least twice, all their places in order.

    Attributes:
      n: words of a gram.
      starts_G: the first word of each, a place in `Words.ids_W`, ascending.
      grams_G: a number for each; two places have the same where they hold the same words of the same text.
      copies_G: at how many places the gram stands.
      is_first_G: whether this is the first of them.
    """

    n: int
    starts_G: Int64[np.ndarray, "G"]
    grams_G: Int64[np.ndarray, "G"]
    copies_G: Int64[np.ndarray, "G"]
    is_first_G: Bool[np.ndarray, "G"]


def repeated(words: Words) -> Iterator[Repeated]:
    """The repeated 2-grams, 3-grams, 4-grams and so on, without end.

    An n-gram that is repeated begins and ends with repeated (n-1)-grams, so that each length is sought only where the
    one before was found. Places are told apart by the words themselves, not by hashes of them.
    """
    num_words = len(words.vocabulary)
    if len(words.texts) * num_words**2 >= 2**63:
        raise ValueError(f"expected texts of fewer different words in one batch, got {num_words} in {len(words.texts)}")
    starts = np.flatnonzero(words.text_W[1:] == words.text_W[:-1])
    heads = words.text_W[starts] * num_words + words.ids_W[starts]
    for n in range(2, 2**63):
        found = _twice(n, starts, heads * num_words + words.ids_W[starts + n - 1])
        yield found
        follows = np.flatnonzero(found.starts_G[1:] == found.starts_G[:-1] + 1)
        starts, heads = found.starts_G[follows], found.grams_G[follows]


def _twice(n: int, starts: np.ndarray, keys: np.ndarray) -> Repeated:
    """What is left of n-grams, each told by its key, when those that stand alone are gone."""
    order = np.argsort(keys, kind="stable")
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[order][1:] != keys[order][:-1]
    grams = np.cumsum(is_first) - 1
    copies = np.bincount(grams)[grams] if len(keys) else grams
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    back = back[copies[back] > 1]
    return Repeated(n, np.sort(starts[order[back]]), grams[back], copies[back], is_first[back])
