"""Our own contender: the loop of `python -m train`, its loader included, and nothing written."""

import atexit
import dataclasses
import shutil
import tempfile
from typing import Any

import jax
from peers.contender import RunSteps

from train import allocator, experiment, hosts, spec
from train.clock import Clock
from train.feeds import prepare


class Silent:
    """Stands where the loop writes, saves and is stopped, so that a round is training alone."""

    def __init__(self):
        self.loss = float("nan")

    def write(self, step, metrics):
        self.loss = metrics.get("train/loss", self.loss)

    def flush(self): ...

    def save(self, *args, **kwargs): ...

    def at(self, step):
        return ""

    def before(self, step, running): ...

    def after(self, step, report): ...


def train(config: dict[str, Any]) -> RunSteps:
    """The loop of this config on one device, continued from round to round."""
    allocator.keep_freed_pages()
    hosts.join()
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = spec.read({**config, "data": {**config["data"], "cache": folder}})
    engine = experiment.engine(run, jax.devices()[:1])
    silent: Any = Silent()
    loop = experiment.loop(
        engine,
        prepare(run, progress=lambda *_: None),
        config={},
        writer=silent,
        clock=Clock(total_steps=10**9),
        checkpoints=silent,
        stop=silent,
        profile=silent,
        on_first_step=lambda _: None,
    )
    with jax.set_mesh(engine.mesh):
        state = engine.fresh_state()
    done = 0

    def run_steps(num_steps: int) -> float:
        nonlocal state, done
        plan = dataclasses.replace(loop.plan, num_steps=done + num_steps)
        with jax.set_mesh(engine.mesh):
            state, _ = dataclasses.replace(loop, plan=plan)(state, start=done, examples=done * run.train.batch_size)
        jax.block_until_ready(state)
        done += num_steps
        return silent.loss

    return run_steps
