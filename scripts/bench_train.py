"""Our training step beside PyTorch's, for a GPT-2 of the same shape on the same cores.

    make setup-bench
    python scripts/bench_train.py [--rounds=5] [--json=FILE] [--shape=4/128/64/12]

Every contender is a process of its own that waits while another runs: ours (the loop of `python -m train`, its loader
included), PyTorch eager, and PyTorch as fast as we know how to make it (compiled, fused AdamW). All clip by the global
norm, use AdamW in float32, read the loss every tenth step and keep freed pages (`train/allocator.py`). Ratios are taken
within a round: ours to eager, and ours to the faster PyTorch. Last comes the host's own time for a step of 16 layers.
"""

import contextlib
import itertools
import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from absl import flags
from peers import contender, match
from peers.contender import Contender, RunSteps

SHAPES = ("4/128/64/12", "6/384/256/8")
HOST_SHAPE = "16/128/64/12"
LOG_EVERY = 10
ROUND_S = 4.0  # seconds of each contender in a round, about
TORCH = ("eager", "compiled")


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


def config(shape: Shape, cache: str = "") -> dict[str, Any]:
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


def ours(shape: Shape) -> RunSteps:
    """The loop, continued from round to round."""
    from peers import ours

    return ours.train(config(shape))


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


def compare(text: str, *, rounds: int) -> dict[str, Any]:
    """All contenders of one shape in interleaved rounds -> medians, ratios and their spread."""
    shape = Shape.parse(text)
    contenders = {name: Contender([__file__, f"--worker={name}", f"--shape={text}"]) for name in CONTENDERS}
    found = match.play(contenders, rounds=rounds, round_s=ROUND_S, trial=LOG_EVERY).medians(torch=TORCH)
    step_ms = found["step_ms"]
    return {
        "shape": text,
        **found,
        "tokens_per_s": {name: 1e3 * shape.tokens_per_step / value for name, value in step_ms.items()},
        "flops_per_s": 1e3 * flops_per_step(shape) / step_ms["ours"],
    }


def flops_per_step(shape: Shape) -> float:
    """As `models/count.py` counts them."""
    from models import count
    from train import spec

    run = spec.read(config(shape, ""))
    return count.train_flops(run.model, seq_len=shape.seq_len) * shape.tokens_per_step


def host_ms(shape: Shape, *, num_steps: int = 30) -> float:
    """Milliseconds in which the host sends one step to the devices: the median call of the compiled step."""
    import jax

    from train import experiment, spec
    from train.feeds import prepare

    with tempfile.TemporaryDirectory() as folder:
        run = spec.read(config(shape, folder))
        engine = experiment.engine(run, jax.devices()[:1])
        batches = prepare(run, progress=lambda *_: None).train_batches(engine.mesh, start=0)
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
    results = [compare(shape, rounds=values.rounds) for shape in values.shape]
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
