"""The sessions of a run: what is kept of each one, and what earlier ones forbid."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax

from train import provenance
from train.clock import utc_now
from train.spec import Run
from train.writer import Writer


@contextmanager
def recorded(
    writer: Writer, run: Run, *, start_step: int, devices: Sequence[jax.Device], overrides: Mapping[str, Any]
) -> Iterator[None]:
    """Keeps when, with what and how a session ran; one that was killed has no `ended`."""
    writer.record(
        started=utc_now(),
        start_step=start_step,
        num_steps=run.train.num_steps,
        overrides=overrides,
        code=provenance.code(),
        devices={"kind": devices[0].device_kind, "count": len(devices), "processes": jax.process_count()},
    )
    try:
        yield
    except BaseException as error:
        writer.record(exit=": ".join(filter(None, (type(error).__name__, str(error)))))
        raise
    finally:
        writer.record(ended=utc_now())


def check_test_split(run: Run, sessions: Sequence[Mapping[str, Any]]) -> None:
    """The test split is read at one step (law 12): a run that has read it cannot be made longer and read it again.

    Raises:
      ValueError: an earlier session read it, or began to, at another step than this run would.
    """
    num_steps = run.train.num_steps
    names = [name for name, evaluation in run.eval.items() if evaluation.split == "test"]
    read_at = {session["test_read_step"] for session in sessions if "test_read_step" in session} - {num_steps}
    if names and read_at:
        raise ValueError(
            f"train.num_steps: expected {max(read_at)}, where the test split has been read, got {num_steps}; it is "
            f"read once: write --config.eval.{names[0]}.split=val, or begin anew in another --workdir"
        )
