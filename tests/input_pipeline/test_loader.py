"""Law 3: a batch is a pure function of (seed, position), whatever hosts, workers and resumes there are."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import grain
import numpy as np
import pytest

from input_pipeline.batch import DTYPES, empty_rows
from input_pipeline.loader import eval_batches, train_batches
from input_pipeline.packing import plan_rows
from input_pipeline.sources import Synthetic
from input_pipeline.token_store import build
from input_pipeline.tokenizer import Bytes

SEED, BATCH = 7, 12


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """41 rows: prime, so that epochs end inside batches."""
    cache = tmp_path_factory.mktemp("loader")
    store = build(Synthetic(20, 250), tokenizer=Bytes(), cache_dir=cache)
    found = plan_rows(store, seq_len=123, packing="concat", cache_dir=cache)
    assert len(found) == 41
    return found


def _take(rows, steps, *, row_range=(0, BATCH), start=0, workers=0, seed=SEED):
    batches = train_batches(rows, seed=seed, batch_size=BATCH, row_range=row_range, start=start, workers=workers)
    with batches:
        found = [next(batches) for _ in range(steps)]
    assert not multiprocessing.active_children()
    return found


@pytest.fixture(scope="module")
def straight(rows):
    """Twelve global batches by one host: three and a half epochs."""
    return _take(rows, 12)


def _same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys() == DTYPES.keys()
        for key in one:
            assert one[key].dtype == other[key].dtype
            assert one[key].tobytes() == other[key].tobytes()


def _join(hosts):
    """The global batches that these hosts' shares make up."""
    return [
        {key: np.concatenate([part[key] for part in parts]) for key in DTYPES} for parts in zip(*hosts, strict=True)
    ]


def _shares(num_hosts):
    edges = np.linspace(0, BATCH, num_hosts + 1).astype(int).tolist()
    return list(itertools.pairwise(edges))


def test_examples_follow_grains_shuffle_epoch_after_epoch(rows, straight):
    order = grain.MapDataset.range(41).seed(SEED).shuffle().repeat()
    positions = [order[p] for p in range(12 * BATCH)]
    for step, found in enumerate(straight):
        np.testing.assert_array_equal(
            found["tokens"], rows.read(np.array(positions[step * BATCH : (step + 1) * BATCH]))["tokens"]
        )
    epochs = [positions[i : i + 41] for i in (0, 41, 82)]
    assert all(sorted(epoch) == list(range(41)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("num_hosts", [1, 2, 3, 4, 5])
def test_any_number_of_hosts(rows, straight, num_hosts):
    _same(_join([_take(rows, 12, row_range=share) for share in _shares(num_hosts)]), straight)


def test_workers_and_hosts_and_a_resume_together(rows, straight):
    share = _take(rows, 5, row_range=(6, 10), start=3 * BATCH, workers=2)
    _same(share, [{key: array[6:10] for key, array in found.items()} for found in straight[3:8]])


@pytest.mark.parametrize("step", range(12))  # an epoch ends inside batches 3, 6 and 10
def test_resume_at_any_position(rows, straight, step):
    _same(_take(rows, 12 - step, start=step * BATCH), straight[step:])


def test_resume_at_the_very_end_of_an_epoch_with_another_batch_size(rows):
    """Positions count examples, so a run may go on with other batches: the same examples follow."""
    whole = _join([[part] for part in _take(rows, 4)][0:1])[0]["tokens"]
    flat = np.concatenate([b["tokens"] for b in _take(rows, 8)])
    np.testing.assert_array_equal(whole, flat[:BATCH])
    np.testing.assert_array_equal(_take(rows, 1, start=41)[0]["tokens"], flat[41 : 41 + BATCH])


def test_seeds_differ(rows, straight):
    assert any((a["tokens"] != b["tokens"]).any() for a, b in zip(_take(rows, 1, seed=8), straight, strict=False))


@pytest.mark.parametrize(("num_hosts", "workers"), [(1, 0), (2, 0), (3, 0), (4, 0), (1, 1)])
def test_evaluation_reads_every_row_once_in_order(rows, num_hosts, workers):
    hosts = []
    for share in _shares(num_hosts):
        with eval_batches(rows, batch_size=BATCH, row_range=share, workers=workers) as batches:
            hosts.append(list(batches))
    found = _join(hosts)
    assert [len(b["tokens"]) for b in found] == [BATCH] * 4
    everything, padding = rows.read(np.arange(41)), empty_rows(7, seq_len=123)
    for key in DTYPES:
        expected = np.concatenate([everything[key], padding[key]])
        np.testing.assert_array_equal(np.concatenate([b[key] for b in found]), expected)


def test_ranges_outside_the_batch(rows):
    for row_range in ((0, 13), (5, 5), (-1, 4)):
        with pytest.raises(ValueError, match=r"row_range: expected 0 <= low < high <= batch_size = 12, got"):
            eval_batches(rows, batch_size=BATCH, row_range=row_range)


LOADER = textwrap.dedent("""
    import pathlib, sys
    from input_pipeline.loader import train_batches
    from input_pipeline.packing import _open
    rows = _open(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    batches = train_batches(rows, seed=0, batch_size=64, row_range=(0, 64), start=0, workers=2)
    for _ in range(20):
        next(batches)
    print("loading", flush=True)
    if sys.argv[3] == "close":
        batches.close()
    else:
        sys.stdin.read()
""")


def _start(rows, end):
    command = [sys.executable, "-c", LOADER, str(rows.store.directory), str(rows.directory), end]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, cwd=os.getcwd(), **pipes)
    assert process.stdout.readline() == "loading\n", process.stderr.read()
    return process


def _children(pid):
    """All threads start children: Grain's own do."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children") as file:
            found += map(int, file.read().split())
    return found


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_go_when_their_parent_is_killed(rows):
    process = _start(rows, "wait")
    children = _children(process.pid)
    assert len(children) >= 2
    assert all(map(_runs, children))
    process.send_signal(signal.SIGKILL)
    process.wait()  # not communicate, which would wait for the helpers too
    deadline = time.monotonic() + 10
    while any(map(_runs, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_runs, children))
    process.communicate()


def test_closing_is_quick_and_silent(rows):
    process = _start(rows, "close")
    started = time.monotonic()
    _, noise = process.communicate()
    assert (process.returncode, noise) == (0, "")
    assert time.monotonic() - started < 25  # after which Grain would kill them
