"""Reads from files of records beside plain peers: json.loads over lines, and a Parquet column, both held in memory.

    python scripts/bench_sources.py [--rounds=5]

In turn, in one run: documents read at random, and text that becomes tokens (bytes), from the first byte to the whole
store. The peers check, name, count and keep nothing; the ratio is what that costs.
"""

import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
from absl import flags

NUM_DOCUMENTS, DOCUMENT_BYTES = 10_000, 2_000
# Read at random among this many neighbours: two row groups, as when a shard of the store is made.
NUM_READS = 2_000


def write(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """One file of each format, with the same texts."""
    import pyarrow
    from pyarrow import parquet

    from input_pipeline import synthetic

    texts = [synthetic.text(i, num_bytes=DOCUMENT_BYTES).decode() for i in range(NUM_DOCUMENTS)]
    paths = {name: folder / f"a.{name}" for name in ("jsonl", "parquet")}
    paths["jsonl"].write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)))
    parquet.write_table(pyarrow.table({"id": range(len(texts)), "text": texts}), paths["parquet"], row_group_size=1000)
    return paths


def jsonl_in_memory(path: pathlib.Path) -> Callable[[int], bytes]:
    lines = path.read_bytes().splitlines()
    return lambda i: json.loads(lines[i])["text"].encode()


def parquet_in_memory(path: pathlib.Path) -> Callable[[int], bytes]:
    from pyarrow import parquet

    column = parquet.read_table(path, columns=["text"])["text"].combine_chunks()
    return lambda i: column[i].as_py().encode()


PEERS = {"jsonl": jsonl_in_memory, "parquet": parquet_in_memory}


def read_all(read: Callable[[int], bytes], order: np.ndarray) -> float:
    """-> seconds."""
    start_s = time.perf_counter()
    for i in order.tolist():
        read(i)
    return time.perf_counter() - start_s


def tokenize(name: str, path: pathlib.Path, cache_dir: pathlib.Path) -> float:
    """Opening a source for the first time and building its store. -> seconds"""
    from input_pipeline import sources, token_store
    from input_pipeline.spec import Data
    from input_pipeline.tokenizer import Bytes

    start_s = time.perf_counter()
    data = Data(seq_len=64, source=name, files=(str(path),), cache=str(cache_dir), prepare_workers=0)
    token_store.build(sources.open_source(data), tokenizer=Bytes(), cache_dir=cache_dir)
    return time.perf_counter() - start_s


def tokenize_plainly(name: str, path: pathlib.Path, target: pathlib.Path) -> float:
    """-> seconds."""
    start_s = time.perf_counter()
    read = PEERS[name](path)
    tokens = [np.frombuffer(read(i), np.uint8).astype(np.uint16) for i in range(NUM_DOCUMENTS)]
    np.concatenate(tokens).tofile(target)
    return time.perf_counter() - start_s


def report(what: str, unit: str, amount: float, times: list[tuple[float, float]]) -> None:
    ours, peer = (amount / statistics.median(side) for side in zip(*times, strict=True))
    ratios = sorted(peer_s / our_s for our_s, peer_s in times)
    spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(f"{what:<22} {ours:>10,.0f} {peer:>10,.0f} {unit:<8} {spread}")


def main(argv: Sequence[str]) -> int:
    from input_pipeline import sources
    from input_pipeline.spec import Data

    values = flags.FlagValues()
    flags.DEFINE_integer("rounds", 5, "interleaved rounds", lower_bound=3, flag_values=values)
    values(["bench_sources", *argv])
    megabytes = NUM_DOCUMENTS * DOCUMENT_BYTES / 1e6
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home)
        print(f"{'':<22} {'ours':>10} {'peer':>10} {'':<8} ratio (median, least, greatest)")
        for name, path in write(folder).items():
            source = sources.open_source(Data(seq_len=64, source=name, files=(str(path),), cache=home))
            peer = PEERS[name](path)
            reading, making = [], []
            for i in range(values.rounds):
                order = np.random.default_rng(i).permutation(NUM_READS) + NUM_DOCUMENTS // 2
                reading.append((read_all(source.read, order), read_all(peer, order)))
                cache_dir = folder / f"{name}{i}"
                making.append((tokenize(name, path, cache_dir), tokenize_plainly(name, path, folder / "tokens")))
            report(f"{name} reads", "docs/s", NUM_READS, reading)
            report(f"{name} to tokens", "MB/s", megabytes, making)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
