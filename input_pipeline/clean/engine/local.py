"""Processes of this machine, beside those of other machines that share the folder."""

import pathlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from input_pipeline.clean.engine import Exchange, Work, attempt, parcels
from input_pipeline.clean.engine.pool import Pool
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
    _pool: Pool | None = field(default=None, init=False)

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def run(self, label: str, work: Work, num_tasks: int) -> None:
        """See `Engine.run`.

        Raises:
          ValueError, OSError, RuntimeError: a task failed, or its process was killed; one line that names what it read.
        """
        waiting = [task for task in range(num_tasks) if not work.done(task)]
        mine = [task for task in waiting if task % self.num_machines == self.machine]
        before = num_tasks - len(waiting)
        for number, _ in enumerate(self._completed(work, mine), start=1):
            self.progress(label, before + number, num_tasks)
        if self.num_machines > 1:
            self._wait(label, work, waiting, num_tasks)

    def exchange(self, label: str, exchange: Exchange, num_tasks: int, folder: pathlib.Path) -> None:
        """See `Engine.exchange`: what each task sends lies in a file of `folder`.

        Raises:
          ValueError, OSError, RuntimeError: as `run`.
        """
        if all(map(exchange.done, range(exchange.num_partitions))):
            return
        self.run(label, _Send(exchange, folder), num_tasks)
        self.run(f"{label}, by key", _Receive(exchange, folder, num_tasks), exchange.num_partitions)

    def _completed(self, work: Work, tasks: Sequence[int]) -> Iterator[int]:
        if not self.num_workers or len(tasks) < 2:
            for task in tasks:
                attempt(work, task)
                yield task
            return
        if self._pool is None:
            self._pool = Pool(self.num_workers)
        yield from self._pool.completed(work, tasks)

    def _wait(self, label: str, work: Work, waiting: Sequence[int], num_tasks: int) -> None:
        """Until other machines are done; one that died is named for as long as nobody starts it again."""
        while waiting := [task for task in waiting if not work.done(task)]:
            machines = sorted({task % self.num_machines for task in waiting})
            named = ", ".join(f"--shard={machine}/{self.num_machines}" for machine in machines)
            self.progress(f"{label}: waiting for {named}", num_tasks - len(waiting), num_tasks)
            time.sleep(_POLL_S)


@dataclass(frozen=True)
class _Send:
    exchange: Exchange
    folder: pathlib.Path

    def done(self, task: int) -> bool:
        return _sent(self.folder, task).exists()

    def reads(self, task: int) -> Sequence[object]:
        return (f"task {task} of {self.folder}",)

    def __call__(self, task: int) -> None:
        sent = self.exchange.emit(task)
        parcels.write(_sent(self.folder, task), sent, num_partitions=self.exchange.num_partitions)


@dataclass(frozen=True)
class _Receive:
    exchange: Exchange
    folder: pathlib.Path
    num_tasks: int

    def done(self, partition: int) -> bool:
        return self.exchange.done(partition)

    def reads(self, partition: int) -> Sequence[object]:
        return (f"partition {partition} of {self.folder}",)

    def __call__(self, partition: int) -> None:
        sent = (parcels.read(_sent(self.folder, task), partition) for task in range(self.num_tasks))
        self.exchange.reduce(partition, [each for each in sent if each])


def _sent(folder: pathlib.Path, task: int) -> pathlib.Path:
    return folder / f"{task:06d}.parcels"
