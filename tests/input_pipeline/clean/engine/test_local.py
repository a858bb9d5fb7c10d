import multiprocessing
import threading
import time

import pytest
from made_tasks import Sending, Writing

from input_pipeline.clean.engine import TaskFailed, parcels
from input_pipeline.clean.engine.local import Local

NUM_TASKS = 12


def written(folder):
    return sorted(int(path.stem) for path in folder.glob("*.txt"))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_is_missing_is_done_and_nothing_else(tmp_path, num_workers):
    told = []
    work = Writing(tmp_path)
    tmp_path.joinpath("3.txt").write_text("as it was")
    with Local(num_workers, progress=lambda *each: told.append(each)) as engine:
        engine.run("writing", work, NUM_TASKS)
        assert written(tmp_path) == list(range(NUM_TASKS))
        assert (tmp_path / "3.txt").read_text() == "as it was"
        assert told == [("writing", number, NUM_TASKS) for number in range(2, NUM_TASKS + 1)]
        told.clear()
        engine.run("writing", work, NUM_TASKS)
    assert not told
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_exchange_brings_everything_in_the_order_of_tasks(tmp_path, num_workers):
    exchange = Sending(tmp_path / "made")
    with Local(num_workers) as engine:
        engine.exchange("by divisor", exchange, NUM_TASKS, tmp_path / "sent")
        assert exchange.found() == exchange.expected(NUM_TASKS)
        assert len(list((tmp_path / "sent").iterdir())) == NUM_TASKS, "one file for each task"
        exchange.path(2).unlink()
        engine.exchange("by divisor", exchange, NUM_TASKS, tmp_path / "sent")
    assert exchange.found() == exchange.expected(NUM_TASKS)


@pytest.mark.fast
def test_parcels(tmp_path):
    sent = {3: b"three", 0: b"", 1: bytes(1000)}
    parcels.write(tmp_path / "a", sent.items(), num_partitions=5)
    assert [parcels.read(tmp_path / "a", partition) for partition in range(5)] == [b"", bytes(1000), b"", b"three", b""]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("unpicklable", TaskFailed, r"Unpicklable: odd thing at made_tasks.py:\d+ \(in mails/5.txt and 1 more\)"),
        ("mistake", ValueError, r"steps: expected none \(in mails/5.txt and 1 more\)"),
        ("full", OSError, r"\[Errno 28\] No space left on device \(in mails/5.txt and 1 more\)"),
    ],
)
def test_what_goes_wrong_is_one_line_with_what_was_read(tmp_path, num_workers, fault, kind, says):
    with Local(num_workers) as engine:
        with pytest.raises(kind, match=f"^{says}$") as caught:
            engine.run("writing", Writing(tmp_path, {5: fault}), NUM_TASKS)
        assert type(caught.value) is kind
        engine.run("writing", Writing(tmp_path), NUM_TASKS)
    assert written(tmp_path) == list(range(NUM_TASKS))


def test_a_killed_worker_is_told_with_what_it_may_have_read(tmp_path):
    with (
        Local(2) as engine,
        pytest.raises(TaskFailed, match=r"one was killed.* at .*mails/5.txt.*; write fewer") as caught,
    ):
        engine.run("writing", Writing(tmp_path, {5: "killed"}), NUM_TASKS)
    assert "\n" not in str(caught.value)
    with Local(2) as engine:
        engine.run("writing", Writing(tmp_path), NUM_TASKS)
    assert written(tmp_path) == list(range(NUM_TASKS))


def test_stopped_it_does_not_wait_for_slow_tasks(tmp_path):
    def stop(label, done, total):
        while not (tmp_path / "slow").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Local(2, progress=stop) as engine:
        engine.run("writing", Writing(tmp_path, {5: "slow"}), NUM_TASKS)
    assert not multiprocessing.active_children()
    assert time.monotonic() - began < 60


def test_who_waits_says_for_whom_and_goes_on_when_they_come(tmp_path):
    told, waits = [], threading.Event()

    def progress(label, done, total):
        told.append((label, done))
        if "waiting" in label:
            waits.set()

    work = Writing(tmp_path)
    first = threading.Thread(
        target=Local(machine=0, num_machines=3, progress=progress).run, args=("w", work, NUM_TASKS)
    )
    first.start()
    assert waits.wait(30)
    assert told[-1] == ("w: waiting for --shard=1/3, --shard=2/3", 4)
    others = [
        threading.Thread(target=Local(machine=i, num_machines=3).run, args=("w", work, NUM_TASKS)) for i in (1, 2)
    ]
    for other in others:
        other.start()
    for thread in (first, *others):
        thread.join(30)
        assert not thread.is_alive()
    assert written(tmp_path) == list(range(NUM_TASKS))
