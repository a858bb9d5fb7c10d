"""Digests of arrays, equal on every mesh and process count; seals of JSON records.

An array's digest is two sums modulo 2**32 over its elements: of the bit pattern, and of
`mix(bits + index * GOLDEN)`, a hash of bit pattern and linear index. A sum does not depend on the order, hence not
on the mesh; the first sees every flipped bit, the second also what changed its place. (Bits *times* a hash of the
index cost the same and miss half of all pairs of flipped signs.) Its text names dtype and shape too:
`bfloat16[256,64]:0123456789abcdef`.
"""

import difflib
import hashlib
import json
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

GOLDEN = 0x9E3779B1  # 2**32 / golden ratio, odd (Knuth, The Art of Computer Programming 3, section 6.4)


def signature(leaf) -> str:
    """The dtype and shape of an array or a `jax.ShapeDtypeStruct`: `float32[64,128]`."""
    return f"{jnp.dtype(leaf.dtype).name}[{','.join(map(str, leaf.shape))}]"


def digests(leaves: Mapping[str, Array]) -> dict[str, str]:
    """`{name: "signature:16 hex digits"}` of arrays by name, all on one set of devices.

    One dispatch and one wait for its result, so the arrays may be donated afterwards. They may be sharded in any
    way, over Auto or Explicit axes. Raises ValueError for a dtype that is not of 1, 2 or 4 whole bytes.
    """
    if not leaves:
        return {}
    for name, leaf in leaves.items():
        _check_dtype(name, leaf)
    sums_N2 = jax.device_get(_sums(list(leaves.values()))).tolist()
    return {
        name: f"{signature(leaf)}:{plain:08x}{mixed:08x}"
        for (name, leaf), (plain, mixed) in zip(leaves.items(), sums_N2, strict=True)
    }


def check_fit(saved: Mapping[str, str], abstract: Mapping[str, jax.ShapeDtypeStruct]) -> None:
    """Raises ValueError, naming the leaf, unless both have the same names, dtypes and shapes."""
    for name in sorted(abstract.keys() | saved.keys()):
        expected = signature(abstract[name]) if name in abstract else "no such leaf"
        came = saved[name].split(":")[0] if name in saved else "no such leaf"
        if expected != came:
            near = difflib.get_close_matches(name, (abstract.keys() ^ saved.keys()) - {name}, n=2)
            also = f" (nearest: {', '.join(near)})" if near else ""
            raise ValueError(
                f"leaf {name}: expected {expected}, got {came}{also}; write the model, optimizer and precision "
                "of the config.json that the run began with, or start in a new --workdir"
            )


def seal(record: dict) -> dict:
    """A record as JSON gives it back (tuples as lists), with its SHA-256 in it; ValueError if not JSON."""
    try:
        plain = json.loads(json.dumps(record))
    except (TypeError, ValueError) as error:
        raise ValueError(f"record: expected JSON, got {error}; write numbers, strings, lists and dicts") from None
    return plain | {"sha256": _sha256(plain)}


def unseal(sealed: dict) -> dict:
    """The record without its seal; ValueError if the two do not belong together."""
    record = {name: value for name, value in sealed.items() if name != "sha256"}
    if (came := _sha256(record)) != (saved := sealed.get("sha256")):
        raise ValueError(f"its SHA-256 is {came[:16]}, and {str(saved)[:16]} was saved")
    return record


def _sha256(record: dict) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _check_dtype(name: str, leaf: Array) -> None:
    dtype = leaf.dtype
    is_number = any(jnp.issubdtype(dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating))
    if not is_number or dtype.itemsize not in (1, 2, 4) or dtype.name.endswith(("int2", "int4", "e2m1fn")):
        raise ValueError(
            f"leaf {name}: expected a dtype of 1, 2 or 4 whole bytes, got {dtype}; write it as arrays of "
            "such a dtype (a typed PRNG key as jax.random.key_data)"
        )


@jax.jit
def _sums(leaves: list[Array]) -> UInt32[Array, "N 2"]:
    return jnp.stack([_leaf_sums(leaf) for leaf in leaves])


def _leaf_sums(x: Array) -> UInt32[Array, "2"]:
    """Both sums in ONE reduction: as two they took XLA on CPU 20 times as long (and XOR does not compile)."""
    bits = _bits(x)
    mixed = _mix(bits + _golden_index(x.shape))
    zero = np.uint32(0)
    return jnp.stack(jax.lax.reduce((bits, mixed), (zero, zero), _add_pairs, tuple(range(x.ndim))))


def _add_pairs(a: tuple, b: tuple) -> tuple:
    return a[0] + b[0], a[1] + b[1]


def _bits(x: Array) -> UInt32[Array, "..."]:
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint32)
    return jax.lax.bitcast_convert_type(x, f"uint{8 * x.dtype.itemsize}").astype(jnp.uint32)


def _golden_index(shape: tuple[int, ...]) -> UInt32[Array, "..."]:
    """Each element's row-major index times GOLDEN, modulo 2**32; fused into the reduction, never stored."""
    index, stride = jnp.zeros(shape, jnp.uint32), 1
    for dim in reversed(range(len(shape))):
        index += jax.lax.broadcasted_iota(jnp.uint32, shape, dim) * np.uint32(stride * GOLDEN % 2**32)
        stride *= shape[dim]
    return index


def _mix(h: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """A bijection of 32-bit words, each bit of which depends on all (C. Wellons, "lowbias32", 2018)."""
    h = (h ^ (h >> 16)) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> 15)) * np.uint32(0x846CA68B)
    return h ^ (h >> 16)
