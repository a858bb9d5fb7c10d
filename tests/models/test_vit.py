"""Vision Transformers beside their slow form in numpy, the published sizes, and what their configs refuse."""

import dataclasses

import families
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import attention, gated_mlp, layer_norm, rms_norm
from flax import nnx
from scipy import special
from vision import draw, make, run

from models.layers import patches
from models.layers.dropout import drop_rows
from models.vit import ViT, ViTConfig

SIZES = dict(num_layers=2, model_size=32, num_heads=4, mlp_size=48, num_outputs=5, norm_epsilon=1e-5)
TOKEN = ViTConfig(**SIZES, patch_shape=(4, 4), num_registers=2, input_shape=(8, 12, 3))
ROPE = ViTConfig(
    **dict(SIZES, norm_epsilon=1e-6, patch_shape=(2, 3), input_shape=(6, 9, 1), num_kv_heads=2),
    **dict(norm="rms", activation="swiglu", use_bias=False, qk_norm=True, positions="rope", pool="mean"),
)
SPECTROGRAM = ViTConfig(
    **dict(SIZES, patch_shape=(4, 4), patch_stride=(3, 2), input_shape=(12, 9), positions="sin_cos", activation="gelu")
)


def cut(image, shape, stride):
    """Patches of [rows, columns, channels], one at a time."""
    tops = range(0, image.shape[0] - shape[0] + 1, stride[0])
    lefts = range(0, image.shape[1] - shape[1] + 1, stride[1])
    corners = [(top, left) for top in tops for left in lefts]
    return np.array([image[top : top + shape[0], left : left + shape[1]].ravel() for top, left in corners]), [
        (top // stride[0], left // stride[1]) for top, left in corners
    ]


def gelu(x):
    return x * (1 + special.erf(x / np.sqrt(2))) / 2


def token_reference(p, layers, image):
    pieces, _ = cut(image, (4, 4), (4, 4))
    seen = np.concatenate([p["tokens"][2:], pieces @ p["patches"]["kernel"] + p["patches"]["bias"]]) + p["positions"]
    x = np.concatenate([p["tokens"][:2], seen])
    for w in layers:
        x = x + attention(w["attention"], layer_norm(w["attention_norm"], x), causal=False)
        h = gelu(layer_norm(w["mlp_norm"], x) @ w["mlp"]["up"]["kernel"] + w["mlp"]["up"]["bias"])
        x = x + h @ w["mlp"]["down"]["kernel"] + w["mlp"]["down"]["bias"]
    return layer_norm(p["final_norm"], x)[2] @ p["head"]["kernel"] + p["head"]["bias"]


def rope_reference(p, layers, image):
    pieces, positions = cut(image, (2, 3), (2, 3))
    norm = lambda w, x: rms_norm(w, x, epsilon=1e-6)
    x = pieces @ p["patches"]["kernel"]
    for w in layers:
        how = dict(turn=turn, positions=positions, causal=False)
        x = x + attention(w["attention"], norm(w["attention_norm"], x), **how)
        x = x + gated_mlp(w["mlp"], norm(w["mlp_norm"], x), gate=lambda x: x * special.expit(x))
    return norm(p["final_norm"], x).mean(axis=0) @ p["head"]["kernel"] + p["head"]["bias"]


def turn(head, position):
    """Heads of eight: pairs 0 and 1 by the row, 2 and 3 by the column, each by 1 and by 100 ** -0.5 radians a step."""
    row, column = position
    turned = (head[:4] + 1j * head[4:]) * np.exp(1j * np.array([row, row / 10, column, column / 10]))
    return np.concatenate([turned.real, turned.imag])


def spectrogram_reference(p, layers, spectrogram):
    pieces, places = cut(spectrogram[:, :, None], (4, 4), (3, 2))
    speeds = 10_000 ** -(np.arange(8) / 8)
    waves = [[wave(at * speeds) for at in place for wave in (np.sin, np.cos)] for place in places]
    x = pieces @ p["patches"]["kernel"] + p["patches"]["bias"] + np.reshape(waves, (len(places), 32))
    x = np.concatenate([p["tokens"], x])
    for w in layers:
        x = x + attention(w["attention"], layer_norm(w["attention_norm"], x), causal=False)
        x = x + families.mlp(w["mlp"], layer_norm(w["mlp_norm"], x))
    return layer_norm(p["final_norm"], x)[0] @ p["head"]["kernel"] + p["head"]["bias"]


REFERENCES = {"token": (TOKEN, token_reference), "rope": (ROPE, rope_reference)}
REFERENCES |= {"spectrogram": (SPECTROGRAM, spectrogram_reference)}


@pytest.mark.parametrize("name", REFERENCES)
def test_equals_the_reference(name):
    config, reference = REFERENCES[name]
    model, images = make(config), draw(config)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    layers = [jax.tree.map(lambda leaf, layer=layer: leaf[layer], params["layers"]) for layer in range(2)]
    expected = np.array([reference(params, layers, image.astype(np.float64)) for image in images])
    np.testing.assert_allclose(run(model, images), expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.1


def count(config: ViTConfig) -> int:
    abstract = nnx.eval_shape(lambda: ViT(config, rngs=nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(abstract, nnx.Param)))


@pytest.mark.fast
@pytest.mark.parametrize(
    ("shape", "num_params"),
    [((12, 192, 3), 5_717_416), ((12, 384, 6), 22_050_664), ((12, 768, 12), 86_567_656), ((24, 1024, 16), 304_326_632)],
    ids=["Ti", "S", "B", "L"],
)
def test_published_sizes(shape, num_params):
    """Of Ti, S, B and L with patches of 16 at 224 pixels and 1000 classes, as timm and torchvision count them."""
    names = ("num_layers", "model_size", "num_heads")
    sizes = dict(zip(names, shape, strict=True), mlp_size=4 * shape[1], num_outputs=1000)
    assert count(ViTConfig(**sizes, input_shape=(224, 224, 3))) == num_params


def test_a_fresh_model_has_hardly_an_opinion_and_its_weights_the_right_spread():
    config = dataclasses.replace(TOKEN, model_size=256, num_heads=4, head_size=0, init_std=0.05)
    model = ViT(config, rngs=nnx.Rngs(0))
    assert 0 < np.abs(run(model, draw(config))).max() < 0.7, "features of size 1, 256 of them, times 0.01"
    np.testing.assert_allclose(model.patches.kernel[...].std(), 48**-0.5, rtol=0.05)
    np.testing.assert_allclose(model.positions[...].std(), 0.05, rtol=0.1)
    np.testing.assert_allclose(model.layers.attention.query.kernel[...].std(), 0.05, rtol=0.05)
    np.testing.assert_allclose(model.layers.mlp.down.kernel[...].std(), 0.05 / 2, rtol=0.05)
    tokens = np.asarray(model.tokens[...])
    assert np.abs(tokens[0] - tokens[1]).max() > 0.01, "registers that begin alike would stay alike"


@pytest.mark.fast
def test_rows_as_tokens_and_what_attention_sees():
    rows = dataclasses.replace(TOKEN, input_shape=(28, 28, 1), patch_shape=(1, 28), patch_stride=())
    assert (rows.grid, rows.patch_size, rows.attention_shape) == ((28, 1), 28, (31, 8))
    assert SPECTROGRAM.grid == (3, 3)  # a ninth mel is left over
    ast = dataclasses.replace(TOKEN, input_shape=(1024, 128), patch_shape=(16, 16), patch_stride=(10, 10))
    assert ast.grid == (101, 12), "as in Gong et al., 2021, section 2.1"
    assert dataclasses.replace(ROPE, input_shape=(16, 24, 1)).attention_shape == (64, 8)


@pytest.mark.fast
def test_positions_of_two_axes():
    np.testing.assert_array_equal(patches.grid_positions((2, 3)), [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
    table = patches.sin_cos((5, 4), 64)
    assert table.shape == (20, 64)
    likeness = (table @ table[6]).reshape(5, 4)  # of the patch in row 1, column 2 with each
    assert likeness.argmax() == 6
    assert likeness[1, 1] > likeness[1, 0]
    assert likeness[2, 2] > likeness[3, 2] > likeness[4, 2]


def test_stochastic_depth_drops_whole_rows_and_keeps_the_mean():
    keys_B = jax.random.split(jax.random.key(0), 4000)
    found = np.asarray(drop_rows(jnp.ones((4000, 2, 3)), keys_B, rate=0.25))
    by_row = found.reshape(4000, 6)
    assert (by_row == by_row[:, :1]).all()
    np.testing.assert_allclose(np.unique(found), [0, 1 / 0.75], rtol=1e-6)
    assert abs(found.mean() - 1) < 0.04
    np.testing.assert_array_equal(drop_rows(jnp.asarray(found), keys_B, rate=jnp.float32(0)), found)
    np.testing.assert_allclose(
        dataclasses.replace(TOKEN, num_layers=5, stochastic_depth=0.4).skip_rates(), [0, 0.1, 0.2, 0.3, 0.4], rtol=1e-6
    )


@pytest.mark.fast
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(patch_shape=(5, 4), patch_stride=()), r"model.patch_shape: expected divisors of the \(8, 12\) of an"),
        (dict(patch_shape=(16, 4)), r"model.patch_shape: .* got \(16, 4\); crop or pad in data.transforms"),
        (dict(patch_shape=(4,)), r"model.patch_shape: expected rows and columns, both at least 1, got \(4,\)"),
        (dict(patch_stride=(0, 1)), r"model.patch_stride: expected rows and columns, both at least 1, got \(0, 1\)"),
        (dict(input_shape=(16_000,)), r"model.name: .* expects \[rows, columns, channels\] .* of shape \(16000,\)"),
        (dict(pool="max"), "model.pool: expected one of token, mean, got 'max'"),
        (dict(positions="sine"), "model.positions: expected one of learned, sin_cos, rope, got 'sine'"),
        (dict(positions="rope", head_size=6), "model.head_size: positions='rope' expect a multiple of 4, got 6"),
        (dict(positions="sin_cos", model_size=30), "model.model_size: positions='sin_cos' expect a multiple of 4"),
        (dict(num_registers=-1), "model.num_registers: expected 0 or more, got -1"),
        (dict(num_kv_heads=3), "model.num_kv_heads: expected a divisor of model.num_heads=4"),
        (dict(activation="elu"), "model.activation: expected one of gelu, gelu_exact, relu"),
    ],
)
def test_wrong_configs(change, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(TOKEN, **change)
