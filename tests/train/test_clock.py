"""The clock under a time source that moves only when told."""

import subprocess
import sys

import pytest

from train.clock import Clock


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def passes(self, seconds: float) -> None:
        self.seconds += seconds

    def fails_after(self, seconds: float) -> None:
        self.passes(seconds)
        raise OSError("disk full")


@pytest.fixture
def time():
    return Time()


def spend(clock, time, **parts_s):
    for name, seconds in parts_s.items():
        with clock.part(name):
            time.passes(seconds)


def test_fractions_and_throughput_leave_out_what_is_not_the_step(time):
    clock = Clock(total_steps=100, now=time)
    spend(clock, time, compile=50, data=2, eval=7, checkpoint=3)
    time.passes(6)  # the steps themselves
    got = clock.report(4, amount=4000)
    assert got["train/step_time_s"] == pytest.approx((2 + 6) / 4)
    assert got["train/tokens_per_s"] == pytest.approx(4000 / (2 + 6))
    assert got["train/data_wait_fraction"] == pytest.approx(2 / (2 + 6))
    assert (got["train/eval_s"], got["train/checkpoint_s"], got["train/compile_s"]) == (7, 3, 50)


def test_utilisation_is_of_the_peak_of_all_devices(time):
    clock = Clock(total_steps=100, now=time, flops_per_unit=6e9, peak_flops_per_s=4 * 918e12)
    spend(clock, time, compile=50, data=2, profile=9)
    time.passes(6)
    got = clock.report(4, amount=400_000)
    assert got["train/model_flops_per_s"] == pytest.approx(400_000 / 8 * 6e9)
    assert got["train/mfu"] == pytest.approx(400_000 / 8 * 6e9 / (4 * 918e12))


def test_without_a_known_peak_there_is_no_utilisation(time):
    clock = Clock(total_steps=100, now=time, flops_per_unit=6e9)
    time.passes(2)
    got = clock.report(1, amount=10)
    assert got["train/model_flops_per_s"] == pytest.approx(10 / 2 * 6e9)
    assert "train/mfu" not in got


def test_each_report_opens_a_new_window(time):
    clock = Clock(total_steps=100, now=time)
    spend(clock, time, data=5, eval=5)
    time.passes(5)
    clock.report(1, amount=10)
    time.passes(2)
    got = clock.report(3, amount=10)
    assert got["train/step_time_s"] == pytest.approx(1)
    assert got["train/tokens_per_s"] == pytest.approx(5)
    assert got["train/data_wait_fraction"] == got["train/eval_s"] == got["train/checkpoint_s"] == 0


def test_a_part_is_booked_again_and_again_and_also_when_it_raises(time):
    clock = Clock(total_steps=10, now=time)
    spend(clock, time, eval=1)
    with pytest.raises(OSError, match="disk full"), clock.part("eval"):
        time.fails_after(2)
    time.passes(1)
    assert clock.report(1, amount=1)["train/eval_s"] == pytest.approx(3)


def test_parts_do_not_nest(time):
    clock = Clock(total_steps=10, now=time)
    with (
        pytest.raises(AssertionError, match="'data' inside part 'eval'"),
        clock.part("eval"),
        clock.part("data"),
    ):
        pass


def test_eta_knows_the_resumed_step_and_counts_evaluation_but_not_compiling(time):
    clock = Clock(total_steps=100, step=60, now=time)
    spend(clock, time, compile=500, eval=10)
    time.passes(10)
    assert clock.report(70, amount=1)["train/eta_s"] == pytest.approx(20 / 10 * 30)
    time.passes(40)
    assert clock.report(90, amount=1)["train/eta_s"] == pytest.approx(60 / 30 * 10)
    time.passes(20)
    assert clock.report(100, amount=1)["train/eta_s"] == 0


def test_a_report_needs_a_step(time):
    with pytest.raises(AssertionError, match="no step since the last report"):
        Clock(total_steps=10, step=5, now=time).report(5, amount=1)


@pytest.mark.parametrize("stats", [None, {"bytes_in_use": 5}])
def test_a_backend_without_a_peak_reports_none(time, stats):
    clock = Clock(total_steps=10, now=time, device_stats=lambda: stats)
    assert "train/device_peak_bytes" not in clock.report(1, amount=1)


def test_memory_of_host_and_device_in_bytes(time):
    clock = Clock(total_steps=10, now=time, device_stats=lambda: {"peak_bytes_in_use": 123})
    before = clock.report(1, amount=1)
    held = bytearray(64 << 20)
    held[::4096] = b"x" * len(held[::4096])  # touched, hence resident
    after = clock.report(2, amount=1)
    assert before["train/device_peak_bytes"] == 123
    assert 16 << 20 < before["train/host_peak_bytes"] < 1 << 40
    assert after["train/host_peak_bytes"] >= before["train/host_peak_bytes"]


def test_the_memory_of_who_started_it_is_not_counted():
    held = bytearray(256 << 20)
    held[::4096] = b"x" * len(held[::4096])
    told = [sys.executable, "-c", "from train import clock; print(clock.host_peak_bytes())"]
    done = subprocess.run(told, capture_output=True, text=True, check=True)
    assert 1 << 20 < int(done.stdout) < 128 << 20


def test_real_time_runs_forward():
    clock = Clock(total_steps=10)
    with clock.part("data"):
        sum(range(1000))
    assert 0 < clock.report(1, amount=1)["train/data_wait_fraction"] < 1


def test_imports_are_light():
    heavy = "import sys, train.clock, train.durations; print({'jax', 'numpy', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
