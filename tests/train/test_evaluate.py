"""Evaluation is exact over uneven ends, against the model's own numbers in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_runs as runs

from train.durations import Cadence
from train.evaluate import Evaluator, Reading
from train.objectives import OBJECTIVES
from train.objectives.objective import Context


@pytest.mark.parametrize("num_devices", [1, 8])
def test_sums_over_uneven_batches_equal_the_whole(num_devices):
    engine = runs.engine(num_devices=num_devices)
    state, _ = runs.train(engine, num_steps=1)
    batches = [runs.host_batch(engine, seed) for seed in range(3)]
    batches[2]["weights"][5:] = 0  # the last batch is filled up
    evaluator = Evaluator(
        cadence=Cadence(),
        split="val",
        eval_step=engine.eval_step,
        batches=lambda: (runs.place(engine, batch) for batch in batches),
        objective=OBJECTIVES["lm"](),
        constants={},
        context=Context(bytes_per_token=2.5),
        explain=lambda rows: pytest.fail("a language model keeps no rows"),
    )
    params = state["params"]
    with jax.set_mesh(engine.mesh):
        reading = evaluator(state)
    assert evaluator.found(reading, step=1) is None
    found = reading.metrics
    nll, correct, weights = reference(engine, jax.device_get(params), batches)
    loss = (nll * weights).sum() / weights.sum()
    assert found["loss"] == pytest.approx(loss, rel=1e-6)
    assert found["perplexity"] == pytest.approx(np.exp(loss), rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(loss / np.log(2) / 2.5, rel=1e-6)
    assert found["accuracy"] == pytest.approx((correct * weights).sum() / weights.sum(), abs=1e-12)


def reference(engine, params, batches):
    """-> nll, correct, weights of every position, from logits on one device."""
    rows = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    tokens, positions, segments = (jnp.asarray(rows[name]) for name in ("tokens", "positions", "segment_ids"))
    logits = engine.definition.bind(jax.tree.map(jnp.asarray, params))(
        tokens, positions_BL=positions, segments_BL=segments
    )
    logits = np.asarray(logits, np.float64)
    log_z = np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1)
    nll = log_z - np.take_along_axis(logits, rows["targets"][..., None], -1)[..., 0]
    return nll, logits.argmax(-1) == rows["targets"], rows["weights"].astype(np.float64)


@pytest.mark.fast
def test_a_reading_s_rows_are_those_that_count_in_their_order():
    parts = [
        {"scores": np.arange(6.0).reshape(3, 2), "weights": np.ones(3)},
        {"scores": np.arange(6.0, 12).reshape(3, 2), "weights": np.array([1, 0, 0])},
    ]
    rows = Reading({}, parts).rows()
    np.testing.assert_array_equal(rows["scores"], np.arange(8.0).reshape(4, 2))
    assert Reading({}, [{}, {}]).rows() == {}
