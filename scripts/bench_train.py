"""Our training step beside PyTorch's, for a GPT-2 of the same shape on the same cores.

    make setup-bench
    python scripts/bench_train.py [--rounds=5] [--json=FILE] [--shape=4/128/64/12]

Every contender is a process of its own that waits while another runs: ours (the loop of `python -m train`, its loader
included), PyTorch eager, and PyTorch as fast as we know how to make it (compiled, fused AdamW). All clip by the global
norm, use AdamW in float32, read the loss every tenth step and keep freed pages (`train/allocator.py`). Ratios are taken
within a round: ours to eager, and ours to the faster PyTorch. Last comes the host's own time for a step of 16 layers.
"""

import atexit
import contextlib
import itertools
import json
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from absl import flags
from peers import contender
from peers.contender import Contender, RunSteps

SHAPES = ("4/128/64/12", "6/384/256/8")
HOST_SHAPE = "16/128/64/12"
LOG_EVERY = 10
ROUND_S = 4.0  # seconds of each contender in a round, about


class Shape(NamedTuple):
    """A GPT-2 without biases: heads are 32 wide up to a width of 128, else 64; the MLP is four times as wide."""

    num_layers: int
    model_size: int
    seq_len: int
    batch_size: int
    vocab_size: int = 384  # 257 bytes, padded to a multiple of 128 as `train/spec.py` does

    @classmethod
    def parse(cls, text: str) -> "Shape":
        return cls(*map(int, text.split("/")))

    @property
    def num_heads(self) -> int:
        return self.model_size // (32 if self.model_size <= 128 else 64)

    @property
    def tokens_per_step(self) -> int:
        return self.seq_len * self.batch_size


# --- ours ---


def config(shape: Shape, cache: str) -> dict[str, Any]:
    """A config of `python -m train`."""
    return dict(
        data=dict(
            source="synthetic", num_documents=200, document_bytes=5000, seq_len=shape.seq_len, val_split="", cache=cache
        ),
        model=dict(
            name="transformer",
            num_layers=shape.num_layers,
            model_size=shape.model_size,
            num_heads=shape.num_heads,
            num_kv_heads=shape.num_heads,
            mlp_size=4 * shape.model_size,
            norm="layer",
            positions="learned",
            activation="gelu",
            use_bias=False,
        ),
        objective=dict(name="lm"),
        train=dict(num_steps=10**9, batch_size=shape.batch_size),
        optimizer=dict(name="adamw", learning_rate=1e-3, schedule=dict(name="constant"), clip_norm=1.0),
        log=dict(every=LOG_EVERY),
        checkpoint=dict(every=0),
    )


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


def ours(shape: Shape) -> RunSteps:
    """The loop, continued from round to round."""
    import dataclasses

    import jax

    from train import allocator, experiment, feed, hosts, spec
    from train.clock import Clock

    allocator.keep_freed_pages()
    hosts.join()
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = spec.read(config(shape, folder))
    engine = experiment.engine(run, jax.devices()[:1])
    silent: Any = Silent()
    loop = experiment.loop(
        engine,
        feed.prepare(run, progress=lambda *_: None),
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
            state, _ = dataclasses.replace(loop, plan=plan)(state, start=done, examples=done * shape.batch_size)
        jax.block_until_ready(state)
        done += num_steps
        return silent.loss

    return run_steps


def pytorch(shape: Shape, *, is_compiled: bool) -> RunSteps:
    """The peer's loop. It is imported here, in its own process: PyTorch is in no lock."""
    from peers import torch_gpt

    return torch_gpt.train(shape, is_compiled=is_compiled, log_every=LOG_EVERY)


CONTENDERS: dict[str, Callable[[Shape], RunSteps]] = {
    "ours": ours,
    "eager": partial(pytorch, is_compiled=False),
    "compiled": partial(pytorch, is_compiled=True),
}


# --- the match ---


def match(text: str, *, rounds: int) -> dict[str, Any]:
    """All contenders of one shape in interleaved rounds -> medians, ratios and their spread."""
    shape = Shape.parse(text)
    contenders = {name: Contender([__file__, f"--worker={name}", f"--shape={text}"]) for name in CONTENDERS}
    num_steps = {
        name: max(LOG_EVERY, int(ROUND_S / one.run(LOG_EVERY)["seconds"] * LOG_EVERY))
        for name, one in contenders.items()
    }
    step_s: dict[str, list[float]] = {name: [] for name in contenders}
    cores: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            spent = contenders[name].run(num_steps[name])
            step_s[name].append(spent["seconds"] / num_steps[name])
            cores[name].append(spent["cpu_s"] / spent["seconds"])
    for one in contenders.values():
        one.close()
    median = {name: statistics.median(times) for name, times in step_s.items()}
    fastest = min(("eager", "compiled"), key=lambda name: median[name])
    return {
        "shape": text,
        "step_ms": {name: 1e3 * value for name, value in median.items()},
        "tokens_per_s": {name: shape.tokens_per_step / value for name, value in median.items()},
        "cores_busy": {name: statistics.median(values) for name, values in cores.items()},
        "fastest_torch": fastest,
        **spread("ratio_eager", step_s["eager"], step_s["ours"]),
        **spread("ratio_best", step_s[fastest], step_s["ours"]),
        "flops_per_s": flops_per_step(shape) / median["ours"],
    }


def spread(name: str, theirs_s: Sequence[float], ours_s: Sequence[float]) -> dict[str, Any]:
    """The median of the rounds' ratios of speed, and the least and the greatest of them."""
    ratios = [their_s / our_s for their_s, our_s in zip(theirs_s, ours_s, strict=True)]
    return {name: statistics.median(ratios), f"{name}_spread": [min(ratios), max(ratios)]}


def flops_per_step(shape: Shape) -> float:
    """As `models/count.py` counts them."""
    from models import count
    from train import spec

    run = spec.read(config(shape, ""))
    return count.train_flops(run.model, seq_len=shape.seq_len) * shape.tokens_per_step


def host_ms(shape: Shape, *, num_steps: int = 30) -> float:
    """Milliseconds in which the host sends one step to the devices: the median call of the compiled step."""
    import jax

    from train import experiment, feed, spec

    with tempfile.TemporaryDirectory() as folder:
        run = spec.read(config(shape, folder))
        engine = experiment.engine(run, jax.devices()[:1])
        batches = feed.prepare(run, progress=lambda *_: None).train_batches(engine.mesh, start=0)
        with jax.set_mesh(engine.mesh), contextlib.closing(batches):
            state, _ = engine.train_step(engine.fresh_state(), next(batches), {})
            times = []
            for batch in itertools.islice(batches, num_steps):
                start_s = time.perf_counter()
                state, _ = engine.train_step(state, batch, {})
                times.append(time.perf_counter() - start_s)
                jax.block_until_ready(state)
    return 1e3 * statistics.median(times)


def matmul_ceiling(size: int = 1024, repeats: int = 40) -> float:
    """FLOP/s of a square float32 matmul in XLA: the median of single products."""
    import jax
    import jax.numpy as jnp

    product = jax.jit(jnp.dot)
    x = jnp.ones((size, size), jnp.float32)
    product(x, x).block_until_ready()
    times = []
    for _ in range(repeats):
        start_s = time.perf_counter()
        product(x, x).block_until_ready()
        times.append(time.perf_counter() - start_s)
    return 2 * size**3 / statistics.median(times)


def main(argv: Sequence[str]) -> int:
    values = flags.FlagValues()
    flags.DEFINE_integer("rounds", 5, "interleaved rounds", lower_bound=3, flag_values=values)
    flags.DEFINE_multi_string("shape", list(SHAPES), "layers/width/tokens/batch", flag_values=values)
    flags.DEFINE_string("json", "", "write the figures to this file", flag_values=values)
    flags.DEFINE_enum("worker", None, list(CONTENDERS), "for its own processes", flag_values=values)
    values(["bench_train", *argv])
    if values.worker:
        contender.serve(partial(CONTENDERS[values.worker], Shape.parse(values.shape[0])), warm_up=LOG_EVERY)
        return 0
    from train import allocator, hosts

    allocator.keep_freed_pages()
    hosts.join()
    results = [match(shape, rounds=values.rounds) for shape in values.shape]
    ceiling = matmul_ceiling()
    for result in results:
        result["share_of_matmul"] = result["flops_per_s"] / ceiling
        print(table(result))
    worst = {name: min(result[name] for result in results) for name in ("ratio_eager", "ratio_best")}
    sending_ms = host_ms(Shape.parse(HOST_SHAPE))
    print(f"{HOST_SHAPE}: the host sends a step in {sending_ms:.2f} ms")
    print(f"matmul ceiling {ceiling / 1e9:.0f} GFLOP/s; least ratio_eager {worst['ratio_eager']:.2f}", end=", ")
    print(f"least ratio_best {worst['ratio_best']:.2f}")
    if values.json:
        report = {**worst, "matmul_flops_per_s": ceiling, "host_ms": sending_ms, "shapes": results}
        pathlib.Path(values.json).write_text(json.dumps(report, indent=2) + "\n")
    return 0


def table(result: dict[str, Any]) -> str:
    lines = [f"{result['shape']} (layers/width/tokens/batch)      ms a step     tokens/s   cores busy"]
    for name in CONTENDERS:
        step_ms, rate, busy = (result[key][name] for key in ("step_ms", "tokens_per_s", "cores_busy"))
        lines.append(f"  {name:<38} {step_ms:>12.1f} {rate:>12,.0f} {busy:>12.2f}")
    for name in ("ratio_eager", "ratio_best"):
        least, greatest = result[f"{name}_spread"]
        lines.append(f"  {name:<12} {result[name]:.3f} ({least:.3f} to {greatest:.3f})")
    lines.append(f"  {result['flops_per_s'] / 1e9:.1f} GFLOP/s, {result['share_of_matmul']:.2f} of a plain matmul's")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
