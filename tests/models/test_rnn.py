"""The contract of recurrent models, and LSTM and GRU against their equations, one row and one step at a time in numpy.

The equations are those of torch.nn.LSTM and torch.nn.GRU, in float64; nothing is read from a config but its sizes.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import expit

from models import generate
from models.layers.recurrent import MakeRecurrent
from models.placement import ONE_DEVICE
from models.rnn import Rnn, RnnLm
from models.rnn_config import RnnConfig, RnnLmConfig
from models.sampling import Sampling

LM = RnnLmConfig(num_layers=3, hidden_size=16, vocab_size=48, init_std=0.5)
LMS = {
    "lstm": LM,
    "gru": dataclasses.replace(LM, kind="gru", tie_embeddings=True),
    "normed": dataclasses.replace(LM, norm="layer", num_layers=1),
}
READER = RnnConfig(num_layers=2, hidden_size=8, input_shape=(6, 5), num_outputs=3)
READERS = {
    "lstm": READER,
    "gru": dataclasses.replace(READER, kind="gru", pooling="mean", input_shape=(6, 5, 2)),
    "both_ways": dataclasses.replace(READER, bidirectional=True),
    "both_ways_gru": dataclasses.replace(READER, kind="gru", bidirectional=True, pooling="max", num_layers=3),
}


def make(config, seed: int = 0):
    """A model whose every leaf is random, so that no bias or scale is without effect."""
    model = (RnnLm if isinstance(config, RnnLmConfig) else Rnn)(config, rngs=nnx.Rngs(seed))
    rng = np.random.default_rng(seed)
    noisy = lambda leaf: leaf + jnp.asarray(0.2 * rng.standard_normal(leaf.shape), leaf.dtype)
    nnx.update(model, jax.tree.map(noisy, nnx.state(model, nnx.Param)))
    return model


def arrays(model) -> dict:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), nnx.to_pure_dict(nnx.state(model, nnx.Param)))


@jax.jit
def call(model, *inputs, **where):
    return model(*inputs, **where)


def lm_inputs(num_rows: int, length: int, seed: int = 0) -> dict:
    tokens = np.random.default_rng(seed).integers(0, LM.vocab_size, (num_rows, length))
    positions = np.broadcast_to(np.arange(length), tokens.shape)
    return {"tokens_BL": tokens, "positions_BL": positions, "segments_BL": np.ones_like(tokens)}


def examples(config, num_rows: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((num_rows, *config.input_shape)).astype(np.float32)


def lstm(w, steps):
    """`w` holds kernels [inputs, 4, units] and biases [4, units]: input gate, forget gate, candidate, output gate."""
    h = c = np.zeros(w["recurrent_kernel"].shape[-1])
    for x in steps:
        i, f, g, o = (
            x @ w["input_kernel"][:, gate] + h @ w["recurrent_kernel"][:, gate] + w["bias"][gate] for gate in range(4)
        )
        c = expit(f) * c + expit(i) * np.tanh(g)
        h = expit(o) * np.tanh(c)
        yield h


def gru(w, steps):
    """Reset gate, update gate, candidate; the last bias is the recurrent one of the candidate (PyTorch's b_hn)."""
    h = np.zeros(w["recurrent_kernel"].shape[-1])
    for x in steps:
        from_x = [x @ w["input_kernel"][:, gate] + w["bias"][gate] for gate in range(3)]
        from_h = [h @ w["recurrent_kernel"][:, gate] for gate in range(3)]
        r, z = expit(from_x[0] + from_h[0]), expit(from_x[1] + from_h[1])
        n = np.tanh(from_x[2] + r * (from_h[2] + w["bias"][3]))
        h = (1 - z) * n + z * h
        yield h


def stacked(cell, params, num_layers: int, x):
    """What the last layer gives at each step."""
    for number in range(num_layers):
        part, index = ("first", 0) if number == 0 else ("rest", number - 1)
        w = jax.tree.map(lambda leaf, index=index: leaf[index], params[part])
        halves = [np.array([*cell(w["ahead"], x)])]
        if "back" in w:
            halves.append(np.array([*cell(w["back"], x[::-1])])[::-1])
        x = np.concatenate(halves, axis=-1)
        if "norm" in w:
            x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
            x = x * w["norm"]["scale"] + w["norm"]["bias"]
    return x


@pytest.mark.parametrize("name", LMS)
def test_language_models_equal_their_equations(name):
    config = LMS[name]
    model, inputs = make(config), lm_inputs(2, 7)
    params = arrays(model)
    head = params["embed"].T if config.tie_embeddings else params["head"]
    logits = call(model, **inputs)
    assert logits.dtype == jnp.float32
    for row, tokens in enumerate(inputs["tokens_BL"]):
        x = stacked(gru if config.kind == "gru" else lstm, params["stack"], config.num_layers, params["embed"][tokens])
        np.testing.assert_allclose(logits[row], x @ head, atol=2e-5)


@pytest.mark.parametrize("name", READERS)
def test_readers_equal_their_equations(name):
    config = READERS[name]
    model, inputs = make(config), examples(config)
    params = arrays(model)
    logits = call(model, inputs)
    assert (logits.shape, logits.dtype) == ((4, 3), jnp.float32)
    cell = gru if config.kind == "gru" else lstm
    for row, example in enumerate(inputs):
        steps = np.array([step.ravel() for step in example])
        x = stacked(cell, params["stack"], config.num_layers, steps)
        pooled = {"mean": x.mean(0), "max": x.max(0), "last": np.concatenate([x[-1, :8], x[0, 8:]])}[config.pooling]
        np.testing.assert_allclose(logits[row], pooled @ params["head"] + params["bias"], atol=2e-5)


@pytest.mark.parametrize("name", LMS)
def test_jit_and_loops_change_nothing(name):
    inputs = lm_inputs(2, 5)
    logits = call(make(LMS[name]), **inputs)
    np.testing.assert_allclose(make(LMS[name])(**jax.tree.map(jnp.asarray, inputs)), logits, atol=1e-5)
    unrolled = make(dataclasses.replace(LMS[name], layer_loop="unroll"))
    np.testing.assert_allclose(call(unrolled, **inputs), logits, atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_are_the_limits_of_differences(kind, reverse):
    """Of every leaf, the first state and the input, through steps that begin anew: the kernel has a rule of its own."""
    with jax.enable_x64():
        make_layer = MakeRecurrent(kind=kind, hidden_size=3, param_dtype="float64", compute_dtype="float64")
        layer = make_layer(2, "X", rngs=nnx.Rngs(0))
        rng = np.random.default_rng(0)
        keep = jnp.asarray([[1.0, 1], [1, 1], [0, 1], [1, 0]])
        graph, params = nnx.split(layer)
        state = jax.tree.map(lambda leaf: leaf + 0.3, make_layer.empty_state(2))
        weights = rng.standard_normal((4, 2, 3))

        def loss(params, state, x):
            states = nnx.merge(graph, params)(x, state=state, keep_LB=keep, reverse=reverse, placement=ONE_DEVICE)
            return jnp.sum(states.h_BU * weights) + (jnp.sum(states.c_BU[-1]) if kind == "lstm" else 0)

        at = (params, state, jnp.asarray(rng.standard_normal((4, 2, 2))))
        grads = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(*at)
        way = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape), leaf.dtype), at)
        slope = sum(map(jnp.vdot, jax.tree.leaves(grads), jax.tree.leaves(way)))
        moved = lambda step: jax.jit(loss)(*jax.tree.map(lambda leaf, toward: leaf + step * toward, at, way))
        assert float(slope) == pytest.approx(float(moved(1e-3) - moved(-1e-3)) / 2e-3, rel=1e-3)
        each = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(grads)]
        assert min(each) > 1e-4, "a leaf without a gradient"


@pytest.mark.parametrize("loop", ["scan", "unroll"])
@pytest.mark.parametrize("name", LMS)
def test_cached_decoding_equals_the_full_pass(name, loop):
    model, inputs = make(dataclasses.replace(LMS[name], layer_loop=loop)), lm_inputs(2, 12)
    whole = call(model, **inputs)
    tokens = jnp.asarray(inputs["tokens_BL"])
    extend = jax.jit(lambda model, tokens, past: model.extend(tokens, past))
    past = model.empty_cache(num_rows=2)
    pieces, start = [], 0
    for size in (5, 1, 1, 3, 1, 1):
        logits, past = extend(model, tokens[:, start : start + size], past)
        pieces.append(logits)
        start += size
    np.testing.assert_allclose(jnp.concatenate(pieces, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("name", LMS)
def test_padding_is_not_remembered(name):
    """Rows of 0, 1 and 4 tokens, then two more of each."""
    model, inputs = make(LMS[name]), lm_inputs(3, 6)
    tokens, num_new = jnp.asarray(inputs["tokens_BL"]), np.array([0, 1, 4])
    extend = jax.jit(lambda model, tokens, past, num_new: model.extend(tokens, past, num_new_B=num_new))
    _, past = extend(model, tokens, model.empty_cache(num_rows=3), jnp.asarray(num_new))
    after, _ = extend(model, tokens[:, :2], past, jnp.full(3, 2))
    for row, length in enumerate(num_new):
        seen = jnp.concatenate([tokens[row, :length], tokens[row, :2]])[None]
        alone = call(model, seen, positions_BL=jnp.arange(length + 2)[None], segments_BL=jnp.ones_like(seen))
        np.testing.assert_allclose(after[row], alone[0, -2:], atol=1e-5)


@pytest.mark.parametrize("name", LMS)
def test_rows_write_as_if_each_were_alone(name):
    """Prompts of one token to more than a training row has, past the ends of others: the likeliest of the full pass."""
    model = make(LMS[name])
    prompts = [[3], [1, 2, 3, 4, 5], [*range(8, 48)], [7, 7]]
    keys_B = jax.random.split(jax.random.key(0), len(prompts))
    rows = generate.Rows(model, prompts, keys_B=keys_B, sampling=Sampling(temperature=0.0), num_ids=48)
    begun = rows.advance(5)
    rows.close(1)
    rest = rows.advance(40)
    assert (len(begun[1]), rest[1]) == (5, [])
    for row in (0, 2, 3):
        chosen = begun[row] + rest[row]
        seen = np.array([prompts[row] + chosen])
        logits = call(model, seen, positions_BL=np.zeros_like(seen), segments_BL=np.ones_like(seen))
        likeliest = np.argmax(logits[0], axis=-1)
        assert chosen == likeliest[len(prompts[row]) - 1 : -1].tolist()


@pytest.mark.parametrize("name", LMS)
def test_documents_in_one_row_do_not_see_each_other(name):
    model, inputs = make(LMS[name]), lm_inputs(1, 12)
    positions = np.concatenate([np.arange(5), np.arange(4), np.zeros(3, int)])[None]
    segments = np.array([[1] * 5 + [2] * 4 + [0] * 3])
    packed = call(model, inputs["tokens_BL"], positions_BL=positions, segments_BL=segments)
    for low, high in ((0, 5), (5, 9)):
        tokens = inputs["tokens_BL"][:, low:high]
        alone = call(model, tokens, positions_BL=positions[:, low:high], segments_BL=np.ones_like(tokens))
        np.testing.assert_allclose(packed[:, low:high], alone, atol=1e-5)
    assert np.isfinite(packed).all(), "padding gives numbers too"


@pytest.mark.parametrize("name", LMS)
def test_no_position_sees_a_later_one(name):
    model, inputs = make(LMS[name]), lm_inputs(1, 8)
    before = call(model, **inputs)
    inputs["tokens_BL"][0, 4] = (inputs["tokens_BL"][0, 4] + 1) % LM.vocab_size
    after = call(model, **inputs)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (np.abs(before - after)[:, 4:].max(-1) > 1e-4).all()


def test_dropout_is_the_rows_own():
    config = dataclasses.replace(LM, dropout=0.5)
    model, inputs = make(config), lm_inputs(4, 5)
    keys = jax.random.split(jax.random.key(3), 4)
    whole = call(model, **inputs, dropout_keys_B=keys)
    half = {name: rows[2:] for name, rows in inputs.items()}
    np.testing.assert_allclose(call(model, **half, dropout_keys_B=keys[2:]), whole[2:], atol=1e-5)
    others = call(model, **inputs, dropout_keys_B=jax.random.split(jax.random.key(4), 4))
    assert float(jnp.abs(others - whole).max()) > 0.1
    np.testing.assert_array_equal(call(model, **inputs), call(make(LM), **inputs))


def test_variational_dropout_has_one_mask_for_all_steps():
    keys = jax.random.split(jax.random.key(0), 4)
    ones = jnp.ones((6, 4, 32))
    variational = dataclasses.replace(READER, dropout=0.25, dropout_form="variational").drop(ones, keys)
    plain = dataclasses.replace(READER, dropout=0.25).drop(ones, keys)
    assert (variational == variational[:1]).all()
    assert not (plain == plain[:1]).all()
    for dropped in (variational, plain):
        assert set(np.unique(dropped)) == {0, np.float32(1 / 0.75)}
        assert 0.1 < float((dropped[0] == 0).mean()) < 0.4
        assert len({row.tobytes() for row in np.asarray(dropped[0])}) == 4


@pytest.mark.parametrize("name", LMS)
def test_dtypes(name):
    """Parameters in their own dtype, products of another, logits and an LSTM's memory in float32."""
    model, inputs = make(dataclasses.replace(LMS[name], compute_dtype="bfloat16")), lm_inputs(2, 5)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))} == {jnp.dtype("float32")}
    state = model.empty_cache(num_rows=2).state
    assert state.h_BU.dtype == jnp.bfloat16
    assert state.c_BU is None if LMS[name].kind == "gru" else state.c_BU.dtype == jnp.float32
    logits, exact = call(model, **inputs), call(make(LMS[name]), **inputs)
    assert logits.dtype == jnp.float32
    assert 1e-4 < float(jnp.abs(logits - exact).max()) < 0.15 * float(jnp.abs(exact).max())


def test_how_a_layer_starts():
    """Recurrent kernels orthogonal gate by gate, forget gates open, all else closed; seeds differ."""
    layer = arrays(RnnLm(LM, rngs=nnx.Rngs(0)))["stack"]["rest"]["ahead"]
    for kernel in layer["recurrent_kernel"]:
        for gate in range(4):
            np.testing.assert_allclose(kernel[:, gate] @ kernel[:, gate].T, np.eye(16), atol=1e-5)
    np.testing.assert_array_equal(layer["bias"], np.broadcast_to([[0.0], [1], [0], [0]], (2, 4, 16)))
    assert np.abs(layer["input_kernel"]).max() <= np.sqrt(6 / 32)
    assert np.ptp(layer["input_kernel"], axis=0).max() > 0.1, "layers start alike"


@pytest.mark.fast
@pytest.mark.parametrize(
    ("config", "change", "says"),
    [
        (LM, dict(kind="rnn"), "model.kind: expected one of lstm, gru, got 'rnn'"),
        (LM, dict(num_layers=0), "model.num_layers: expected at least 1, got 0"),
        (LM, dict(bidirectional=True), "model.bidirectional: expected False where the next token"),
        (LM, dict(dropout=1.0), "model.dropout: expected a share"),
        (LM, dict(norm="batch"), "model.norm: expected one of none, layer, rms"),
        (LM, dict(norm_epsilon=0.0), "model.norm_epsilon: expected a number above 0"),
        (LM, dict(init_std=0.0), "model.init_std: expected a number above 0"),
        (READER, dict(pooling="first"), "model.pooling: expected one of last, mean, max, got 'first'"),
        (READER, dict(dropout_form="gal"), "model.dropout_form: expected one of plain, variational"),
        (READER, dict(input_shape=(16000,)), r"data.shape: model 'rnn' expected \[steps, features\].* got \(16000,\)"),
    ],
)
def test_wrong_configs(config, change, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(config, **change)
