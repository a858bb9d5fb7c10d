"""The step: accumulation, skipping, dropout and hyperparameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_runs as runs


def close(one, other, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), jax.device_get(one), jax.device_get(other))


@pytest.mark.parametrize(("num_devices", "accumulation"), [(1, 2), (1, 4), (8, 2)])
def test_accumulation_equals_the_large_batch(num_devices, accumulation):
    """Dropout included: masks belong to rows of the global batch."""
    changes = {"num_devices": num_devices, "model__dropout": 0.2, "optimizer__name": "sgd"}
    whole, reports = runs.train(runs.engine(**changes), num_steps=2)
    pieces, piece_reports = runs.train(runs.engine(**changes, train__accumulation=accumulation), num_steps=2)
    close(reports, piece_reports, rtol=2e-5, atol=1e-5)
    close(whole["params"], pieces["params"], rtol=1e-4, atol=1e-6)


def test_a_step_that_is_not_finite_changes_nothing_but_the_counters():
    engine = runs.engine()
    state, _ = runs.train(engine, num_steps=2)
    poisoned = runs.host_batch(engine, 2)
    poisoned["weights"][3, 3] = np.inf
    before = jax.device_get(state)
    with jax.set_mesh(engine.mesh):
        state, report = engine.train_step(state, runs.place(engine, poisoned), {})
    assert not report.is_finite
    assert (int(state["step"]), int(state["skipped"]), int(report.num_skipped)) == (3, 1, 1)
    jax.tree.map(np.testing.assert_array_equal, before["params"], jax.device_get(state["params"]))
    jax.tree.map(np.testing.assert_array_equal, before["opt_state"], jax.device_get(state["opt_state"]))
    state, reports = runs.train(engine, num_steps=1, state=state)
    assert reports[0].is_finite
    assert int(state["skipped"]) == 1


def test_a_batch_without_weight_is_no_disaster():
    engine = runs.engine()
    empty = {name: jnp.zeros_like(rows) for name, rows in runs.random_batch(engine).items()}
    with jax.set_mesh(engine.mesh):
        _, report = engine.train_step(engine.fresh_state(), empty, {})
    assert report.is_finite
    assert float(report.sums.counts["loss"]) == 0


def test_training_learns():
    _, reports = runs.train(runs.engine(optimizer__schedule={"warmup_steps": 0}), num_steps=30, same_batch=True)
    first, last = (report.sums.totals["loss"] / report.sums.counts["loss"] for report in (reports[0], reports[-1]))
    assert first == pytest.approx(np.log(384), abs=0.3)
    assert last < first - 1.5


def test_dropout_differs_by_step_and_is_off_in_evaluation():
    engine = runs.engine(model__dropout=0.5, optimizer__learning_rate=0.0)
    state, reports = runs.train(engine, num_steps=2, same_batch=True)
    assert reports[0].sums.totals["loss"] != reports[1].sums.totals["loss"]
    with jax.set_mesh(engine.mesh):
        one, other = (engine.eval_step(state["params"], {}, runs.random_batch(engine), {}) for _ in range(2))
    assert one.totals["nll"] == other.totals["nll"]


def test_rate_and_decay_are_inputs_of_the_compiled_step():
    from train import optimizer
    from train.optimizer import AdamW

    engine = runs.engine()
    state, _ = runs.train(engine, num_steps=1)
    changed = optimizer.with_hyperparameters(state["opt_state"], AdamW(learning_rate=0.0, weight_decay=0.0))
    before = jax.device_get(state["params"])
    state, reports = runs.train(engine, num_steps=1, state={**state, "opt_state": changed})
    assert engine.train_step._cache_size() == 1
    assert float(reports[0].learning_rate) == 0
    jax.tree.map(np.testing.assert_array_equal, before, jax.device_get(state["params"]))
