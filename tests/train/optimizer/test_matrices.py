"""Muon and Adafactor on kernels stacked over layers with several axes a side: what they do to each matrix alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from models import axes
from train import optimizer
from train.optimizer import Adafactor, Muon, muon
from train.optimizer.matrices import Matrix, dims_of_one, matrix
from train.optimizer.schedules import Schedule

SIZES = dict(Y=2, D=8, K=2, G=1, H=3, F=5, T=2, V=7, N=8)
LETTERS = {"query": "YDKGH", "out": "YKGHD", "up": "YDTF", "down": "YFD", "bias": "YTF", "embed": "VD", "scale": "YN"}
AXES = {name: axes.names(letters) for name, letters in LETTERS.items()}
CONSTANT = Schedule(name="constant")


def draw(seed: int):
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(rng.normal(size=[SIZES[letter] for letter in letters]), jnp.float32)
        for name, letters in LETTERS.items()
    }


def unstacked(tree):
    """Each matrix, and each layer's vector, alone: {name: {index: [rows, columns]}}."""
    apart = {name: {} for name in tree}
    for layer in range(SIZES["Y"]):
        apart["query"][layer] = np.asarray(tree["query"])[layer].reshape(8, 6)
        apart["out"][layer] = np.asarray(tree["out"])[layer].reshape(6, 8)
        apart["down"][layer] = np.asarray(tree["down"])[layer]
        apart["scale"][layer] = np.asarray(tree["scale"])[layer]
        for half in range(SIZES["T"]):
            apart["up"][layer, half] = np.asarray(tree["up"])[layer, :, half]
            apart["bias"][layer, half] = np.asarray(tree["bias"])[layer, half]
    apart["embed"][0] = np.asarray(tree["embed"])
    return {f"{name}{index}": jnp.asarray(leaf) for name, leaves in apart.items() for index, leaf in leaves.items()}


def train(transformation, params, shape=lambda tree: tree, num_updates=3):
    @jax.jit
    def move(grads, state, params):
        changes, state = transformation.update(grads, state, params)
        return state, optax.apply_updates(params, changes)

    params = shape(params)
    state = jax.jit(transformation.init)(params)
    for step in range(num_updates):
        state, params = move(shape(draw(step + 1)), state, params)
    return params


@pytest.mark.fast
def test_matrices_are_read_off_logical_axes():
    found = {name: matrix(logical) for name, logical in AXES.items()}
    assert found == {
        "query": Matrix((0,), (1,), (2, 3, 4), is_table=False),
        "out": Matrix((0,), (1, 2, 3), (4,), is_table=False),
        "up": Matrix((0, 2), (1,), (3,), is_table=False),
        "down": Matrix((0,), (1,), (2,), is_table=False),
        "embed": Matrix((), (0,), (1,), is_table=True),
        "bias": None,
        "scale": None,
    }
    assert matrix(axes.names("DV")) == Matrix((), (0,), (1,), is_table=True)
    assert matrix(axes.names("IJCO")) == Matrix((), (0, 1, 2), (3,), is_table=False)
    assert [dims_of_one(AXES[name]) for name in ("query", "bias", "embed")] == [(1, 2, 3, 4), (2,), (0, 1)]


def test_adafactor_equals_optax_on_each_matrix_alone():
    """Clipping and scaling by size too: a layer does not know of the others that it is stored with."""
    spec = Adafactor(learning_rate=0.1, min_size_to_factor=5, clip_norm=0, schedule=CONSTANT, decay_mask="embed")
    found = train(optimizer.make(spec, num_steps=9, axes=AXES), draw(0))
    expected = train(optax.adafactor(0.1, min_dim_size_to_factor=5), draw(0), unstacked)
    for name, leaf in unstacked(found).items():
        np.testing.assert_allclose(leaf, expected[name], rtol=2e-5, atol=1e-6, err_msg=name)


def numpy_muon(grads, *, momentum, steps=5):
    """The update of the last of `grads`, after Jordan's published code (github.com/KellerJordan/Muon), in float64."""
    kept = np.zeros_like(grads[0], np.float64)
    for grad in grads:
        kept = momentum * kept + (1 - momentum) * grad
        x = (1 - momentum) * grad + momentum * kept
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if is_tall else x


def test_muon_equals_jordans_code_on_each_hidden_matrix():
    """Scaled by 0.2 * sqrt(max(rows, columns)) (Liu et al., 2025, equation 4)."""
    spec = Muon(learning_rate=1.0, clip_norm=0, schedule=CONSTANT, weight_decay=0.0, decay_mask="up")
    transformation = optimizer.make(spec, num_steps=9, axes=AXES)
    state = jax.jit(transformation.init)(draw(0))
    update = jax.jit(transformation.update)
    for step in range(3):
        changes, state = update(draw(step + 1), state, draw(0))
    histories = [unstacked(draw(step + 1)) for step in range(3)]
    hidden = [name for name in histories[0] if not name.startswith(("bias", "embed", "scale"))]
    assert len(hidden) == 2 + 2 + 4 + 2
    for name in hidden:
        expected = numpy_muon([np.asarray(grads[name], np.float64) for grads in histories], momentum=0.95)
        expected = -0.2 * np.sqrt(max(expected.shape)) * expected
        np.testing.assert_allclose(unstacked(changes)[name], expected, rtol=2e-4, atol=2e-5, err_msg=name)


def test_muons_other_parameters_are_adamws():
    fields = dict(learning_rate=0.1, clip_norm=0, schedule=CONSTANT, weight_decay=0.2, decay_mask="embed")
    found = train(optimizer.make(Muon(**fields), num_steps=9, axes=AXES), draw(0))
    expected = train(optimizer.make(optimizer.AdamW(**fields), num_steps=9, axes=AXES), draw(0))
    for name in ("bias", "embed", "scale"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, err_msg=name)


@pytest.mark.fast
def test_muon_wants_hidden_matrices():
    params = {name: draw(0)[name] for name in ("bias", "embed", "scale")}
    made = optimizer.make(Muon(decay_mask="embed"), num_steps=9, axes={name: AXES[name] for name in params})
    with pytest.raises(ValueError, match=r"optimizer\.name=muon: expected a model with hidden matrices, got none"):
        made.init(params)


def test_singular_values_come_close_to_one():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 40, 10)), jnp.float32)
    values = np.linalg.svd(muon.newton_schulz(x, steps=5), compute_uv=False)
    assert values.min() > 0.6
    assert values.max() < 1.3


@pytest.mark.fast
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([4], [("data", "fsdp")]),
        ([2, 2], [("data",), ("fsdp",)]),
        ([3, 2], [(), ("data",)]),
        ([], []),
    ],
)
def test_whole_matrices_are_spread_over_the_mesh(sizes, expected):
    assert muon.spread_over(sizes, dict(data=2, fsdp=2, tensor=8)) == expected
