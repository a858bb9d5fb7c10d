"""Batches a second of the text loader beside a peer: nanoGPT's way, a bare gather of random windows from a memmap.

    python scripts/bench_pipeline.py [--rounds=7]

Both make [batch, seq_len] inputs and targets from the same tokens, in turn, in one run. The peer shuffles nothing,
resumes nothing and lets attention cross documents: the ratio is what order, segments and positions cost.
"""

import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
from absl import flags

NUM_DOCUMENTS, DOCUMENT_BYTES = 400, 20_000
SHAPES = ((12, 64), (16, 128), (64, 1024), (256, 1024))  # batch, seq_len


def peer(tokens: np.ndarray, batch: int, seq_len: int, num_batches: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(num_batches):
        starts = rng.integers(0, len(tokens) - seq_len - 1, batch)
        np.stack([tokens[start : start + seq_len].astype(np.int64) for start in starts])
        np.stack([tokens[start + 1 : start + 1 + seq_len].astype(np.int64) for start in starts])


def ours(rows, batch: int, num_batches: int) -> None:
    from input_pipeline import loader

    parts = [loader.Part("", rows)]
    with loader.train_batches(parts, seed=0, batch_size=batch, row_range=(0, batch), start=0, workers=0) as batches:
        for _ in range(num_batches):
            next(batches)


def seconds(work: Callable[[], None]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def main(argv: Sequence[str]) -> int:
    from input_pipeline import packing, sources, token_store
    from input_pipeline.spec import Data
    from input_pipeline.tokenizer import Bytes
    from train import allocator

    values = flags.FlagValues()
    flags.DEFINE_integer("rounds", 7, "interleaved rounds", lower_bound=3, flag_values=values)
    values(["bench_pipeline", *argv])
    allocator.keep_freed_pages()  # as training does
    data = Data(seq_len=64, source="synthetic", num_documents=NUM_DOCUMENTS, document_bytes=DOCUMENT_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        cache_dir = pathlib.Path(folder)
        store = token_store.build(sources.open_source(data), tokenizer=Bytes(), cache_dir=cache_dir)
        print("batch x seq_len    rows/s ours    rows/s peer    ratio (median, least, greatest)")
        for batch, seq_len in SHAPES:
            rows = packing.plan_rows(store, seq_len=seq_len, packing="concat", cache_dir=cache_dir)
            num_batches = max(20, 2**21 // (batch * seq_len))
            times = []
            for _ in range(values.rounds):
                our_s = seconds(lambda: ours(rows, batch, num_batches))  # noqa: B023
                peer_s = seconds(lambda: peer(store.tokens, batch, seq_len, num_batches))  # noqa: B023
                times.append((our_s, peer_s))
            ratios = sorted(peer_s / our_s for our_s, peer_s in times)
            rates = [batch * num_batches / statistics.median(side) for side in zip(*times, strict=True)]
            spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            print(f"{batch:>5} x {seq_len:<8} {rates[0]:>13,.0f} {rates[1]:>14,.0f}    {spread}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
