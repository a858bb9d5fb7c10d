"""Our training step beside PyTorch's, for a GPT-2 of the same shape on the same cores.

    make setup-bench
    python scripts/bench_train.py [--rounds=7] [--json=FILE] [--shape=4/128/64/12]

Every contender is a process of its own that waits while another runs: ours (the loop of `python -m train`, its loader
included), PyTorch eager, and PyTorch as fast as we know how to make it (compiled, fused AdamW). All clip by the global norm,
use AdamW in float32, read the loss every tenth step and keep freed pages (`train/allocator.py`). Ratios are taken within
a round: ours to eager, and ours to the faster PyTorch.
"""

import contextlib
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from absl import flags

VOCAB_SIZE = 384  # 257 bytes, padded to a multiple of 128 as `train/spec.py` does
SHAPES = ("4/128/64/12", "6/384/256/8")
LOG_EVERY = 10
ROUND_S = 4.0  # seconds of each contender in a round, about


class Shape(NamedTuple):
    """A GPT-2 without biases: heads are 32 wide up to a width of 128, else 64; the MLP is four times as wide."""

    num_layers: int
    model_size: int
    seq_len: int
    batch_size: int

    @classmethod
    def parse(cls, text: str) -> "Shape":
        return cls(*map(int, text.split("/")))

    @property
    def num_heads(self) -> int:
        return self.model_size // (32 if self.model_size <= 128 else 64)

    @property
    def tokens_per_step(self) -> int:
        return self.seq_len * self.batch_size


RunSteps = Callable[[int], float]  # a number of steps -> the last loss


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

    from train import allocator, experiment, hosts, spec
    from train.clock import Clock

    allocator.keep_freed_pages()
    hosts.join()
    folder = tempfile.TemporaryDirectory()
    run = spec.read(config(shape, folder.name))
    engine = experiment.engine(run, jax.devices()[:1])
    silent: Any = Silent()
    loop = experiment.loop(
        engine,
        experiment.feed(run, progress=lambda *_: None),
        config={},
        writer=silent,
        clock=Clock(total_steps=10**9),
        checkpoints=silent,
        stop=silent,
        profile=silent,
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

    run_steps.keep = folder  # type: ignore[attr-defined]
    return run_steps


# --- PyTorch ---


def torch_gpt(shape: Shape):
    """A GPT-2 in PyTorch, with its own fused attention."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    linear = partial(nn.Linear, bias=False)
    norm = partial(nn.LayerNorm, shape.model_size, bias=False)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            size = shape.model_size
            self.norm_1, self.norm_2 = norm(), norm()
            self.qkv, self.out = linear(size, 3 * size), linear(size, size)
            self.up, self.down = linear(size, 4 * size), linear(4 * size, size)

        def forward(self, x):
            batch, length, size = x.shape
            split = lambda t: t.view(batch, length, shape.num_heads, -1).transpose(1, 2)
            q, k, v = map(split, self.qkv(self.norm_1(x)).split(size, dim=2))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, size))
            return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(VOCAB_SIZE, shape.model_size)
            self.positions = nn.Embedding(shape.seq_len, shape.model_size)
            self.blocks = nn.ModuleList(Block() for _ in range(shape.num_layers))
            self.norm = norm()
            nn.init.normal_(self.embed.weight, std=0.02)
            nn.init.normal_(self.positions.weight, std=0.02)

        def forward(self, tokens, targets):
            x = self.embed(tokens) + self.positions(torch.arange(tokens.shape[1]))
            for block in self.blocks:
                x = block(x)
            logits = F.linear(self.norm(x), self.embed.weight)
            return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return Gpt()


def torch_steps(shape: Shape, *, is_compiled: bool) -> RunSteps:
    """PyTorch's usual loop: a batch of random windows, backward, clip, AdamW."""
    import torch

    from train import allocator

    allocator.keep_freed_pages()
    torch.manual_seed(0)
    model = torch_gpt(shape)
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=decayed, weight_decay=0.1), dict(params=others, weight_decay=0.0)]
    fused = dict(fused=True) if is_compiled else {}
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), **fused)
    loss_of = torch.compile(model) if is_compiled else model
    text = np.random.default_rng(0).integers(0, 64, 1_000_000).astype(np.uint16)
    rng = np.random.default_rng(1)

    def batch():
        starts = rng.integers(0, len(text) - shape.seq_len - 1, shape.batch_size)
        rows = np.stack([text[start : start + shape.seq_len + 1] for start in starts]).astype(np.int64)
        return torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, 1:])

    def run_steps(num_steps: int) -> float:
        read = float("nan")
        for step in range(1, num_steps + 1):
            loss = loss_of(*batch())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % LOG_EVERY == 0:
                read = loss.item()
        return read

    return run_steps


CONTENDERS: dict[str, Callable[[Shape], RunSteps]] = {
    "ours": ours,
    "eager": lambda shape: torch_steps(shape, is_compiled=False),
    "compiled": lambda shape: torch_steps(shape, is_compiled=True),
}


# --- the match ---


def serve(name: str, shape: Shape) -> None:
    """A contender's process: a number of steps comes in on each line, seconds go out."""
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        run_steps = CONTENDERS[name](shape)
        run_steps(LOG_EVERY)
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        start_s, start_cpu_s = time.perf_counter(), cpu_s()
        loss = run_steps(int(line))
        spent = dict(seconds=time.perf_counter() - start_s, cpu_s=cpu_s() - start_cpu_s, loss=loss)
        print(json.dumps(spent), file=out, flush=True)


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Contender:
    """A contender's process as seen from here."""

    def __init__(self, name: str, shape: str):
        command = [sys.executable, __file__, f"--worker={name}", f"--shape={shape}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        if self._out.readline().strip() != "ready":
            raise RuntimeError(f"{name} did not start; PyTorch comes with `make setup-bench`")

    def run(self, num_steps: int) -> dict[str, float]:
        print(num_steps, file=self._in, flush=True)
        return json.loads(self._out.readline())

    def close(self) -> None:
        self._in.close()
        self._process.wait()


def match(text: str, *, rounds: int) -> dict[str, Any]:
    """All contenders of one shape in interleaved rounds -> medians, ratios and their spread."""
    shape = Shape.parse(text)
    contenders = {name: Contender(name, text) for name in CONTENDERS}
    num_steps = {name: max(LOG_EVERY, int(ROUND_S / one.run(20)["seconds"] * 20)) for name, one in contenders.items()}
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
    flags.DEFINE_integer("rounds", 7, "interleaved rounds", lower_bound=3, flag_values=values)
    flags.DEFINE_multi_string("shape", list(SHAPES), "layers/width/tokens/batch", flag_values=values)
    flags.DEFINE_string("json", "", "write the figures to this file", flag_values=values)
    flags.DEFINE_enum("worker", None, list(CONTENDERS), "for its own processes", flag_values=values)
    values(["bench_train", *argv])
    if values.worker:
        serve(values.worker, Shape.parse(values.shape[0]))
        return 0
    results = [match(shape, rounds=values.rounds) for shape in values.shape]
    ceiling = matmul_ceiling()
    for result in results:
        result["share_of_matmul"] = result["flops_per_s"] / ceiling
        print(table(result))
    worst = {name: min(result[name] for result in results) for name in ("ratio_eager", "ratio_best")}
    print(f"matmul ceiling {ceiling / 1e9:.0f} GFLOP/s; least ratio_eager {worst['ratio_eager']:.2f}", end=", ")
    print(f"least ratio_best {worst['ratio_best']:.2f}")
    if values.json:
        report = {**worst, "matmul_flops_per_s": ceiling, "shapes": results}
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
