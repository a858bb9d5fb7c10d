"""Processes that help: started clean, and gone when their parent is gone."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when `parent` (its process id) ends; a parent that has gone already
    counts.

    To the kernel the parent is the thread that started this process. Elsewhere than on Linux nothing is
    asked.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def completed(task: Callable[[T], R], items: Sequence[T], *, num_workers: int) -> Iterator[R]:
    """`task(item)` for each item, in the order in which they end; with 0 workers, here and in their own
    order.

    `task` is pickled to each process once. Processes are spawned, never forked, because the parent may run
    JAX's threads; and they do not import the parent's main module, which may be heavy or unguarded. So the
    task must come from a module that can be imported.
    """
    if not num_workers:
        yield from map(task, items)
        return
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(num_workers, context, initializer=_begin, initargs=(os.getpid(), task))
    try:
        with _nameless_main():  # processes start as items are handed in
            futures = [executor.submit(_run, item) for item in items]
        for future in as_completed(futures):
            yield future.result()
    finally:
        executor.shutdown(cancel_futures=True)


_task: Callable[[Any], Any]  # of this worker process


def _begin(parent: int, task: Callable[[Any], Any]) -> None:
    global _task
    die_with_parent(parent)
    _task = task


def _run(item: Any) -> Any:
    return _task(item)


@contextlib.contextmanager
def _nameless_main() -> Iterator[None]:
    """While this lasts, multiprocessing finds no main module that its children would have to import."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
