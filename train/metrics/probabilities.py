"""What logits say, in float64: probabilities, and one class against the rest."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Real

BLOCK = 1 << 22  # numbers that are looked at together: 32 MB in float64


def log_softmax(logits_BC: Real[np.ndarray, "B C"]) -> Float[np.ndarray, "B C"]:
    logits_BC = logits_BC - logits_BC.max(-1, keepdims=True).astype(np.float64)
    return logits_BC - np.log(np.exp(logits_BC).sum(-1, keepdims=True))


def log_sigmoid(logits: Real[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return -np.logaddexp(0, -logits.astype(np.float64))


class Odds(NamedTuple):
    """What of a row's logits every class's log odds need."""

    top_B: Int[np.ndarray, "B"]  # the class with the greatest logit
    logit_B: Float[np.ndarray, "B"]  # that logit
    rest_B: Float[np.ndarray, "B"]  # the other classes' exp(logit - greatest) together
    top_odds_B: Float[np.ndarray, "B"]  # log odds of the top class


def odds(logits_BC: Real[np.ndarray, "B C"]) -> Odds:
    """The terms are added up in order of size, so that rows whose logits are permuted tie exactly."""
    sorted_BC = np.sort(logits_BC.astype(np.float64), axis=-1)
    first_B, second_B = sorted_BC[:, -1], sorted_BC[:, -2]
    rest_B = np.exp(sorted_BC[:, :-1] - first_B[:, None]).sum(-1)
    second_B = np.maximum(second_B, np.finfo(np.float64).min)  # the others may all be masked out, at -inf
    below_second_B = np.exp(sorted_BC[:, :-1] - second_B[:, None]).sum(-1)
    with np.errstate(divide="ignore"):
        top_odds_B = first_B - second_B - np.log(below_second_B)
    return Odds(logits_BC.argmax(-1), first_B, rest_B, top_odds_B)


def one_versus_rest(parts: Sequence[Real[np.ndarray, "_ C"]]) -> Iterator[Float[np.ndarray, "B"]]:
    """For each class in turn, its log odds against all others in every row of all parts.

    They order rows as the softmax's probabilities do, and still do where those have become 1 or 0 exactly. Holds a few
    classes' columns at a time.
    """
    terms = Odds(*map(np.concatenate, zip(*(odds(block) for part in parts for block in blocks(part)), strict=True)))
    num_classes = parts[0].shape[1]
    step = max(1, BLOCK // max(1, len(terms.top_B)))
    for low in range(0, num_classes, step):
        columns_BC = np.concatenate([part[:, low : low + step] for part in parts]).astype(np.float64)
        yield from _log_odds(columns_BC, terms, classes_C=np.arange(low, min(low + step, num_classes))).T.copy()


def _log_odds(
    columns_BC: Float[np.ndarray, "B C"], terms: Odds, *, classes_C: Int[np.ndarray, "C"]
) -> Float[np.ndarray, "B C"]:
    """logit - log(sum of exp of the others'): the sum is at least 1 for all but the top class, so nothing cancels."""
    below_BC = columns_BC - terms.logit_B[:, None]
    others_BC = np.maximum(1 + terms.rest_B[:, None] - np.exp(below_BC), 1.0)
    is_top_BC: Bool[np.ndarray, "B C"] = terms.top_B[:, None] == classes_C
    return np.where(is_top_BC, terms.top_odds_B[:, None], below_BC - np.log(others_BC))


def blocks(rows_BC: Real[np.ndarray, "B C"]) -> Iterator[Real[np.ndarray, "_ C"]]:
    """The rows in pieces of at most about BLOCK numbers."""
    step = max(1, BLOCK // rows_BC.shape[1])
    return (rows_BC[low : low + step] for low in range(0, max(1, len(rows_BC)), step))
