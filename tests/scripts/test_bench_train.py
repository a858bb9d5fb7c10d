"""Our side of the benchmark runs; PyTorch's side is in no lock."""

import math
import pathlib
import sys

import pytest

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import bench_train

    yield bench_train
    for name in ("bench_train", "peers", "peers.contender"):
        sys.modules.pop(name, None)


def test_our_contender_goes_on_from_round_to_round_and_learns(bench):
    run_steps = bench.ours(bench.Shape(1, 32, 16, 4))
    first = run_steps(10)
    last = [run_steps(10) for _ in range(5)][-1]
    assert math.isfinite(first)
    assert last < first


def test_the_host_time_of_a_step_is_told(bench):
    assert 0 < bench.host_ms(bench.Shape(1, 32, 16, 4), num_steps=3) < 1000
