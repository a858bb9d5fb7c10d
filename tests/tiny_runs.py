"""Small runs for the engine's tests: engines of `lm_tiny.py:tiny`, random batches, a few steps."""

import copy
import functools
import pathlib

import jax
import numpy as np

from train import command_line, config_flags, experiment, spec
from train.experiment import Engine
from train.parallel import mesh as meshes

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"


@functools.cache
def _whole() -> dict:
    return spec.complete(config_flags.load(f"{CONFIGS / 'lm_tiny.py'}:tiny"))


def config(**changes) -> dict:
    """The whole config of `lm_tiny.py:tiny`; `train__num_steps=3` changes `train.num_steps`.

    Another `optimizer__name` brings its own fields and defaults.
    """
    made = copy.deepcopy(_whole())
    if "optimizer__name" in changes:
        made = spec.complete(command_line.choose(made, "optimizer", changes.pop("optimizer__name"))[0])
    for path, value in changes.items():
        *sections, name = path.split("__")
        functools.reduce(dict.__getitem__, sections, made)[name] = value
    return made


def engine(*, num_devices: int = 1, **changes) -> Engine:
    """The engine of a tiny run on the first devices; two layers and short rows unless told otherwise."""
    changes = {"model__num_layers": 2, "data__seq_len": 32, **changes}
    return experiment.engine(spec.read(config(**changes)), jax.devices()[:num_devices])


def host_batch(engine: Engine, seed: int = 0) -> dict[str, np.ndarray]:
    """Two documents of random tokens a row; a tenth of the targets count nothing."""
    run = engine.run
    shape = (run.train.batch_size, run.data.seq_len)
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 257, (shape[0], shape[1] + 1))
    half = shape[1] // 2
    return {
        "tokens": tokens[:, :-1].astype(np.int32),
        "targets": tokens[:, 1:].astype(np.int32),
        "segment_ids": np.broadcast_to(np.arange(shape[1]) // half + 1, shape).astype(np.int32),
        "positions": np.broadcast_to(np.arange(shape[1]) % half, shape).astype(np.int32),
        "weights": (rng.random(shape) > 0.1).astype(np.float32),
    }


def place(engine: Engine, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    return meshes.place_batch(engine.mesh, batch, engine.run.train.batch_size)


def random_batch(engine: Engine, seed: int = 0) -> dict[str, jax.Array]:
    return place(engine, host_batch(engine, seed))


def train(engine: Engine, *, num_steps: int, state=None, same_batch: bool = False):
    """-> (state, the reports of each step)."""
    reports = []
    with jax.set_mesh(engine.mesh):
        state = engine.fresh_state() if state is None else state
        for step in range(num_steps):
            state, report = engine.train_step(state, random_batch(engine, 0 if same_batch else step), {})
            reports.append(jax.device_get(report))
    return state, reports
