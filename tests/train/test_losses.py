"""Losses against optax, scikit-learn, printed numbers of PyTorch and definitions written slowly in float64.

Gradients are compared with central differences of the float64 definitions.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special
from sklearn import metrics

from train import losses

LOGITS = np.random.default_rng(0).normal(size=(4, 6, 11)).astype(np.float32) * 3
TARGETS = np.random.default_rng(1).integers(0, 11, (4, 6))
HUGE = np.array([-1e9, -1e4, -90.0, -20.0, 0.0, 20.0, 90.0, 1e4, 1e9], np.float32)

# What torch.nn.functional of PyTorch 2.13 gives for these.
TORCH_LOGITS = np.array([[1.5, -0.5, 0.25], [-2.0, 0.75, 3.0], [0.0, 0.5, -1.0]], np.float32)
TORCH_WEIGHTS = (0.5, 1.0, 3.0)


def test_nll_equals_optax():
    values = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(TARGETS))
    expected = optax.softmax_cross_entropy_with_integer_labels(LOGITS, TARGETS)
    np.testing.assert_allclose(values.nll, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(values.loss, values.nll)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_equals_optax(smoothing):
    values = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(TARGETS), label_smoothing=smoothing)
    labels = optax.smooth_labels(jax.nn.one_hot(TARGETS, 11), smoothing)
    np.testing.assert_allclose(values.loss, optax.softmax_cross_entropy(LOGITS, labels), rtol=1e-5)


def test_z_loss_is_the_square_of_log_z():
    plain = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(TARGETS))
    values = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(TARGETS), z_loss=0.01)
    log_z = np.log(np.exp(LOGITS.astype(np.float64)).sum(-1))
    np.testing.assert_allclose(values.loss - plain.loss, 0.01 * log_z**2, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(values.nll, plain.nll)


def test_correct_is_the_first_greatest():
    values = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(TARGETS))
    np.testing.assert_array_equal(values.correct, LOGITS.argmax(-1) == TARGETS)
    flat = losses.cross_entropy(jnp.zeros((3, 4)), jnp.array([0, 1, 2]))
    np.testing.assert_array_equal(flat.correct, [True, False, False])


def test_huge_logits_stay_finite():
    values = losses.cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([1]))
    np.testing.assert_allclose(values.loss, [2e4])


def central_differences(function, x, step=1e-6):
    """The gradient of a float64 function of an array, one number at a time."""
    x = np.asarray(x, np.float64)
    slopes = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        slopes[index] = (function(x + moved) - function(x - moved)) / (2 * step)
    return slopes


def assert_same(loss, reference, x, **tolerance):
    """Values of each row, and the gradient of their sum, equal those of a slow float64 definition."""
    tolerance = {"rtol": 1e-5, "atol": 1e-6, **tolerance}
    np.testing.assert_allclose(loss(jnp.asarray(x)), reference(np.asarray(x, np.float64)), **tolerance)
    found = jax.grad(lambda x: jnp.sum(loss(x)))(jnp.asarray(x))
    np.testing.assert_allclose(found, central_differences(lambda x: reference(x).sum(), x), **tolerance)


def slow_softmax_loss(logits, shares, *, smoothing=0.0, weights=None, gamma=0.0):
    weights = np.ones(logits.shape[-1]) if weights is None else weights
    rows = []
    for row, share in zip(logits, shares, strict=True):
        p = special.softmax(row)
        smoothed = [(1 - smoothing) * q + smoothing / len(row) for q in share]
        rows.append(sum(w * q * (1 - c) ** gamma * -np.log(c) for w, q, c in zip(weights, smoothed, p, strict=True)))
    return np.array(rows)


@pytest.mark.parametrize(
    "fields",
    [
        dict(),
        dict(label_smoothing=0.2),
        dict(class_weights=TORCH_WEIGHTS),
        dict(focal_gamma=2.0),
        dict(focal_gamma=0.5, label_smoothing=0.1, class_weights=TORCH_WEIGHTS),
    ],
    ids=str,
)
@pytest.mark.parametrize("mixed", [False, True], ids=["classes", "distributions"])
def test_softmax_losses_equal_their_definition(fields, mixed):
    shares = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.6, 0.4]]) if mixed else np.eye(3)[[2, 0, 1]]
    targets = jnp.asarray(shares, jnp.float32) if mixed else jnp.array([2, 0, 1])
    names = dict(label_smoothing="smoothing", class_weights="weights", focal_gamma="gamma")
    slow = {names[field]: value for field, value in fields.items()}
    assert_same(
        lambda logits: losses.cross_entropy(logits, targets, **fields).loss,
        lambda logits: slow_softmax_loss(logits, shares, **slow),
        TORCH_LOGITS,
    )


def test_class_weights_equal_pytorchs():
    weigh = lambda targets: losses.cross_entropy(
        jnp.asarray(TORCH_LOGITS), targets, class_weights=TORCH_WEIGHTS, label_smoothing=0.1
    )
    np.testing.assert_allclose(weigh(jnp.array([2, 0, 1])).loss, [4.56972980, 2.47210336, 0.79267049], rtol=1e-6)
    mixed = weigh(jnp.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.6, 0.4]]))
    np.testing.assert_allclose(mixed.loss, [3.07379723, 2.47210360, 2.84764457], rtol=1e-6)
    np.testing.assert_array_equal(mixed.correct, [False, False, True])


def test_distributions_equal_optax():
    shares = special.softmax(np.random.default_rng(2).normal(size=LOGITS.shape) * 2, axis=-1).astype(np.float32)
    values = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(shares))
    np.testing.assert_allclose(values.nll, optax.softmax_cross_entropy(LOGITS, shares), rtol=1e-5)
    np.testing.assert_array_equal(values.correct, LOGITS.argmax(-1) == shares.argmax(-1))
    plain = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(TARGETS), label_smoothing=0.1, z_loss=0.1)
    certain = losses.cross_entropy(jnp.asarray(LOGITS), jax.nn.one_hot(TARGETS, 11), label_smoothing=0.1, z_loss=0.1)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6), plain, certain)


SIGMOID_LABELS = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.25], [0.0, 0.0, 0.0]], np.float32)


def slow_sigmoid_loss(logits, labels, *, smoothing=0.0, weights=(1.0, 1.0, 1.0), gamma=0.0):
    rows = np.zeros(len(logits))
    for (row, label), x in np.ndenumerate(logits):
        p, weight = special.expit(x), weights[label]
        y = (1 - smoothing) * labels[row, label] + smoothing / 2
        rows[row] -= weight * y * (1 - p) ** gamma * np.log(p) + (1 - y) * p**gamma * np.log(1 - p)
    return rows / logits.shape[1]


@pytest.mark.parametrize(
    "fields",
    [
        dict(),
        dict(label_smoothing=0.2),
        dict(positive_weights=TORCH_WEIGHTS),
        dict(focal_gamma=2.0),
        dict(focal_gamma=0.5, label_smoothing=0.1, positive_weights=TORCH_WEIGHTS),
    ],
    ids=str,
)
def test_sigmoid_losses_equal_their_definition(fields):
    names = dict(label_smoothing="smoothing", positive_weights="weights", focal_gamma="gamma")
    slow = {names[field]: value for field, value in fields.items()}
    assert_same(
        lambda logits: losses.sigmoid_cross_entropy(logits, jnp.asarray(SIGMOID_LABELS), **fields).loss,
        lambda logits: slow_sigmoid_loss(logits, SIGMOID_LABELS, **slow),
        TORCH_LOGITS,
    )


def test_sigmoid_losses_equal_optax_pytorch_and_scikit_learn():
    logits, labels = jnp.asarray(TORCH_LOGITS), jnp.asarray(SIGMOID_LABELS)
    weighted = losses.sigmoid_cross_entropy(logits, labels, positive_weights=TORCH_WEIGHTS)
    np.testing.assert_allclose(weighted.loss, [0.76753396, 0.94555998, 0.66016197], rtol=1e-6)
    hard = jnp.round(labels)
    focal = losses.sigmoid_cross_entropy(logits, hard, focal_gamma=1.5)
    np.testing.assert_allclose(focal.loss, optax.sigmoid_focal_loss(logits, hard, gamma=1.5).mean(-1), rtol=1e-5)
    column = losses.sigmoid_cross_entropy(logits.reshape(-1, 1), hard.reshape(-1, 1))
    expected = metrics.log_loss(np.ravel(hard), special.expit(np.ravel(TORCH_LOGITS).astype(np.float64)))
    assert float(column.nll.mean()) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(weighted.correct, [1.0, 2 / 3, 2 / 3])


PREDICTIONS = np.array([[0.5, -2.0], [3.0, 0.25], [1.0, 100.0]], np.float32)
NUMBERS = np.array([[0.0, 1.0], [3.5, 0.75], [1.5, -7.0]], np.float32)
REGRESSION = {
    "mse": (losses.squared_error, lambda errors: errors**2),
    "mae": (losses.absolute_error, np.abs),
    "huber": (losses.huber, lambda errors: np.vectorize(lambda e: e**2 / 2 if abs(e) <= 1 else abs(e) - 0.5)(errors)),
    "huber, 0.6": (
        lambda *rows: losses.huber(*rows, delta=0.6),
        lambda errors: np.vectorize(lambda e: e**2 / 2 if abs(e) <= 0.6 else 0.6 * (abs(e) - 0.3))(errors),
    ),
}


@pytest.mark.parametrize("name", REGRESSION)
def test_losses_of_regression_equal_their_definition(name):
    loss, slow = REGRESSION[name]
    assert_same(
        lambda predictions: loss(predictions, jnp.asarray(NUMBERS)),
        lambda predictions: slow(predictions - NUMBERS).mean(-1),
        PREDICTIONS,
        rtol=1e-4,
    )


def test_losses_of_regression_equal_scikit_learn_and_optax():
    predictions, numbers = jnp.asarray(PREDICTIONS), jnp.asarray(NUMBERS)
    for loss, expected in [
        (losses.squared_error, metrics.mean_squared_error),
        (losses.absolute_error, metrics.mean_absolute_error),
    ]:
        assert float(loss(predictions, numbers).mean()) == pytest.approx(expected(NUMBERS, PREDICTIONS), rel=1e-6)
    expected = optax.huber_loss(PREDICTIONS, NUMBERS, delta=0.6).mean(-1)
    np.testing.assert_allclose(losses.huber(predictions, numbers, delta=0.6), expected, rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_at_huge_logits_values_and_gradients_are_finite(gamma):
    """And right where they are simple: a sure answer costs nothing, a wrong one its distance."""
    two = jnp.stack([jnp.asarray(HUGE), jnp.zeros(len(HUGE))], axis=-1)
    softmax = lambda x: losses.cross_entropy(x, jnp.zeros(len(HUGE), jnp.int32), focal_gamma=gamma).loss
    yes = lambda x: losses.sigmoid_cross_entropy(x, jnp.ones((len(HUGE), 1)), focal_gamma=gamma).loss
    for loss, logits in [(softmax, two), (yes, jnp.asarray(HUGE)[:, None])]:
        np.testing.assert_allclose(loss(logits)[:2], [1e9, 1e4])
        np.testing.assert_allclose(loss(logits)[-3:], 0, atol=1e-30)
        slopes = jax.grad(lambda x, loss=loss: jnp.sum(loss(x)))(logits)
        assert np.isfinite(slopes).all()
        np.testing.assert_allclose(slopes[:2, 0], -1, rtol=1e-5)
        np.testing.assert_allclose(slopes[-3:], 0, atol=1e-12)


def test_losses_are_float32_whatever_comes():
    logits, labels = jnp.ones((2, 3), jnp.bfloat16), jnp.ones((2, 3), jnp.bfloat16)
    assert losses.cross_entropy(logits, jnp.array([0, 1])).loss.dtype == jnp.float32
    for values in (losses.sigmoid_cross_entropy(logits, labels).correct, losses.huber(logits, labels)):
        assert values.dtype == jnp.float32
