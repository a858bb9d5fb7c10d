"""Exact duplicates: records with the same 128-bit digest of their content.

Two different records share a digest with a probability of 2**-128 for a pair: among 10**12 records, 10**-15.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from input_pipeline.clean.record import Record


def _text(record: Record) -> bytes:
    return record.text.encode("utf-8", "surrogatepass")


def _payload(record: Record) -> bytes:
    return record.payload


def _cells(record: Record) -> bytes:
    return json.dumps(dict(record.fields), sort_keys=True).encode()


# What has to be the same, byte by byte: nothing is folded, neither case nor spaces nor Unicode's forms, so that an
# exact duplicate is what `==` says. What `fix_text` and other steps make equal is equal here, since they ran before;
# texts that differ in spaces, case or punctuation alone have Jaccard similarity 1 and are near-duplicates.
PARTS: Mapping[str, Callable[[Record], bytes]] = {"text": _text, "payload": _payload, "cells": _cells}
PART_OF: Mapping[str, str] = {"text": "text", "image": "payload", "audio": "payload", "table": "cells"}  # by modality


def digests(records: Sequence[Record], *, part: str) -> UInt64[np.ndarray, "N 2"]:
    """BLAKE2b of one part of each record, "text" (UTF-8), "payload" or "cells" (its fields, sorted)."""
    content = PARTS[part]
    whole = b"".join(hashlib.blake2b(content(record), digest_size=16).digest() for record in records)
    return np.frombuffer(whole, "<u8").astype(np.uint64).reshape(-1, 2)


def repeats(
    exact_M2: UInt64[np.ndarray, "M 2"], numbers_M: Int64[np.ndarray, "M"]
) -> tuple[Bool[np.ndarray, "M"], Int64[np.ndarray, "M"]]:
    """Which records repeat another, and for each the number of the first record that has its digest.

    All records that share the first half of a digest have to be here (it is the key of an exchange); any order.
    """
    order = np.lexsort((numbers_M, exact_M2[:, 1], exact_M2[:, 0]))
    is_new = np.ones(len(order), bool)
    is_new[1:] = (exact_M2[order[1:]] != exact_M2[order[:-1]]).any(axis=1)
    firsts = np.flatnonzero(is_new)[np.cumsum(is_new) - 1]
    first_M = np.empty_like(numbers_M)
    first_M[order] = numbers_M[order[firsts]]
    return first_M != numbers_M, first_M
