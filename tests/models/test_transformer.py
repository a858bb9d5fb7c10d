"""The contract of every model, and every family of Transformer against its slow form in numpy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import GEMMA3, GPT2, LLAMA3, MODELS, make, reference, rows, run
from flax import nnx

from models import count, generate
from models.sampling import Sampling
from models.transformer import Transformer


@pytest.mark.parametrize("name", MODELS)
def test_equals_the_reference(name):
    config = MODELS[name]
    model, inputs = make(config), rows(2, 12, config)
    logits = run(model, **inputs)
    for row in range(2):
        np.testing.assert_allclose(logits[row], reference(name, model, inputs["tokens_BL"][row]), atol=2e-4)


@pytest.mark.parametrize("name", MODELS)
def test_jit_and_loops_change_nothing(name):
    config = MODELS[name]
    inputs = rows(2, 12, config)
    logits = run(make(config), **inputs)
    eager = make(config)(**jax.tree.map(jnp.asarray, inputs))
    np.testing.assert_allclose(eager, logits, atol=1e-5)
    unrolled = run(make(dataclasses.replace(config, layer_loop="unroll")), **inputs)
    np.testing.assert_allclose(unrolled, logits, atol=1e-5)


@pytest.mark.parametrize("loop", ["scan", "unroll"])
@pytest.mark.parametrize("name", MODELS)
def test_cached_decoding_equals_the_full_pass(name, loop):
    config = dataclasses.replace(MODELS[name], layer_loop=loop)
    model, inputs = make(config), rows(2, 12, config)
    whole = run(model, **inputs)
    tokens = jnp.asarray(inputs["tokens_BL"])
    extend = jax.jit(lambda model, tokens, past: model.extend(tokens, past))
    past = model.empty_cache(num_rows=2)
    pieces, start = [], 0
    for size in (5, 1, 1, 3, 1, 1):
        logits, past = extend(model, tokens[:, start : start + size], past)
        pieces.append(logits)
        start += size
    np.testing.assert_allclose(jnp.concatenate(pieces, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_documents_in_one_row_do_not_see_each_other(name):
    config = MODELS[name]
    model = make(config)
    inputs = rows(1, 12, config)
    positions = np.concatenate([np.arange(5), np.arange(4), np.zeros(3, int)])[None]
    segments = np.array([[1] * 5 + [2] * 4 + [0] * 3])
    packed = run(model, inputs["tokens_BL"], positions_BL=positions, segments_BL=segments)
    for low, high in ((0, 5), (5, 9)):
        tokens = inputs["tokens_BL"][:, low:high]
        ones = np.ones_like(tokens)
        alone = run(model, tokens, positions_BL=positions[:, low:high], segments_BL=ones)
        np.testing.assert_allclose(packed[:, low:high], alone, atol=1e-5)
    assert np.isfinite(packed).all(), "padding gives numbers too"


@pytest.mark.parametrize("name", MODELS)
def test_no_position_sees_a_later_one(name):
    config = MODELS[name]
    model, inputs = make(config), rows(1, 12, config)
    before = run(model, **inputs)
    inputs["tokens_BL"][0, 7] = (inputs["tokens_BL"][0, 7] + 1) % config.vocab_size
    after = run(model, **inputs)
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert (np.abs(before - after)[:, 7:].max(-1) > 1e-4).all()


@pytest.mark.parametrize("name", MODELS)
def test_dtypes_are_apart(name):
    config = dataclasses.replace(MODELS[name], compute_dtype="bfloat16", softmax_dtype="float32")
    model = make(config)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))} == {jnp.dtype("float32")}
    logits = run(model, **rows(2, 12, config))
    assert logits.dtype == jnp.float32
    exact = run(make(MODELS[name]), **rows(2, 12, config))
    assert 1e-4 < float(jnp.abs(logits - exact).max()) < 1.0


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("tied", [True, False])
def test_count_equals_the_leaves(name, tied):
    config = dataclasses.replace(MODELS[name], tie_embeddings=tied)
    model = Transformer(config, rngs=nnx.Rngs(0))
    assert count.num_params(config) == sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize("name", MODELS)
def test_flops_equal_those_of_the_traced_matmuls(name):
    config = dataclasses.replace(MODELS[name], windows=(0,))  # plain attention computes what a window hides
    inputs = rows(2, 12, config)
    unrolled = dataclasses.replace(config, layer_loop="unroll")
    jaxpr = jax.make_jaxpr(lambda model: model(**jax.tree.map(jnp.asarray, inputs)))(make(unrolled))
    total = sum(dot_flops(equation) for equation in equations(jaxpr.jaxpr))
    assert count.forward_flops(config, seq_len=12) * 2 * 12 == total
    assert count.train_flops(config, seq_len=12) == 3 * count.forward_flops(config, seq_len=12)


def test_flops_of_windows():
    """Gemma 3 at 12 tokens: three of four layers see 4 keys, 16 query features a key in each of 4 heads, twice."""
    whole, windowed = dataclasses.replace(GEMMA3, windows=(0,)), GEMMA3
    saved = count.forward_flops(whole, seq_len=12) - count.forward_flops(windowed, seq_len=12)
    assert saved == 3 * (12 - 4) * 4 * 16 * 2 * 2
    assert count.forward_flops(whole, seq_len=3) == count.forward_flops(windowed, seq_len=3)


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def dot_flops(equation) -> int:
    if equation.primitive.name != "dot_general":
        return 0
    (contracting, _), _ = equation.params["dimension_numbers"]
    sizes = [equation.invars[0].aval.shape[axis] for axis in contracting]
    return 2 * int(np.prod(equation.outvars[0].aval.shape)) * int(np.prod(sizes))


def test_published_sizes():
    """GPT-2 small (124,439,808) and Llama 3 8B (8,030,261,248 parameters), as their publishers count them."""
    gpt2 = dataclasses.replace(
        GPT2, num_layers=12, model_size=768, num_heads=12, num_kv_heads=12, mlp_size=3072, head_size=0
    )
    gpt2 = dataclasses.replace(gpt2, vocab_size=50257, max_length=1024)
    assert count.num_params(gpt2) == 124_439_808
    llama = dataclasses.replace(
        LLAMA3, num_layers=32, model_size=4096, num_heads=32, num_kv_heads=8, mlp_size=14336, head_size=0
    )
    assert count.num_params(dataclasses.replace(llama, vocab_size=128256, max_length=8192)) == 8_030_261_248


def test_dropout_is_the_rows_own():
    config = dataclasses.replace(GPT2, dropout=0.5)
    model, inputs = make(config), rows(4, 12, config)
    keys = jax.random.split(jax.random.key(3), 4)
    call = jax.jit(lambda inputs, keys: model(**jax.tree.map(jnp.asarray, inputs), dropout_keys_B=keys))
    whole = call(inputs, keys)
    half = call(jax.tree.map(lambda rows: rows[2:], inputs), keys[2:])
    np.testing.assert_allclose(whole[2:], half, atol=1e-5)
    assert float(jnp.abs(call(inputs, jax.random.split(jax.random.key(4), 4)) - whole).max()) > 0.1
    np.testing.assert_array_equal(run(model, **inputs), run(make(GPT2), **inputs))


@pytest.mark.parametrize("name", MODELS)
def test_greedy_generation_takes_the_likeliest_of_the_full_pass(name):
    config = MODELS[name]
    model = make(config)
    num_ids, prompts = 40, [[3, 1, 4], [1], [5, 9, 2, 6, 5, 3, 5]]
    keys_B = jax.random.split(jax.random.key(0), len(prompts))
    greedy = Sampling(temperature=0.0)
    rows_of_ids = generate.Rows(model, prompts, keys_B=keys_B, sampling=greedy, num_ids=num_ids).advance(8)
    for prompt, chosen in zip(prompts, rows_of_ids, strict=True):
        seen = prompt + chosen
        inputs = {**rows(1, len(seen), config), "tokens_BL": np.array([seen])}
        likeliest = np.argmax(run(model, **inputs)[0, :, :num_ids], axis=-1)
        assert chosen == likeliest[len(prompt) - 1 : -1].tolist()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(num_kv_heads=3), "model.num_kv_heads: expected a divisor"),
        (dict(num_heads=5, num_kv_heads=5, head_size=0), "model.num_heads: expected a divisor of model.model_size=32"),
        (dict(mlp_size=-1), "model.mlp_size: expected at least 1, got -1"),
        (dict(windows=(4, -1)), r"model.windows: expected a cycle of window sizes, got \(4, -1\)"),
        (dict(windows=()), "model.windows: expected a cycle of window sizes"),
        (dict(logit_soft_cap=-1.0), "model.logit_soft_cap: expected 0"),
        (
            dict(activation="gegelu"),
            "model.activation: expected one of gelu, gelu_exact, relu, silu, swiglu, geglu, got 'gegelu'",
        ),
        (dict(norm="rsm"), "model.norm: expected one of layer, rms, got 'rsm'"),
        (dict(dropout=1.0), "model.dropout: expected a share"),
        (dict(positions="rope", head_size=7), "model.head_size: rotary positions expect an even size"),
    ],
)
def test_wrong_configs(change, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(GPT2, **change)
