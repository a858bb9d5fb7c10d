"""The chains against optax's own and PyTorch's formula, and hyperparameters as values."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train import optimizer
from train.optimizer import Optimizer
from train.schedules import Schedule

PARAMS = {
    "layers": {"kernel": jnp.linspace(-1, 1, 12).reshape(3, 4), "bias": jnp.linspace(0, 1, 4)},
    "norm": {"scale": jnp.ones(4)},
}
GRADS = jax.tree.map(lambda leaf: jnp.cos(leaf * 7) * 3, PARAMS)
CONSTANT = Schedule(name="constant")


def updates(transformation, num_updates: int = 5):
    params, state = PARAMS, transformation.init(PARAMS)
    for _ in range(num_updates):
        changes, state = transformation.update(GRADS, state, params)
        params = optax.apply_updates(params, changes)
    return params


def same(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), one, other)


def test_adamw_equals_optax():
    spec = Optimizer(learning_rate=0.01, weight_decay=0.2, schedule=CONSTANT, clip_norm=0.5)
    mask = {"layers": {"kernel": True, "bias": False}, "norm": {"scale": False}}
    expected = optax.chain(
        optax.clip_by_global_norm(0.5), optax.adamw(0.01, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.2, mask=mask)
    )
    same(updates(optimizer.make(spec, num_steps=10)), updates(expected))


def test_sgd_equals_pytorchs_formula():
    """v = momentum * v + (g + decay * p); p = p - rate * v (torch.optim.SGD's documentation)."""
    spec = Optimizer(
        name="sgd", learning_rate=0.01, weight_decay=0.1, momentum=0.8, clip_norm=0, schedule=CONSTANT, decay_mask="."
    )
    params, velocity = PARAMS, jax.tree.map(jnp.zeros_like, PARAMS)
    for _ in range(5):
        velocity = jax.tree.map(lambda v, g, p: 0.8 * v + g + 0.1 * p, velocity, GRADS, params)
        params = jax.tree.map(lambda p, v: p - 0.01 * v, params, velocity)
    same(updates(optimizer.make(spec, num_steps=10)), params)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_the_schedule_scales_the_rate(name):
    schedule = Schedule(warmup_steps=3, final=0.1)
    spec = Optimizer(name=name, learning_rate=0.5, schedule=schedule, weight_decay=0.0)
    transformation = optimizer.make(spec, num_steps=10)
    flat = optimizer.make(Optimizer(name=name, learning_rate=0.5, schedule=CONSTANT, weight_decay=0.0), num_steps=10)
    state, flat_state = transformation.init(PARAMS), flat.init(PARAMS)
    for step in range(6):
        rate = optimizer.learning_rate(spec, state, num_steps=10)
        assert float(rate) == pytest.approx(0.5 * float(schedule.shape(10)(np.int32(step))))
        changes, state = transformation.update(GRADS, state, PARAMS)
        flat_changes, flat_state = flat.update(GRADS, flat_state, PARAMS)
        same(changes, jax.tree.map(lambda change, rate=rate: change * rate / 0.5, flat_changes))


def test_values_change_without_compiling_again():
    spec = Optimizer(schedule=CONSTANT)
    transformation = optimizer.make(spec, num_steps=10)
    update = jax.jit(transformation.update)
    state = jax.device_put(transformation.init(PARAMS), jax.devices()[0])
    changes, _ = update(GRADS, state, PARAMS)
    other = Optimizer(learning_rate=2e-3, weight_decay=0.0, momentum=0.5, schedule=CONSTANT)
    changed, _ = update(GRADS, optimizer.with_hyperparameters(state, other), PARAMS)
    assert update._cache_size() == 1
    fresh = optimizer.make(other, num_steps=10)
    same(changed, fresh.update(GRADS, fresh.init(PARAMS), PARAMS)[0])
    assert float(jnp.abs(changed["layers"]["kernel"] - changes["layers"]["kernel"]).max()) > 1e-4


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (dict(name="adam"), "optimizer.name: expected one of adamw, sgd, got 'adam'"),
        (dict(learning_rate=-1.0), "optimizer.learning_rate: expected 0 or more"),
        (dict(momentum=1.0), r"optimizer.momentum: expected a number in \[0, 1\)"),
        (dict(decay_mask="("), "optimizer.decay_mask: expected a regex"),
    ],
)
def test_wrong_optimizers(fields, says):
    with pytest.raises(ValueError, match=says):
        Optimizer(**fields)


def test_a_mask_that_finds_nothing():
    with pytest.raises(
        ValueError, match=r"optimizer.decay_mask: expected a regex that finds parameters, got 'weight\$'"
    ):
        optimizer.make(Optimizer(decay_mask="weight$"), num_steps=1).init(PARAMS)
