"""Reading what may be damaged: Orbax's errors, which all say "incompatible handler", made to name leaf or file."""

import asyncio
import gc
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils

# Where these say that the machine failed, no checkpoint is called damaged.
MACHINE_ERRORS = (MemoryError, PermissionError, TimeoutError, jax.errors.JaxRuntimeError)
MACHINE_CODES = (
    "PERMISSION_DENIED",
    "UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "UNAUTHENTICATED",
)
VERDICTS = ("good", "damaged", "machine")
SETTLE_S = 0.2  # for the reads that orbax leaves under way when one has failed


class Damaged(ValueError):
    """A checkpoint that cannot be trusted; the message names the leaf or the file, and the reason."""


def read(path: epath.Path, load: Callable[[], dict]) -> dict:
    """What `load` reads of `path`; its errors become Damaged, those of the machine (memory, permission) stay.

    All processes call it, and all raise if one does: they must go on from the same step.
    """
    found, fault = {}, None
    with _hushed():
        try:
            found = load()
        except Exception as error:
            fault = _diagnose(error, path)
        if fault is not None:
            time.sleep(SETTLE_S)
            gc.collect()
    _agree(path, fault)
    return found


def _agree(path: epath.Path, fault: Exception | None) -> None:
    """Raises what this process met, and Damaged in each if in one: the others only met a timeout, waiting for it."""
    verdict = "good" if fault is None else "damaged" if isinstance(fault, Damaged) else "machine"
    codes = multihost_utils.process_allgather(np.array(VERDICTS.index(verdict)))
    verdicts = {VERDICTS[code] for code in np.ravel(codes)}
    if "damaged" in verdicts and verdict != "damaged":
        raise Damaged(f"{path}: another process found its part damaged")
    if fault is not None:
        raise fault
    if verdicts != {"good"}:
        raise RuntimeError(f"{path}: another process could not read its part; its log says why")


@contextmanager
def _hushed() -> Iterator[None]:
    """Where orbax fails to read, it closes its event loop over a task per leaf, and each prints tracebacks later."""
    _install_hook()
    loggers = [logging.getLogger("absl"), logging.getLogger("asyncio")]
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger in loggers:
                logger.disabled = False


_hooks: list[Callable] = []  # those that ours stands before; kept for ever


def _install_hook() -> None:
    """Once, and never taken away: threads of tensorstore call it with a borrowed reference (CPython 3.12 crashes if
    the hook is freed meanwhile)."""
    if not _hooks:
        _hooks.append(sys.unraisablehook)
        sys.unraisablehook = _skip_leftovers


def _skip_leftovers(info) -> None:
    if not _is_leftover(info):
        _hooks[-1](info)


def _is_leftover(info) -> bool:
    return asyncio.iscoroutine(info.object) or "loop is closed" in str(info.exc_value)


def _diagnose(error: Exception, path: epath.Path) -> Exception:
    """What orbax calls "incompatible handler": Damaged, naming leaf or file, or the machine's own error."""
    cause: BaseException = error
    while inner := cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__):
        cause = inner
    text = str(cause).split(" [tensorstore_spec")[0]
    if isinstance(cause, MACHINE_ERRORS) or text.startswith(MACHINE_CODES):
        return error
    return Damaged(f"{path}: {type(cause).__name__}: {text}")
