"""Our training step beside PyTorch's, for a plain convolutional network of the same shape on the same cores.

    make setup-bench
    python scripts/bench_cnn.py [--rounds=5] [--json=FILE] [--shape=32,64,128/batch/128]

As `scripts/bench_train.py`: every contender is a process of its own that waits while another runs: ours (the loop of
`python -m train`, its loader included), PyTorch eager, PyTorch with channels last, and that compiled; the last two with
the fused AdamW. All clip by the global norm, use AdamW in float32, read the loss every tenth step and keep freed pages.
The images are noise of 28 x 28 pixels in memory, the same for all.
"""

import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from peers import contender, match
from peers.contender import Contender, RunSteps

SHAPES = ("32,64/none/128", "32,64,128/batch/128")
LOG_EVERY = 10
ROUND_S = 4.0  # seconds of each contender in a round, about
TORCH = ("eager", "channels_last", "compiled")


class Shape(NamedTuple):
    """3 x 3 convolutions of these channels, each with a norm or none, ReLU and max pooling; then a dense layer."""

    channels: tuple[int, ...]
    norm: str
    batch_size: int
    image_size: int = 28
    num_classes: int = 10

    @classmethod
    def parse(cls, text: str) -> "Shape":
        channels, norm, batch_size = text.split("/")
        return cls(tuple(map(int, channels.split(","))), norm, int(batch_size))


def images(shape: Shape, *, num_images: int = 8192) -> tuple[np.ndarray, np.ndarray]:
    """Noise: inputs [N, H, W, 1] and labels [N]."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((num_images, shape.image_size, shape.image_size, 1), np.float32)
    return inputs, rng.integers(0, shape.num_classes, num_images).astype(np.int32)


def source(data: Any, *, progress: Any) -> Any:
    """The same as a source of ours (`data.source="bench_cnn:source"`)."""
    from input_pipeline.labelled.examples import Examples, InMemory, digests_of

    inputs, labels = images(Shape((), "none", 0))
    names = [f"noise-{number:06d}" for number in range(len(inputs))]
    return Examples(reader=InMemory(inputs), labels=labels, names=names, digests=digests_of(inputs), classes=())


def config(shape: Shape) -> dict[str, Any]:
    """A config of `python -m train`."""
    return dict(
        data=dict(
            modality="image",
            source="bench_cnn:source",
            shape=(shape.image_size, shape.image_size, 1),
            num_classes=shape.num_classes,
            train_split="train",
            val_split="",
        ),
        model=dict(name="cnn", channels=shape.channels, norm=shape.norm),
        objective=dict(name="classify"),
        train=dict(num_steps=10**9, batch_size=shape.batch_size),
        optimizer=dict(name="adamw", learning_rate=1e-3, schedule=dict(name="constant"), clip_norm=1.0),
        log=dict(every=LOG_EVERY),
        checkpoint=dict(every=0),
    )


def ours(shape: Shape) -> RunSteps:
    from peers import ours

    return ours.train(config(shape))


def pytorch(shape: Shape, **how: bool) -> RunSteps:
    """The peer's loop. It is imported here, in its own process: PyTorch is in no lock."""
    from peers import torch_cnn

    return torch_cnn.train(shape, images(shape), log_every=LOG_EVERY, **how)


CONTENDERS: dict[str, Callable[[Shape], RunSteps]] = {
    "ours": ours,
    "eager": partial(pytorch, is_fast=False, is_compiled=False),
    "channels_last": partial(pytorch, is_fast=True, is_compiled=False),
    "compiled": partial(pytorch, is_fast=True, is_compiled=True),
}


def compare(text: str, *, rounds: int) -> dict[str, Any]:
    """All contenders of one shape -> medians, ratios and their spread."""
    contenders = {name: Contender([__file__, f"--worker={name}", f"--shape={text}"]) for name in CONTENDERS}
    times = match.play(contenders, rounds=rounds, round_s=ROUND_S, trial=LOG_EVERY)
    return {"shape": text, **times.medians(torch=TORCH)}


def main(argv: Sequence[str]) -> int:
    values = flags.FlagValues()
    flags.DEFINE_integer("rounds", 5, "interleaved rounds", lower_bound=3, flag_values=values)
    flags.DEFINE_multi_string("shape", list(SHAPES), "channels/norm/batch", flag_values=values)
    flags.DEFINE_string("json", "", "write the figures to this file", flag_values=values)
    flags.DEFINE_enum("worker", None, list(CONTENDERS), "for its own processes", flag_values=values)
    values(["bench_cnn", *argv])
    if values.worker:
        contender.serve(partial(CONTENDERS[values.worker], Shape.parse(values.shape[0])), warm_up=LOG_EVERY)
        return 0
    results = [compare(shape, rounds=values.rounds) for shape in values.shape]
    for result in results:
        print(table(result))
    if values.json:
        pathlib.Path(values.json).write_text(json.dumps({"shapes": results}, indent=2) + "\n")
    return 0


def table(result: dict[str, Any]) -> str:
    images_per_step = Shape.parse(result["shape"]).batch_size
    lines = [f"{result['shape']} (channels/norm/batch)         ms a step     images/s   cores busy"]
    for name in CONTENDERS:
        step_ms, busy = result["step_ms"][name], result["cores_busy"][name]
        lines.append(f"  {name:<38} {step_ms:>12.1f} {1e3 * images_per_step / step_ms:>12,.0f} {busy:>12.2f}")
    for name in ("ratio_eager", "ratio_best"):
        least, greatest = result[f"{name}_spread"]
        lines.append(f"  {name:<12} {result[name]:.3f} ({least:.3f} to {greatest:.3f})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
