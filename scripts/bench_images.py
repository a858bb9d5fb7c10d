"""Pictures a second of the image pipeline beside a PyTorch DataLoader with the same Pillow calls.

    make setup-bench; python scripts/bench_images.py [--rounds=7] [--sizes=224,96] [--workers=0,1,2]

Both decode JPEGs from memory, resize the shorter side, crop at random, flip and normalise, and give float32 batches, in
turn, in one run, at equal numbers of worker processes. The ratio is told twice: of time on the clock, and of processor
time with that of the workers, which other work on the machine disturbs less. Before that, grey pictures of 28 pixels,
which lie in memory, through ours alone.
"""

import io
import multiprocessing
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from absl import flags

from input_pipeline import batch, loader
from input_pipeline.transforms.parse import parse
from train import allocator

BATCH = 32
NUM_PICTURES = 128
BUFFERED = 12  # batches that are drawn untimed in each round: more than either side makes ahead
TIMED_S = 3.0  # of each side and round, about
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Crop -> the shorter side before it, and the least and greatest side of the files: about ImageNet's proportions.
SIZES = {224: (256, 300, 500), 96: (112, 120, 200)}


def jpeg(rng: np.random.Generator, height: int, width: int) -> bytes:
    """A picture whose spectrum falls off as 1 / f, as photographs' do (D. Field, 1987), at quality 85."""
    from PIL import Image

    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    falling = 1 / np.maximum(np.hypot(down, across), 1 / max(height, width))
    noise = rng.normal(size=(4, *falling.shape)) * np.exp(2j * np.pi * rng.uniform(size=(4, *falling.shape)))
    grey, *colours = np.fft.irfft2(noise * falling, s=(height, width))
    levels = np.stack([grey + 0.4 * each for each in colours], axis=-1)
    levels = 128 + 50 * (levels - levels.mean()) / levels.std()
    file = io.BytesIO()
    Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def jpegs(low: int, high: int) -> list[bytes]:
    rng = np.random.default_rng(0)
    sides = rng.integers(low, high, (NUM_PICTURES, 2)).tolist()
    return [jpeg(rng, height, width) for height, width in sides]


@dataclass(frozen=True)
class Rows:
    """Inputs that lie in memory, over and over, as the loader reads them."""

    inputs: Any
    shape: tuple[int, ...]  # after the transforms
    fingerprint = "bench"

    def __len__(self) -> int:
        return 10**6

    @property
    def contract(self) -> batch.Contract:
        return batch.labelled(self.shape, labels=batch.Field(np.dtype(np.int32), ()))

    def read(self, indices_B: np.ndarray) -> batch.Batch:
        places = indices_B % len(self.inputs)
        inputs = self.inputs[places] if isinstance(self.inputs, np.ndarray) else [self.inputs[i] for i in places]
        return {"inputs": inputs, "labels": places.astype(np.int32), "weights": np.ones(len(places), np.float32)}


def ours(rows: Rows, line: str, *, batch_size: int, workers: int) -> loader.Batches:
    part = loader.Part("", rows, transforms=parse(line, modality="image").rows)
    return loader.train_batches(
        [part], seed=0, batch_size=batch_size, row_range=(0, batch_size), start=0, workers=workers
    )


@dataclass(frozen=True)
class Pictures:
    """A torch Dataset: one picture, made as our line makes it."""

    raws: list[bytes]
    shorter: int
    crop: int

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        from PIL import Image

        rng = np.random.default_rng(i)
        image = Image.open(io.BytesIO(self.raws[i % len(self.raws)])).convert("RGB")
        scale = self.shorter / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
        left, top = rng.integers(0, image.width - self.crop + 1), rng.integers(0, image.height - self.crop + 1)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        levels = np.asarray(image, np.float32) / 255
        mean, std = (np.array(each, np.float32) for each in IMAGENET)
        return (levels - mean) / std, i % len(self.raws)


def peer(raws: list[bytes], shorter: int, crop: int, *, workers: int) -> Iterator[Any]:
    import torch

    torch.set_num_threads(1)
    return iter(
        torch.utils.data.DataLoader(
            Pictures(raws, shorter, crop), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=workers
        )
    )


def started() -> set[int]:
    """The processes that this one has started."""
    return {child.pid for child in multiprocessing.active_children() if child.pid}


def processor_s(workers: Iterable[int]) -> float:
    """Of this process and of these workers."""
    pids = [os.getpid(), *workers]
    stats = [pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(ticks) for stat in stats for ticks in stat[11:13]) / os.sysconf("SC_CLK_TCK")


def seconds(batches: Iterator[Any], count: int, workers: Iterable[int] = ()) -> tuple[float, float]:
    """-> time on the clock and processor time for `count` batches, once those that were made ahead of time are gone."""
    for _ in range(BUFFERED):
        next(batches)
    clock_s, work_s = time.perf_counter(), processor_s(workers)
    for _ in range(count):
        next(batches)
    return time.perf_counter() - clock_s, processor_s(workers) - work_s


def ratio(ours_s: Sequence[float], theirs_s: Sequence[float]) -> str:
    ratios = sorted(peer_s / our_s for our_s, peer_s in zip(ours_s, theirs_s, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def compare(crop: int, workers: int, *, rounds: int) -> None:
    shorter, low, high = SIZES[crop]
    raws = jpegs(low, high)
    line = f"decode|resize({shorter})|random_crop({crop})|flip_lr|normalize{IMAGENET}"
    theirs = peer(raws, shorter, crop, workers=workers)
    of_theirs = started()
    with ours(Rows(raws, (crop, crop, 3)), line, batch_size=BATCH, workers=workers) as batches:
        next(batches)  # all workers run
        count = max(6, round(TIMED_S / (seconds(theirs, 4)[0] / 4)))
        of_ours = started() - of_theirs
        times = [(*seconds(batches, count, of_ours), *seconds(theirs, count, of_theirs)) for _ in range(rounds)]
    our_clock, our_work, peer_clock, peer_work = zip(*times, strict=True)
    rates = [BATCH * count / statistics.median(side) for side in (our_clock, peer_clock)]
    told = f"{ratio(our_clock, peer_clock):<22} {ratio(our_work, peer_work)}"
    print(f"{crop:>6} {workers:>8} {rates[0]:>15,.0f} {rates[1]:>15,.0f}    {told}", flush=True)


def small(rounds: int) -> None:
    """Fashion-MNIST's shape."""
    grey = np.random.default_rng(0).integers(0, 256, (10_000, 28, 28, 1), dtype=np.uint8)
    with ours(Rows(grey, (28, 28, 1)), "random_crop(28, 2)|flip_lr|normalize", batch_size=128, workers=0) as batches:
        rates = [128 * 200 / seconds(batches, 200)[0] for _ in range(rounds)]
    print(
        f"28 pixels, grey, batch 128: {statistics.median(rates):,.0f} rows/s ({min(rates):,.0f} to {max(rates):,.0f})"
    )


def main(argv: Sequence[str]) -> int:
    values = flags.FlagValues()
    flags.DEFINE_integer("rounds", 7, "interleaved rounds", lower_bound=3, flag_values=values)
    flags.DEFINE_list("sizes", ["224", "96"], "crops", flag_values=values)
    flags.DEFINE_list("workers", ["0", "1", "2"], "worker processes", flag_values=values)
    values(["bench_images", *argv])
    allocator.keep_freed_pages()  # as training does
    small(values.rounds)
    print(f"pixels  workers   pictures/s ours pictures/s peer    {'ratio (least, greatest)':<22} of processor time")
    for crop in map(int, values.sizes):
        for workers in map(int, values.workers):
            compare(crop, workers, rounds=values.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
