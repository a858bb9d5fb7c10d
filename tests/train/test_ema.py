"""The average of the parameters, against a loop in numpy; evaluated, saved, begun late."""

import jax
import numpy as np
import pytest
import tiny_runs as runs

from scripts import sample
from train import inference, session, spec
from train.checkpoint import Checkpoint, Checkpoints
from train.ema import Ema

SMALL = dict(data__seq_len=16, model__layer_loop="scan")


@pytest.mark.parametrize(("warmup", "dtype", "rtol"), [(True, "float32", 1e-5), (False, "bfloat16", 2**-8)])
def test_it_equals_a_loop_in_numpy_and_skipped_steps_leave_it(warmup, dtype, rtol):
    """XLA may average bfloat16 parameters as they were before they were rounded."""
    mesh = dict(num_devices=8, mesh__data=2, mesh__fsdp=2, mesh__tensor=2)
    engine = runs.engine(ema=dict(decay=0.6, warmup=warmup), precision=dict(params=dtype), **SMALL, **mesh)
    state, _ = runs.train(engine, num_steps=0)
    average = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.device_get(state["params"]))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * 1e-2)
    jax.tree.map(close, jax.device_get(state["ema"]), average)
    num_updates = 0
    for step in range(5):
        batch = runs.host_batch(engine, step)
        if step == 2:
            batch["weights"][0, 0] = np.inf
        with jax.set_mesh(engine.mesh):
            state, report = engine.train_step(state, runs.place(engine, batch), {})
        if report.is_finite:
            decay = min(0.6, (1 + num_updates) / (10 + num_updates)) if warmup else 0.6
            params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.device_get(state["params"]))
            average = jax.tree.map(lambda old, new, d=decay: d * old + (1 - d) * new, average, params)
            num_updates += 1
        jax.tree.map(close, jax.device_get(state["ema"]), average)
    assert num_updates == 4
    for leaf, param in zip(jax.tree.leaves(state["ema"]), jax.tree.leaves(state["params"]), strict=True):
        assert leaf.dtype == np.float32
        assert leaf.sharding.is_equivalent_to(param.sharding, leaf.ndim)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(ema={"decay": 1.0}), r"ema.decay: expected 0 \(no average\) or a number below 1, got 1.0"),
        (dict(eval={"val": {"params": "ema"}}), "eval.val.params: 'ema' needs an average of the parameters"),
        (dict(eval={"val": {"params": "emma"}}), "eval.val.params: expected one of trained, ema, got 'emma'"),
        (dict(sample__params="ema"), "sample.params: 'ema' needs an average of the parameters, and ema.decay is 0"),
    ],
)
def test_mistakes(changes, says):
    with pytest.raises(ValueError, match=says):
        spec.read(spec.complete(runs.config(**changes)))


def test_a_run_that_begins_to_average_and_ceases_again(tmp_path, capsys):
    """Evaluated and sampled by its average, which starts from the parameters of the step that it goes on from."""

    def train(num_steps, *arguments):
        config = f"--config={runs.CONFIGS / 'lm_tiny.py'}:tiny"
        small = {"model.num_layers": 1, "data.num_documents": 16, "sample.num_tokens": 4, "train.num_steps": num_steps}
        small = [f"--config.{field}={value}" for field, value in small.items()]
        assert session.main([config, f"--workdir={tmp_path}", *small, *arguments]) == 0
        return capsys.readouterr().out

    both = ("--config.eval.val.params=ema", "--config.sample.params=ema")
    train(4)
    assert "starts from the parameters of step 4" in train(6, "--config.ema.decay=0.999", *both)
    averaged = inference.load(tmp_path, params="ema").model.embed[...]
    with Checkpoints(tmp_path / "checkpoints", Checkpoint()) as checkpoints:
        metadata = checkpoints.read_metadata(6)
    assert {"ema/embed", "params/embed"} <= set(metadata["leaves"])
    assert np.abs(averaged - inference.load(tmp_path).model.embed[...]).max() > 1e-4
    assert sample.main([f"--workdir={tmp_path}", "--params=ema", "--num_tokens=3"]) == 0
    assert "changed since step 6: ema.decay: 0.999 -> 0.0" in train(8)
    assert sample.main([f"--workdir={tmp_path}", "--params=ema"]) == 2
    assert "--params: 'ema' needs an average" in capsys.readouterr().err


@pytest.mark.fast
def test_an_average_has_memory_of_its_own():
    params = {"w": jax.numpy.ones(3)}
    started = Ema(decay=0.9).start(params)
    assert started["w"].unsafe_buffer_pointer() != params["w"].unsafe_buffer_pointer()
