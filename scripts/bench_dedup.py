"""MinHash beside datatrove and rensa, and near-duplicates beside brute force, on files of yours.

    python -m venv peers && peers/bin/pip install 'datatrove[processing]' spacy xxhash rensa
    python scripts/bench_dedup.py --input='mails/**/*.txt' --format=mail --peer_python=peers/bin/python [--rounds=5]

Speed: documents for each second of one core's time, of the same documents in the same order, in interleaved rounds,
each contender in a process of its own. Ours makes more than the peers: digests and sorted n-grams besides signatures.
Without --peer_python only the second part runs: every pair of all documents that share an n-gram is counted, and the
pairs, survivors and equal texts that are found are compared with that.
"""

import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from absl import flags
from peers import contender
from peers.contender import Contender, RunSteps

PEERS = ("datatrove", "datatrove_split", "rensa", "rensa_of_ngrams")
BATCH = 1_000  # records, as the blocks of a cleaning


def read_texts(pattern: str, format: str, folder: pathlib.Path) -> list[str]:
    """The texts of all records."""
    from input_pipeline.clean import collect, inputs
    from input_pipeline.clean.collect.spec import Collect
    from input_pipeline.clean.record import Record

    files = inputs.find([pattern], cache_dir=folder)
    found = (each for file in files for each in collect.read(file.path, file.name, spec=Collect(format=format)))
    return [each.text for each in found if isinstance(each, Record)]


def ours(path: str, bands: int, rows: int) -> RunSteps:
    """Sketches of all documents."""
    from input_pipeline.clean.record import Record
    from input_pipeline.clean.similar.minhash import MinHash

    lines = pathlib.Path(path).read_text().splitlines()
    records = [Record(str(i), json.loads(line)) for i, line in enumerate(lines)]
    near = MinHash(bands=bands, rows=rows)

    def run_steps(num_passes: int) -> float:
        starts = list(range(0, len(records), BATCH)) * num_passes
        return float(sum(len(near.sketch(records[start : start + BATCH]).bands_NK) for start in starts))

    return run_steps


def bench(texts: Sequence[str], values: flags.FlagValues, folder: pathlib.Path) -> None:
    """Prints documents a second, and ours by theirs."""
    sample = texts[:: max(1, len(texts) // values.documents)]
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in sample))
    shape = [str(path), str(values.bands), str(values.rows)]
    peer = str(pathlib.Path(__file__).parent / "peers" / "datatrove_minhash.py")
    contenders = {"ours": Contender([__file__, "--worker", *shape])}
    contenders |= {name: Contender([peer, name, *shape], python=values.peer_python) for name in PEERS}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(values.rounds):
        for name, each in contenders.items():
            rates[name].append(len(sample) / each.run(1)["cpu_s"])
    for each in contenders.values():
        each.close()
    size = sum(map(len, sample)) / len(sample)
    print(f"{len(sample)} documents of {size:,.0f} characters, {values.bands} bands of {values.rows} rows, 5-grams")
    for name, each_s in rates.items():
        ratios = sorted(one / other for one, other in zip(rates["ours"], each_s, strict=True))
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{name:<16} {statistics.median(each_s):>10,.1f} documents/s; ours by this {spread}")


def all_pairs(flat: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of documents that share an n-gram, by a product of sparse matrices: pairs [P, 2], Jaccard [P]."""
    from scipy.sparse import csr_array

    ngrams, column = np.unique(flat, return_inverse=True)
    shape = (len(offsets) - 1, len(ngrams))
    matrix = csr_array((np.ones(len(column), np.int32), column, offsets), shape=shape)
    product = (matrix @ matrix.T).tocoo()
    is_upper = product.row < product.col
    pairs, shared = np.stack([product.row, product.col], axis=1)[is_upper].astype(np.int64), product.data[is_upper]
    return pairs, shared / (np.diff(offsets)[pairs].sum(axis=1) - shared)


def check(texts: Sequence[str]) -> None:
    """Prints what is found beside what there is."""
    from input_pipeline.clean.record import Record
    from input_pipeline.clean.similar import candidates, clusters, exact
    from input_pipeline.clean.similar.minhash import MinHash
    from input_pipeline.clean.similar.sketch import Store, band_keys

    near, numbers = MinHash(), np.arange(len(texts))
    start_s = time.perf_counter()
    sketches = near.sketch([Record(str(i), text) for i, text in enumerate(texts)])
    is_repeat, _ = exact.repeats(sketches.exact_N2, numbers)
    store, keys = Store([sketches.evidence]), band_keys(sketches, first=0)
    num_compared = []

    def similarities(pairs: np.ndarray) -> np.ndarray:
        num_compared.append(len(pairs))
        return store.similarities(near, pairs)

    found = candidates.resolve(
        lambda standing: [
            candidates.compare(*keys, standing=standing, similarities=similarities, threshold=near.threshold)
        ],
        rank_N=numbers,
        is_alive_N=~is_repeat,
    )
    spent_s = time.perf_counter() - start_s
    pairs, jaccard = all_pairs(sketches.evidence.flat, sketches.evidence.offsets)
    is_near = jaccard >= near.threshold
    pairs, jaccard = pairs[is_near], jaccard[is_near]
    shares = (sketches.bands_NK[pairs[:, 0]] == sketches.bands_NK[pairs[:, 1]]).any(axis=1)
    is_left = ~is_repeat[pairs].any(axis=1)
    expected, _ = clusters.survivors(pairs[is_left], jaccard[is_left], rank_N=numbers)
    removed, wanted = (np.flatnonzero(each != numbers) for each in (found.original_N, expected))
    print(f"{len(texts)} documents in {spent_s:.2f} s, {near}")
    print(f"equal texts: {is_repeat.sum()}, by a set of strings {len(texts) - len(set(texts))}")
    print(f"pairs at or above {near.threshold}: {len(pairs)}, of which {shares.mean():.4f} share a band")
    both = len(np.intersect1d(removed, wanted))
    print(f"near-duplicates removed: {len(removed)}, by brute force {len(wanted)}, both {both}")
    print(f"least similarity of a removed one to its survivor: {found.similarity_N[removed].min(initial=1):.4f}")
    print(
        f"comparisons: {sum(num_compared)} in {found.num_rounds} rounds, of {len(texts) * (len(texts) - 1) // 2} pairs"
    )


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["--worker"]:
        contender.serve(lambda: ours(argv[1], int(argv[2]), int(argv[3])), warm_up=1)
        return 0
    values = flags.FlagValues()
    flags.DEFINE_string("input", "", "glob or URL of files", flag_values=values)
    flags.DEFINE_string("format", "auto", "of the files; `source.format` of a cleaning", flag_values=values)
    flags.DEFINE_string("peer_python", "", "a Python that has datatrove and rensa", flag_values=values)
    flags.DEFINE_integer("rounds", 5, "interleaved rounds", lower_bound=3, flag_values=values)
    flags.DEFINE_integer("documents", 400, "of the speed test, spread over all", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("bands", 14, "of all contenders; datatrove's default", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("rows", 8, "of each band; datatrove's default", lower_bound=1, flag_values=values)
    values(["bench_dedup", *argv])
    with tempfile.TemporaryDirectory() as folder:
        texts = read_texts(values.input, values.format, pathlib.Path(folder))
        check(texts)
        if values.peer_python:
            bench(texts, values, pathlib.Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
