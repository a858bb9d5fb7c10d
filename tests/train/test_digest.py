"""A leaf's digest: the same wherever the leaf lies, another as soon as one bit of it does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from train.digest import GOLDEN, _sums, check_fit, digests, seal, signature, unseal

AXES = ("data", "fsdp", "tensor")
DTYPES = ("float32", "bfloat16", "float16", "int32", "uint32", "int8", "uint8", "bool", "float8_e4m3fn")


def values(dtype: str, shape=(16, 8)) -> np.ndarray:
    """Every bit pattern may occur, NaNs too; bool as it is."""
    raw = np.random.default_rng(0).integers(0, 2**32, shape, np.uint32)
    dtype = jnp.dtype(dtype)
    return raw % 2 == 1 if dtype.name == "bool" else raw.astype(f"uint{8 * dtype.itemsize}").view(dtype)


def placed(x, sizes, axis_type, spec) -> jax.Array:
    mesh = jax.make_mesh(sizes, AXES, axis_types=(axis_type,) * 3)
    return jax.device_put(x, NamedSharding(mesh, PartitionSpec(*spec)))


def reference(x: np.ndarray) -> str:
    """The same two sums in Python's own integers."""

    def mix(h):
        h = (h ^ (h >> 16)) * 0x7FEB352D % 2**32
        h = (h ^ (h >> 15)) * 0x846CA68B % 2**32
        return h ^ (h >> 16)

    words = np.ascontiguousarray(x).view(f"uint{8 * x.dtype.itemsize}").reshape(-1).tolist()
    mixed = sum(mix((word + index * GOLDEN) % 2**32) for index, word in enumerate(words))
    return f"{signature(x)}:{sum(words) % 2**32:08x}{mixed % 2**32:08x}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(16, 8), (7,), (), (3, 0), (2, 3, 4, 5)], ids=str)
def test_is_the_sum_it_says(dtype, shape):
    x = values(dtype, shape)
    assert digests({"x": jnp.asarray(x)}) == {"x": reference(x)}


@pytest.mark.parametrize("axis_type", [AxisType.Explicit, AxisType.Auto], ids=lambda kind: kind.name)
@pytest.mark.parametrize("sizes", [(8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2)], ids=str)
def test_does_not_depend_on_the_mesh(sizes, axis_type):
    specs = [(), AXES[:2], (("data", "fsdp"), "tensor"), (None, AXES)]
    for dtype in ("float32", "bfloat16", "bool"):
        x = values(dtype)
        leaves = {str(spec): placed(x, sizes, axis_type, spec) for spec in specs}
        leaves["scalar"] = placed(np.int32(7), sizes, axis_type, ())
        came = digests(leaves)
        assert came.pop("scalar") == reference(np.int32(7))
        assert set(came.values()) == {reference(x)}


def test_under_an_explicit_mesh_set_for_the_whole_program():
    x = values("float32")
    leaf = placed(x, (2, 2, 2), AxisType.Explicit, AXES[:2])
    with jax.set_mesh(leaf.sharding.mesh):
        assert digests({"x": leaf}) == {"x": reference(x)}


def test_only_partial_sums_travel_between_devices():
    leaf = placed(values("float32", (64, 64)), (2, 2, 2), AxisType.Explicit, (("data", "fsdp"), "tensor"))
    lines = _sums.lower([leaf]).compile().as_text().splitlines()
    sizes = [line.split("[")[1].split("]")[0] for line in lines if " all-gather(" in line or " all-reduce(" in line]
    assert sizes
    assert all(np.prod([int(size) for size in text.split(",") if size]) <= 8 for text in sizes)


def test_sees_each_flipped_bit():
    x = values("float32")
    whole = digests({"x": jnp.asarray(x)})["x"]
    for bit in range(32):
        hurt = x.copy()
        hurt.view(np.uint32)[3, 5] ^= np.uint32(1) << np.uint32(bit)
        assert digests({"x": jnp.asarray(hurt)})["x"] != whole


def test_sees_every_pair_of_flipped_signs():
    x = np.ones(12, np.float32)
    whole = digests({"x": jnp.asarray(x)})["x"]
    for first in range(12):
        for second in range(first):
            hurt = x.copy()
            hurt[[first, second]] *= -1
            assert digests({"x": jnp.asarray(hurt)})["x"] != whole


def test_sees_two_elements_exchanged():
    x = values("bfloat16", (64,))
    hurt = x.copy()
    hurt[[3, 4]] = hurt[[4, 3]]
    assert digests({"x": jnp.asarray(hurt)}) != digests({"x": jnp.asarray(x)})


def test_sees_another_dtype_and_shape_of_the_same_bits():
    x = values("int32")
    same_bits = [x, x.view(np.uint32), x.view(np.float32), x.reshape(8, 16), x.reshape(-1)]
    assert len({digests({"x": jnp.asarray(y)})["x"] for y in same_bits}) == len(same_bits)


@pytest.mark.parametrize(
    "leaf", [jnp.zeros(3, jnp.complex64), jnp.zeros(3, jnp.int4), jax.eval_shape(lambda: jax.random.key(0))]
)
def test_refuses_dtypes_it_cannot_see_the_bits_of(leaf):
    with pytest.raises(ValueError, match=r"leaf a/b: expected a dtype of 1, 2 or 4 whole bytes, got .*; write"):
        digests({"a/b": leaf})


def test_nothing_has_no_digests():
    assert digests({}) == {}


def test_a_fit_names_the_leaf_and_what_to_write():
    saved = {"params/w": "float32[4,8]:0", "params/bias": "float32[8]:0"}
    fits = {
        "params/w": jax.ShapeDtypeStruct((4, 8), "float32"),
        "params/bias": jax.ShapeDtypeStruct((8,), "float32"),
    }
    check_fit(saved, fits)
    for name, leaf, message in [
        (
            "params/w",
            jax.ShapeDtypeStruct((4, 9), "float32"),
            r"params/w: expected float32\[4,9\], got float32\[4,8\];",
        ),
        (
            "params/w",
            jax.ShapeDtypeStruct((4, 8), "bfloat16"),
            r"expected bfloat16\[4,8\], got float32\[4,8\]; write",
        ),
        ("params/more", fits["params/w"], r"params/more: expected float32\[4,8\], got no such leaf"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_fit(saved, fits | {name: leaf})
    renamed = {"params/w": fits["params/w"], "params/biases": fits["params/bias"]}
    with pytest.raises(ValueError, match=r"leaf params/bias: expected no such leaf.*nearest: params/biases"):
        check_fit(saved, renamed)


def test_a_seal_breaks_with_any_change():
    record = {"cursor": {"examples": 12, "rate": 0.1}, "shape": (1, 2)}
    sealed = seal(record)
    assert unseal(sealed) == {"cursor": {"examples": 12, "rate": 0.1}, "shape": [1, 2]}
    for hurt in ({**sealed, "cursor": {"examples": 13, "rate": 0.1}}, {**sealed, "more": 1}, {"cursor": {}}):
        with pytest.raises(ValueError, match="SHA-256"):
            unseal(hurt)


def test_a_record_that_json_cannot_hold_is_refused():
    with pytest.raises(ValueError, match=r"record: expected JSON, got .*; write"):
        seal({"config": {"array": np.zeros(2)}})
