"""Law 3: a batch is a pure function of (seed, position), whatever hosts, workers and resumes there are.

The mixture has a part that ends an epoch in every batch, one that ends it now and then, and transforms.
"""

import dataclasses
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from input_pipeline import hashing, loader, order, transforms
from input_pipeline.batch import DTYPES, empty_rows, text
from input_pipeline.joined import Joined
from input_pipeline.loader import Part, eval_batches, fingerprint, train_batches
from input_pipeline.mixture import CYCLE
from input_pipeline.packing import plan_rows
from input_pipeline.sources import Synthetic
from input_pipeline.token_store import build
from input_pipeline.tokenizer import Bytes
from input_pipeline.transforms.parse import parse

SEED, BATCH = 7, 12


def plan(cache, *, num_documents, document_bytes):
    store = build(Synthetic(num_documents, document_bytes), tokenizer=Bytes(), cache_dir=cache)
    return plan_rows(store, seq_len=123, packing="concat", cache_dir=cache)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """41 rows: prime, so that epochs end inside batches."""
    found = plan(tmp_path_factory.mktemp("loader"), num_documents=20, document_bytes=250)
    assert len(found) == 41
    return found


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    found = plan(tmp_path_factory.mktemp("short"), num_documents=3, document_bytes=100)
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def parts(rows, short):
    noise = parse("mask_spans(0.15, 3)|drop_tokens(0.1)", separator=256).rows
    return [Part("short", short, 0.4, noise), Part("long", rows, 0.6)]


def _take(parts, steps, *, row_range=(0, BATCH), start=0, workers=0, seed=SEED):
    parts = parts if isinstance(parts, list) else [Part("", parts)]
    batches = train_batches(parts, seed=seed, batch_size=BATCH, row_range=row_range, start=start, workers=workers)
    with batches:
        found = [next(batches) for _ in range(steps)]
    assert not multiprocessing.active_children()
    return found


@pytest.fixture(scope="module")
def straight(rows):
    """Twelve global batches by one host: three and a half epochs."""
    return _take(rows, 12)


# A cycle ends inside the third of the batches that begin here.
NEAR = CYCLE - 30


@pytest.fixture(scope="module")
def mixed(parts):
    """Six global batches of the mixture by one host, around the end of a cycle."""
    return _take(parts, 6, start=NEAR)


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


def test_examples_follow_the_order_epoch_after_epoch(rows, straight):
    key = hashing.key("rows", SEED, "")
    epochs = [
        order.shuffled(np.arange(41), num_rows=41, key=key, epochs=np.full(41, epoch)).tolist() for epoch in range(4)
    ]
    positions = list(itertools.chain(*epochs))
    for step, found in enumerate(straight):
        np.testing.assert_array_equal(
            found["tokens"], rows.read(np.array(positions[step * BATCH : (step + 1) * BATCH]))["tokens"]
        )


def test_a_mixture_row_by_row(parts, mixed):
    """Each row read alone, by what the mixture says of its position, and blanked alone."""
    order_of = loader.mix(parts, seed=SEED)
    by_name = sorted(parts, key=lambda part: part.name)
    flat = {key: np.concatenate([found[key] for found in mixed]) for key in DTYPES}
    for i in range(6 * BATCH):
        [part], [row] = order_of.rows(NEAR + i, NEAR + i + 1)
        alone = transforms.apply(
            by_name[part].transforms,
            by_name[part].rows.read(np.array([row])),
            positions_B=np.array([NEAR + i]),
            seed=SEED,
        )
        for key in DTYPES:
            np.testing.assert_array_equal(flat[key][i : i + 1], alone[key])


@pytest.mark.parametrize("num_hosts", [1, 2, 4, 8])
def test_any_number_of_hosts_reads_one_mixture(parts, mixed, num_hosts):
    hosts = [_take(parts, 6, row_range=share, start=NEAR) for share in _shares(num_hosts)]
    _same(_join(hosts), mixed)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_reads_one_mixture(parts, mixed, workers):
    _same(_take(parts, 6, start=NEAR, workers=workers), mixed)


@pytest.mark.parametrize("step", range(1, 6))
def test_a_mixture_goes_on_from_anywhere_and_names_come_in_any_order(parts, mixed, step):
    _same(_take(parts[::-1], 6 - step, start=NEAR + step * BATCH), mixed[step:])


def test_a_single_source_is_the_mixture_of_one(rows, straight):
    _same(_take([Part("", rows, 17.0)], 12), straight)


def test_a_fingerprint_covers_all_that_makes_batches(parts, rows):
    long, short = parts[1], parts[0]
    changed = [
        [long, short],
        [long],
        [long, dataclasses.replace(short, weight=0.41)],
        [long, dataclasses.replace(short, transforms=())],
        [long, dataclasses.replace(short, name="other")],
        [long, dataclasses.replace(short, rows=rows)],
    ]
    assert len({fingerprint(each) for each in changed}) == len(changed)
    assert fingerprint([short, long]) == fingerprint([long, short])
    doubled = [dataclasses.replace(part, weight=2 * part.weight) for part in parts]
    assert fingerprint(doubled) == fingerprint(parts)


def test_rows_of_several_parts_read_as_one(rows, short):
    joined = Joined([short, rows])
    assert len(joined) == 44
    assert joined.num_tokens == rows.num_tokens + short.num_tokens
    assert joined.num_bytes == 20 * 250 + 3 * 100
    first, then = short.read(np.arange(3)), rows.read(np.arange(41))
    chosen = np.random.default_rng(0).permutation(44)
    found = joined.read(chosen)
    for key in DTYPES:
        np.testing.assert_array_equal(found[key], np.concatenate([first[key], then[key]])[chosen])
    with eval_batches(joined, batch_size=BATCH, row_range=(0, BATCH)) as batches:
        assert sum(b["weights"].sum() for b in batches) == joined.num_tokens


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
    everything, padding = rows.read(np.arange(41)), empty_rows(7, text(123))
    for key in DTYPES:
        expected = np.concatenate([everything[key], padding[key]])
        np.testing.assert_array_equal(np.concatenate([b[key] for b in found]), expected)


def test_ranges_outside_the_batch(rows):
    for row_range in ((0, 13), (5, 5), (-1, 4)):
        with pytest.raises(ValueError, match=r"row_range: expected 0 <= low < high <= batch_size = 12, got"):
            eval_batches(rows, batch_size=BATCH, row_range=row_range)


LOADER = textwrap.dedent("""
    import pathlib, sys
    from input_pipeline.loader import Part, train_batches
    from input_pipeline.packing import _open
    rows = _open(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    batches = train_batches([Part("", rows)], seed=0, batch_size=64, row_range=(0, 64), start=0, workers=2)
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
