"""L1 by soft thresholds: the lasso's own zeros, on every optimizer, mesh and dtype; and the share that is told."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny_runs as runs
from sklearn.linear_model import Lasso

from train import command_line, experiment, optimizer, overview, spec
from train.optimizer import OPTIMIZERS, Sgd
from train.optimizer.groups import Group
from train.optimizer.schedules import Schedule

CONSTANT = Schedule(name="constant")
SIZES = {"bias": (8,), "kernel": (16, 8)}
AXES = {"bias": ("norm",), "kernel": ("embed", "norm")}
NUM_ROWS, NUM_FEATURES, STRENGTH = 64, 16, 0.2


@functools.cache
def problem():
    """Twelve of sixteen features have nothing to do with the target."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(NUM_ROWS, NUM_FEATURES)) + 0.5 * rng.normal(size=(NUM_ROWS, 1))
    truth = np.concatenate([[3.0, -2.0, 1.0, 0.4], np.zeros(12)])
    numbers = inputs @ truth + 1.5 + 0.5 * rng.normal(size=NUM_ROWS)
    return inputs.astype(np.float32), numbers.astype(np.float32)[:, None]


def lasso_run(*, mesh=(1, 1, 1), momentum=0.0):
    """scikit-learn's 1 / (2 n) |y - Xw|^2 + a |w|_1 is half of this: a mean square, and L1 of 2 a."""
    return spec.read(
        {
            "data": {
                "modality": "table",
                "source": "synthetic",
                "kind": "sequences",
                "shape": (NUM_FEATURES,),
                "labels": "numbers",
                "num_targets": 1,
            },
            "model": {"name": "linear:Linear"},
            "objective": {"name": "regress"},
            "optimizer": {
                "name": "sgd",
                "learning_rate": 0.05,
                "momentum": momentum,
                "clip_norm": 0.0,
                "l1": 2 * STRENGTH / (1 - momentum),
                "schedule": {"name": "constant"},
            },
            "train": {"num_steps": 10, "batch_size": NUM_ROWS},
            "mesh": dict(zip(("data", "fsdp", "tensor"), mesh, strict=True)),
        }
    )


@functools.cache
def train(*, mesh=(1, 1, 1), momentum=0.0, num_steps=300):
    """-> (parameters, the last report) of full batches."""
    engine = experiment.engine(lasso_run(mesh=mesh, momentum=momentum), jax.devices()[: int(np.prod(mesh))])
    inputs, numbers = problem()
    batch = {"inputs": inputs, "labels": numbers, "weights": np.ones(NUM_ROWS, np.float32)}
    with jax.set_mesh(engine.mesh):
        state, placed = engine.fresh_state(), runs.place(engine, batch)
        for _ in range(num_steps):
            state, report = engine.train_step(state, placed, {})
    return jax.device_get((state["params"], report))


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_sgd_solves_the_lasso(momentum):
    """With momentum the updates are 1 / (1 - m) times the gradient, and so is the L1 that matches."""
    params, report = train(momentum=momentum)
    inputs, numbers = problem()
    expected = Lasso(alpha=STRENGTH, tol=1e-10, max_iter=100_000).fit(inputs.astype(np.float64), numbers[:, 0])
    weights = params["kernel"][:, 0]
    np.testing.assert_array_equal(weights == 0, expected.coef_ == 0)
    assert 6 <= (weights == 0).sum() <= 12
    np.testing.assert_allclose(weights, expected.coef_, atol=1e-3)
    np.testing.assert_allclose(params["bias"], expected.intercept_, atol=1e-3)
    assert report.zero_fraction == pytest.approx(np.mean(weights == 0))


def test_the_same_zeros_on_a_mesh():
    params, report = train(num_steps=30)
    found, found_report = train(mesh=(2, 2, 2), num_steps=30)
    assert 0 < report.zero_fraction < 1
    np.testing.assert_array_equal(found["kernel"] == 0, params["kernel"] == 0)
    np.testing.assert_allclose(found["kernel"], params["kernel"], atol=1e-6)
    assert found_report.zero_fraction == report.zero_fraction


def move(spec, params, grads, *, axes=AXES, num_updates=1):
    transformation = optimizer.make(spec, num_steps=10, axes=axes)

    @jax.jit
    def step(state, params):
        updates, state = transformation.update(grads, state, params)
        return state, optax.apply_updates(params, updates)

    state = jax.jit(transformation.init)(params)
    for _ in range(num_updates):
        state, params = step(state, params)
    return params


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lands_on_zeros(name, dtype):
    """One step moves each weight as without L1, and then by the threshold towards zero, never past it."""
    rng = np.random.default_rng(0)
    draw = lambda dtype: {name: jnp.asarray(rng.normal(size=size) * 0.1, dtype) for name, size in SIZES.items()}
    params, grads = draw(dtype), draw(jnp.float32)
    fields = dict(learning_rate=0.01, schedule=CONSTANT, weight_decay=0.1, decay_mask="kernel$")
    plain = move(OPTIMIZERS[name](**fields), params, grads)
    found = move(OPTIMIZERS[name](**fields, l1=5.0), params, grads)
    moved = np.asarray(plain["kernel"], np.float64)
    expected = np.sign(moved) * np.maximum(np.abs(moved) - 0.05, 0)
    is_clear = np.abs(np.abs(moved) - 0.05) > 2e-3
    np.testing.assert_array_equal((np.asarray(found["kernel"]) == 0)[is_clear], (expected == 0)[is_clear])
    assert 10 < (expected == 0).sum() < 118
    np.testing.assert_allclose(
        np.asarray(found["kernel"], np.float64), expected, atol=1e-6 if dtype == jnp.float32 else 2e-3
    )
    np.testing.assert_array_equal(found["bias"], plain["bias"])


def test_schedule_groups_and_frozen_parameters():
    """The threshold goes with the rate, as told by schedule and group, and with a group's decay."""
    params = {"bias": jnp.ones(2), "kernel": jnp.full((2, 2), 1.0)}
    still = jax.tree.map(jnp.zeros_like, params)
    fields = dict(learning_rate=0.1, l1=1.0, decay_mask=".", clip_norm=0.0)
    halves = Schedule(name="linear", final=0.0)  # 1, 0.9, 0.8, ... of the rate
    group = lambda **factors: {"some": Group(params="kernel", **factors)}
    taken = lambda spec, **more: 1 - float(move(spec, params, still, **more)["kernel"][0, 0])
    assert taken(Sgd(schedule=CONSTANT, **fields), num_updates=2) == pytest.approx(0.2)
    assert taken(Sgd(schedule=halves, **fields), num_updates=2) == pytest.approx(
        0.1 * np.sum(halves.shape(10)(jnp.arange(2)))
    )
    assert taken(Sgd(schedule=CONSTANT, groups=group(rate=0.5), **fields)) == pytest.approx(0.05)
    assert taken(Sgd(schedule=CONSTANT, groups=group(decay=0.3), **fields)) == pytest.approx(0.03)
    frozen = Sgd(schedule=CONSTANT, groups=group(rate=0.0), **fields)
    assert taken(frozen) == 0
    assert optimizer.sparse(frozen, AXES) == ("bias",)
    assert optimizer.sparse(Sgd(groups=group(decay=0.0), **fields), AXES) == ("bias",)
    assert "under L1: 1 arrays, 2 parameters" in overview.optimizer_lines(frozen, params, AXES)
    assert optimizer.sparse(Sgd(), AXES) == ()


def test_a_skipped_step_leaves_the_zeros_alone():
    engine = runs.engine(optimizer__name="adamw", optimizer__l1=0.1, optimizer__learning_rate=0.01)
    state, reports = runs.train(engine, num_steps=3)
    assert 0 < reports[0].zero_fraction < reports[2].zero_fraction < 1
    poisoned = runs.host_batch(engine)
    poisoned["weights"][3, 3] = np.inf
    with jax.set_mesh(engine.mesh):
        _, report = engine.train_step(state, runs.place(engine, poisoned), {})
    assert not report.is_finite
    assert report.zero_fraction == reports[2].zero_fraction


@pytest.mark.fast
def test_a_config_may_say_it():
    path = f"--config={runs.CONFIGS / 'lm_tiny.py'}:tiny"
    whole, _ = command_line.parse([path, "--config.optimizer.l1=1e-3"])
    assert spec.read(whole).optimizer.l1 == 1e-3
    with pytest.raises(ValueError, match=r"optimizer.l1: expected 0 or more, got -1"):
        Sgd(l1=-1.0)
