"""Processes that help: started clean, and gone when their parent is gone."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def die_with_parent() -> None:
    """End this process, made by multiprocessing, as soon as its parent ends in any way, SIGKILL included.

    A thread waits for the parent's end of a pipe to close. PR_SET_PDEATHSIG would not do: it fires when the
    *thread* that started this process ends, and Grain ends such threads when it closes. Measured: six
    closes out of six killed both workers, and all three that used shared memory left some of it behind.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    parent = multiprocessing.parent_process()
    assert parent is not None, "not a process of multiprocessing"
    threading.Thread(target=_exit_after, args=(parent,), daemon=True, name="die-with-parent").start()


def _exit_after(parent: Any) -> None:
    parent.join()
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
    executor = ProcessPoolExecutor(num_workers, context, initializer=_begin, initargs=(task,))
    try:
        with nameless_main():  # processes start as items are handed in
            futures = [executor.submit(_run, item) for item in items]
        for future in as_completed(futures):
            yield future.result()
    finally:
        executor.shutdown(cancel_futures=True)


_task: Callable[[Any], Any]  # of this worker process


def _begin(task: Callable[[Any], Any]) -> None:
    global _task
    die_with_parent()
    _task = task


def _run(item: Any) -> Any:
    return _task(item)


@contextlib.contextmanager
def nameless_main() -> Iterator[None]:
    """While this lasts, multiprocessing finds no main module that its children would have to import."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
