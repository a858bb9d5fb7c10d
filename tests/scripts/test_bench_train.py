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
    for name in ("bench_train", "bench_cnn", "peers", "peers.contender", "peers.match", "peers.ours"):
        sys.modules.pop(name, None)


def test_our_contender_goes_on_from_round_to_round_and_learns(bench):
    run_steps = bench.ours(bench.Shape(1, 32, 16, 4))
    first = run_steps(10)
    last = [run_steps(10) for _ in range(5)][-1]
    assert math.isfinite(first)
    assert last < first


def test_the_host_time_of_a_step_is_told(bench):
    assert 0 < bench.host_ms(bench.Shape(1, 32, 16, 4), num_steps=3) < 1000


def test_our_convolutional_contender_learns_the_noise(bench):
    import bench_cnn

    run_steps = bench_cnn.ours(bench_cnn.Shape((4,), "batch", 64))
    first = run_steps(10)
    assert math.isfinite(first)
    assert math.isfinite(run_steps(10))


def test_times_become_ratios(bench):
    from peers import match

    times = match.Times({"ours": [1.0, 2.0], "eager": [2.0, 2.0], "fast": [1.0, 1.0]}, {"ours": [1.0, 2.0]})
    found = times.medians(torch=("eager", "fast"))
    assert found["fastest_torch"] == "fast"
    assert found["ratio_eager"] == 1.5
    assert found["ratio_best_spread"] == [0.5, 1.0]
    assert found["step_ms"]["ours"] == 1500
