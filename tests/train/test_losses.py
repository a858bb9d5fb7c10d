"""Cross entropy against optax and against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train import losses

LOGITS = np.random.default_rng(0).normal(size=(4, 6, 11)).astype(np.float32) * 3
TARGETS = np.random.default_rng(1).integers(0, 11, (4, 6))


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
