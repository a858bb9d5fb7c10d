"""Numbers from numbers: 64-bit hashes of whole arrays at once, the source of all chance in this room.

A hash depends on nothing but its key and what is hashed, so that row number p of a run draws the same numbers on any
host, in any worker and after any resume. All arithmetic is modulo 2**64, and the values are frozen by tests.
"""

import hashlib

import numpy as np
from jaxtyping import Float32, Float64, UInt64

# SplitMix64: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, figure 17.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def key(*names: object) -> np.ndarray:
    """A key for these names, uint64 [1]; no two lists of names share a spelling."""
    digest = hashlib.blake2b(repr(tuple(map(str, names))).encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return np.array([int.from_bytes(digest)], np.uint64)


def mix(x: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """SplitMix64's finalizer, a bijection in which each bit of `x` flips each bit of the result half of the time."""
    x = (x ^ (x >> np.uint64(30))) * FIRST
    x = (x ^ (x >> np.uint64(27))) * SECOND
    return x ^ (x >> np.uint64(31))


def fold(key: np.ndarray, numbers: np.ndarray | int) -> np.ndarray:
    """The keys that follow from `key` for each of `numbers`, uint64, broadcast: number n is draw n of SplitMix64."""
    numbers = np.atleast_1d(np.asarray(numbers, np.uint64))  # numpy warns of a scalar's overflow, not of an array's
    return mix(key + (numbers + np.uint64(1)) * _GAMMA)


def uniform(keys_B: UInt64[np.ndarray, "B"], count: int) -> Float64[np.ndarray, "B {count}"]:
    """`count` numbers for each key, uniform in [0, 1), of 53 random bits."""
    return (fold(keys_B[:, None], np.arange(count)[None]) >> np.uint64(11)) * 2.0**-53


def normal(keys_B: UInt64[np.ndarray, "B"], count: int) -> Float32[np.ndarray, "B {count}"]:
    """`count` numbers for each key of the standard normal distribution, two from each hash.

    G. Box and M. Muller, "A Note on the Generation of Random Normal Deviates", 1958, from 32 bits each, so that no
    number lies further out than 6.8.
    """
    bits = fold(keys_B[:, None], np.arange((count + 1) // 2)[None])
    radius = ((bits >> np.uint64(32)).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-32)
    radius = np.sqrt(np.float32(-2) * np.log(radius))
    angle = (bits & np.uint64(0xFFFFFFFF)).astype(np.float32) * np.float32(2 * np.pi * 2.0**-32)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return pairs.reshape(len(keys_B), 2 * bits.shape[1])[:, :count]
