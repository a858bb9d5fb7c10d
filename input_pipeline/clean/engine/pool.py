"""Processes that do the tasks of one stage after another, and end at once when they are no longer wanted."""

import functools
import itertools
import multiprocessing
import os
import pathlib
import pickle
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

from input_pipeline import workers
from input_pipeline.clean.engine import TaskFailed, Work, attempt, several


class Pool:
    """`num_workers` processes, started as tasks come. The work of a stage is pickled once, to a file that they read.

    Closed, the processes end whatever they do: a task leaves its result whole or not at all.
    """

    def __init__(self, num_workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        reader, self._open = context.Pipe(duplex=False)
        self._num_workers = num_workers
        self._executor = ProcessPoolExecutor(num_workers, context, initializer=_begin, initargs=(reader,))
        self._folder = tempfile.TemporaryDirectory(prefix="meshwright-")
        self._numbers = itertools.count()

    def close(self) -> None:
        """Ends every process, and waits until it is gone."""
        self._open.close()
        self._executor.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def completed(self, work: Work, tasks: Sequence[int]) -> Iterator[int]:
        """The tasks, in the order in which they end.

        Raises:
          ValueError, OSError, TaskFailed: as `attempt`, or a process was killed.
        """
        path = pathlib.Path(self._folder.name) / f"{next(self._numbers)}.pickle"
        path.write_bytes(pickle.dumps(work))
        with workers.nameless_main():  # processes start as tasks are handed in
            task_of = {self._executor.submit(_do, path, task): task for task in tasks}
        try:
            for future in as_completed(task_of):
                future.result()
                yield task_of[future]
        except BrokenProcessPool:
            lost = [work.reads(task) for future, task in task_of.items() if not _is_done(future)]
            raise TaskFailed(
                "expected every worker to live, but one was killed, most likely since memory ran out, at "
                f"{' or '.join(map(several, lost[: self._num_workers]))}; write fewer --workers, or a lower "
                "--config.source.max_record_bytes"
            ) from None
        finally:
            for future in task_of:
                future.cancel()


def _is_done(future: Future[None]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _begin(is_open: Connection) -> None:
    workers.die_with_parent()
    threading.Thread(target=_exit_when_closed, args=(is_open,), daemon=True, name="exit-when-closed").start()


def _exit_when_closed(is_open: Connection) -> None:
    is_open.poll(None)  # nothing is ever sent
    os._exit(1)


def _do(path: pathlib.Path, task: int) -> None:
    attempt(_work(path), task)


@functools.lru_cache(1)
def _work(path: pathlib.Path) -> Work:
    return pickle.loads(path.read_bytes())
