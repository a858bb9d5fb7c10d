"""A small model of each family, and the families written slowly, in float64, one position and one head at a time.

Written from papers and model cards, in their own terms: nothing is read from a TransformerConfig but sizes. The
families agree with Hugging Face's too: tests/models/test_hugging_face.py.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from scipy import special

from models.layers.rope import RopeScaling
from models.transformer import Transformer
from models.transformer_config import TransformerConfig

SIZES = dict(num_layers=3, model_size=32, num_heads=4, num_kv_heads=2, mlp_size=64, vocab_size=48, max_length=16)
GPT2 = TransformerConfig(
    **{**SIZES, "num_kv_heads": 4}, norm="layer", positions="learned", activation="gelu", use_bias=True
)
LLAMA3 = TransformerConfig(
    **SIZES,
    rope_theta=500_000.0,
    rope_scaling=RopeScaling(factor=8.0, original_length=64),
    tie_embeddings=False,
)
MISTRAL = TransformerConfig(**SIZES, windows=(5,), tie_embeddings=False)
QWEN3 = TransformerConfig(**SIZES, head_size=12, norm_epsilon=1e-6, qk_norm=True, rope_theta=1_000_000.0)
GEMMA = dict(norm_epsilon=1e-6, activation="geglu", post_norms=True, scale_embeddings=True)
GEMMA2 = TransformerConfig(
    **SIZES,
    **GEMMA,
    head_size=16,
    query_scale=24**-0.5,
    windows=(4, 0),
    attention_soft_cap=2.0,  # these logits are small: Gemma's own 50 and 30 would hardly bend them
    logit_soft_cap=1.5,
)
GEMMA3 = TransformerConfig(
    **{**SIZES, "num_layers": 4},
    **GEMMA,
    head_size=16,
    qk_norm=True,
    windows=(4, 4, 0),
    rope_theta=1_000_000.0,
    rope_scaling=RopeScaling(kind="linear", factor=8.0),
    local_rope_theta=10_000.0,
)
MODELS = dict(gpt2=GPT2, llama3=LLAMA3, mistral=MISTRAL, qwen3=QWEN3, gemma2=GEMMA2, gemma3=GEMMA3)


def make(config: TransformerConfig, seed: int = 0) -> Transformer:
    """A model whose every leaf is random, so that no bias or scale is without effect."""
    model = Transformer(config, rngs=nnx.Rngs(seed))
    state = nnx.state(model, nnx.Param)
    leaves, tree = jax.tree.flatten(state)
    noise = jax.random.split(jax.random.key(seed + 1), len(leaves))
    noisy = [leaf + 0.2 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, noise, strict=True)]
    nnx.update(model, jax.tree.unflatten(tree, noisy))
    return model


def rows(num_rows: int, length: int, config: TransformerConfig, seed: int = 0):
    tokens = np.random.default_rng(seed).integers(0, config.vocab_size, (num_rows, length))
    positions = np.broadcast_to(np.arange(length), tokens.shape)
    return {"tokens_BL": tokens, "positions_BL": positions, "segments_BL": np.ones_like(tokens)}


def run(model, tokens_BL, **where):
    return jax.jit(lambda model: model(jnp.asarray(tokens_BL), **jax.tree.map(jnp.asarray, where)))(model)


def reference(name: str, model: Transformer, tokens: np.ndarray) -> np.ndarray:
    """Logits of one row, [L, V], in float64."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    layers = [
        jax.tree.map(lambda leaf, layer=layer: leaf[layer], params["layers"])
        for layer in range(model.config.num_layers)
    ]
    return REFERENCES[name](params, layers, tokens)


def gpt2(p, layers, tokens):
    x = p["embed"][tokens] + p["positions"][: len(tokens)]
    for w in layers:
        x = x + attention(w["attention"], layer_norm(w["attention_norm"], x))
        x = x + mlp(w["mlp"], layer_norm(w["mlp_norm"], x))
    return layer_norm(p["final_norm"], x) @ p["embed"].T


def llama3(p, layers, tokens):
    return llama(p, layers, tokens, turn=rope(500_000.0, stretch=wavelength_rule)) @ p["head"]


def mistral(p, layers, tokens):
    return llama(p, layers, tokens, turn=rope(10_000.0), window=5) @ p["head"]


def qwen3(p, layers, tokens):
    return llama(p, layers, tokens, turn=rope(1_000_000.0), norm=partial(rms_norm, epsilon=1e-6)) @ p["embed"].T


def llama(p, layers, tokens, *, turn, window=None, norm=None):
    norm = norm or partial(rms_norm, epsilon=1e-5)
    x = p["embed"][tokens]
    for w in layers:
        x = x + attention(w["attention"], norm(w["attention_norm"], x), turn=turn, window=window)
        x = x + gated_mlp(w["mlp"], norm(w["mlp_norm"], x), gate=lambda x: x * special.expit(x))
    return norm(p["final_norm"], x)


def gemma2(p, layers, tokens):
    how = dict(scale=24**-0.5, cap=2.0, turn=rope(10_000.0))
    x = gemma(p, layers, tokens, [{**how, "window": 4}, {**how, "window": None}, {**how, "window": 4}])
    return 1.5 * np.tanh(x @ p["embed"].T / 1.5)


def gemma3(p, layers, tokens):
    near = dict(turn=rope(10_000.0), window=4)
    far = dict(turn=rope(1_000_000.0, stretch=lambda freq: freq / 8))
    return gemma(p, layers, tokens, [near, near, far, near]) @ p["embed"].T


def gemma(p, layers, tokens, hows):
    norm = partial(rms_norm, epsilon=1e-6)
    x = p["embed"][tokens] * np.sqrt(p["embed"].shape[1])
    for w, how in zip(layers, hows, strict=True):
        h = attention(w["attention"], norm(w["attention_norm"], x), **how)
        x = x + norm(w["attention_post_norm"], h)
        h = gated_mlp(w["mlp"], norm(w["mlp_norm"], x), gate=gelu)
        x = x + norm(w["mlp_post_norm"], h)
    return norm(p["final_norm"], x)


REFERENCES = dict(gpt2=gpt2, llama3=llama3, mistral=mistral, qwen3=qwen3, gemma2=gemma2, gemma3=gemma3)


def layer_norm(w, x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w["scale"] + w["bias"]


def rms_norm(w, x, *, epsilon):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * w["scale"]


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def mlp(w, x):
    return gelu(x @ w["up"]["kernel"] + w["up"]["bias"]) @ w["down"]["kernel"] + w["down"]["bias"]


def gated_mlp(w, x, *, gate):
    return (gate(x @ w["up"]["kernel"][:, 0]) * (x @ w["up"]["kernel"][:, 1])) @ w["down"]["kernel"]


def wavelength_rule(freq, *, factor=8, low=1, high=4, length=64):
    """Llama 3.1's frequencies, by its published rule of wavelengths."""
    wavelength = 2 * np.pi / freq
    if wavelength > length / low:
        return freq / factor
    if wavelength < length / high:
        return freq
    smooth = (length / wavelength - low) / (high - low)
    return (1 - smooth) * freq / factor + smooth * freq


def rope(theta, stretch=lambda freq: freq):
    """-> (a head, its position) -> the head turned, as complex numbers."""

    def turn(x, position):
        half = len(x) // 2
        angles = np.array([position * stretch(theta ** (-2 * i / len(x))) for i in range(half)])
        turned = (x[:half] + 1j * x[half:]) * np.exp(1j * angles)
        return np.concatenate([turned.real, turned.imag])

    return turn


def attention(w, x, *, turn=lambda x, position: x, positions=None, causal=True, window=None, scale=None, cap=None):
    positions = range(len(x)) if positions is None else positions
    bias = lambda name: w[name].get("bias", 0)
    q = np.einsum("LD,DKGH->LKGH", x, w["query"]["kernel"]) + bias("query")
    k = np.einsum("LD,DKH->LKH", x, w["key"]["kernel"]) + bias("key")
    v = np.einsum("LD,DKH->LKH", x, w["value"]["kernel"]) + bias("value")
    if "query_norm" in w:
        q, k = rms_norm(w["query_norm"], q, epsilon=1e-6), rms_norm(w["key_norm"], k, epsilon=1e-6)
    out = np.zeros_like(x)
    for head in np.ndindex(*q.shape[1:3]):
        for i in range(len(x)):
            seen = range(max(0, i - window + 1) if window else 0, i + 1 if causal else len(x))
            turned = turn(q[(i, *head)], positions[i])
            scores = np.array([turned @ turn(k[j, head[0]], positions[j]) for j in seen])
            scores = scores * (scale or q.shape[-1] ** -0.5)
            scores = cap * np.tanh(scores / cap) if cap else scores
            out[i] += special.softmax(scores) @ v[seen, head[0]] @ w["out"]["kernel"][head]
    return out + bias("out")
