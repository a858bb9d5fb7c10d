"""Noise for rows of text. What the model reads is blanked by the separator; targets, weights and padding stay.

A blank is the separator because every tokenizer has one; where a document begins the token is a blank already. Blanking
what a decoder reads makes it look further back: S. Bowman et al., "Generating Sentences from a Continuous Space", 2016,
section 3.1 (word dropout); Z. Xie et al., "Data Noising as Smoothing in Neural Network Language Models", 2017, section
3.1 (blank noising).
"""

from dataclasses import KW_ONLY, dataclass

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from input_pipeline import hashing
from input_pipeline.batch import Batch


@dataclass(frozen=True)
class DropTokens:
    """Blanks each input token with probability `rate`, independently of the others."""

    rate: float
    _: KW_ONLY
    separator: int

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def __call__(self, rows: Batch, keys_B: UInt64[np.ndarray, "B"]) -> Batch:
        drawn_BL = hashing.uniform(keys_B, rows["tokens"].shape[1])
        return _blanked(rows, drawn_BL < self.rate, self.separator)


@dataclass(frozen=True)
class MaskSpans:
    """Blanks spans of input tokens that together are `rate` of the row, `mean_length` long on average.

    As in C. Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020,
    section 3.1.4: of L places n = round(rate * L) are masked, 1 <= n < L, in s = round(n / mean_length) spans,
    1 <= s <= min(n, L - n). Masked and unmasked places are each cut into s stretches, every way of cutting as likely as
    the others, and these take turns. Then the row is turned round by a random number of places, so that every place is
    masked with probability n / L; a span that is turned over the end goes on at the beginning.
    """

    rate: float
    mean_length: float
    _: KW_ONLY
    separator: int

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        if not self.mean_length >= 1:
            raise ValueError(f"mean_length: expected 1 or more tokens, got {self.mean_length}")

    def __call__(self, rows: Batch, keys_B: UInt64[np.ndarray, "B"]) -> Batch:
        seq_len = rows["tokens"].shape[1]
        num_masked = min(max(1, round(self.rate * seq_len)), seq_len - 1)
        num_spans = min(max(1, round(num_masked / self.mean_length)), num_masked, seq_len - num_masked)
        if not num_spans:  # a row of one token
            return rows
        lengths_BS2 = np.stack(
            [
                _compositions(hashing.fold(keys_B, 0), seq_len - num_masked, num_spans),
                _compositions(hashing.fold(keys_B, 1), num_masked, num_spans),
            ],
            axis=-1,
        )
        ends_BE = np.cumsum(lengths_BS2.reshape(len(keys_B), 2 * num_spans), axis=1)
        turns_BL = np.zeros(rows["tokens"].shape, np.int64)
        np.put_along_axis(turns_BL, ends_BE[:, :-1], 1, axis=1)
        masked_BL = np.cumsum(turns_BL, axis=1) % 2 == 1
        offset_B1 = (hashing.uniform(hashing.fold(keys_B, 2), 1) * seq_len).astype(np.int64)
        places_BL = (np.arange(seq_len)[None] + offset_B1) % seq_len
        return _blanked(rows, np.take_along_axis(masked_BL, places_BL, axis=1), self.separator)


def _compositions(keys_B: np.ndarray, total: int, count: int) -> Int64[np.ndarray, "B {count}"]:
    """`count` lengths of 1 or more that add up to `total`, every sequence of them equally likely, for each key."""
    chosen = np.argsort(hashing.uniform(keys_B, total - 1), axis=1, kind="stable")[:, : count - 1] + 1
    return np.diff(np.sort(chosen, axis=1), axis=1, prepend=0, append=total)


def _blanked(rows: Batch, chosen_BL: Bool[np.ndarray, "B L"], separator: int) -> Batch:
    real_BL = rows["segment_ids"] > 0
    return {**rows, "tokens": np.where(chosen_BL & real_BL, np.int32(separator), rows["tokens"])}


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise ValueError(f"rate: expected a number between 0 and 1, got {rate}")
