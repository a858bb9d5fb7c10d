"""Processes of this machine, beside those of other machines that share the folder."""

import contextlib
import multiprocessing
import pathlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from input_pipeline import cache, workers
from input_pipeline.clean.engine import Exchange, Work
from input_pipeline.progress import Progress, quiet

_POLL_S = 0.5


@dataclass
class Local:
    """`num_workers` processes; 0 works in this one. Machine `machine` of `num_machines` does every task whose number
    leaves that rest, and waits for the others' results to appear in the shared folder. Used by `with`.
    """

    num_workers: int = 0
    machine: int = 0
    num_machines: int = 1
    progress: Progress = quiet
    _pool: ProcessPoolExecutor | None = field(default=None, init=False)

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def run(self, label: str, work: Work, num_tasks: int) -> None:
        """See `Engine.run`.

        Raises:
          RuntimeError: a process was killed, as the kernel does when memory runs out.
        """
        self._run(label, work, work.done, num_tasks)

    def exchange(self, label: str, exchange: Exchange, num_tasks: int, folder: pathlib.Path) -> None:
        """See `Engine.exchange`: what is sent lies in files of `folder`."""
        if all(map(exchange.done, range(exchange.num_partitions))):
            return
        send = _Send(exchange, folder)
        self._run(label, send, send.done, num_tasks)
        receive = _Receive(exchange, folder, num_tasks)
        self._run(f"{label}, by key", receive, exchange.done, exchange.num_partitions)

    def _run(self, label: str, work: Callable[[int], None], done: Callable[[int], bool], num_tasks: int) -> None:
        waiting = [task for task in range(num_tasks) if not done(task)]
        mine = [task for task in waiting if task % self.num_machines == self.machine]
        before = num_tasks - len(waiting)
        for number, _ in enumerate(self._completed(work, mine), start=1):
            self.progress(label, before + number, num_tasks)
        while others := [task for task in waiting if not done(task)]:
            self.progress(f"{label}: waiting for other machines", num_tasks - len(others), num_tasks)
            time.sleep(_POLL_S)

    def _completed(self, work: Callable[[int], None], tasks: list[int]) -> Iterator[Any]:
        if not self.num_workers or len(tasks) < 2:
            yield from map(work, tasks)
            return
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.num_workers, context, initializer=workers.die_with_parent)
        try:
            with workers.nameless_main():
                futures = [self._pool.submit(work, task) for task in tasks]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise RuntimeError(
                "expected every worker to live, but one was killed, most likely since memory ran out; write fewer "
                "--workers, or a lower limit in collect.max_record_bytes. What is done is kept: start again to go on"
            ) from None
        finally:
            with contextlib.suppress(UnboundLocalError):
                for future in futures:
                    future.cancel()


@dataclass(frozen=True)
class _Send:
    exchange: Exchange
    folder: pathlib.Path

    def _marker(self, task: int) -> pathlib.Path:
        return self.folder / f"{task:06d}.sent"

    def done(self, task: int) -> bool:
        return self._marker(task).exists()

    def __call__(self, task: int) -> None:
        for partition, sent in self.exchange.emit(task):
            with cache.replacing(_parcel(self.folder, task, partition)) as file:
                file.write(sent)
        with cache.replacing(self._marker(task)):
            pass


@dataclass(frozen=True)
class _Receive:
    exchange: Exchange
    folder: pathlib.Path
    num_tasks: int

    def __call__(self, partition: int) -> None:
        parcels = (_parcel(self.folder, task, partition) for task in range(self.num_tasks))
        self.exchange.reduce(partition, [parcel.read_bytes() for parcel in parcels if parcel.exists()])


def _parcel(folder: pathlib.Path, task: int, partition: int) -> pathlib.Path:
    return folder / f"{partition:05d}" / f"{task:06d}.bin"
