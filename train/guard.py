"""Requests to stop: Ctrl-C, SIGTERM, a preemption notice. The loop asks between steps, saves, and leaves."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import jax

STOPPED = (
    75  # the exit code of a run that was asked to stop and saved: run the same line again (sysexits.h, EX_TEMPFAIL)
)


class StopRequests:
    """Remembers the first signal; a second Ctrl-C interrupts at once, as usual."""

    def __init__(self) -> None:
        self.name = ""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def at(self, step: int) -> str:
        """The name of the signal that asks to stop after `step`, or "". Every process gets the same answer."""
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            return "preemption notice" if multihost_utils.reached_preemption_sync_point(step) else ""
        return self.name


@contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Catches SIGINT and SIGTERM while it is open. With several processes JAX's own service does."""
    requests = StopRequests()
    numbers = (signal.SIGINT, signal.SIGTERM) if jax.process_count() == 1 else ()
    before = {number: signal.signal(number, requests) for number in numbers}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
