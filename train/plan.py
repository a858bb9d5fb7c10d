"""Foresight: compiles the real training step for chips that are not there, and reads off what it needs."""

import dataclasses
from collections.abc import Sequence

import jax

from train import experiment, spec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """Bytes on one device while the step runs."""

    argument_bytes: int  # state and batch
    temp_bytes: int  # activations and what the compiler needs besides
    peak_bytes: int


def compile_step(run: spec.Run, devices: Sequence[jax.Device]) -> jax.stages.Compiled:
    """The step that `python -m train` runs, compiled for these devices from shapes alone.

    Raises:
      ValueError: the run does not fit the devices' number.
      jax.errors.JaxRuntimeError: RESOURCE_EXHAUSTED, the step does not fit their memory.
    """
    engine = experiment.engine(run, devices)
    state, batch = engine.abstract_state, engine.abstract_batch()
    with jax.set_mesh(engine.mesh):
        return engine.train_step.lower(state, batch, {}).compile()


def assumptions(run: spec.Run) -> list[str]:
    """What is taken for granted where there is no data, a line each."""
    return [
        f"{path} is in epochs, and without data an epoch is taken to have {experiment.ASSUMED_EPOCH_EXAMPLES:,} rows; "
        "nothing in the step depends on it but the schedule's constants"
        for path in run.lengths_in_epochs
    ]


def needs(compiled: jax.stages.Compiled) -> Needs:
    """What the compiler says that the step needs."""
    analysis = compiled.memory_analysis()
    assert analysis is not None, "this backend does not analyse memory"
    return Needs(
        argument_bytes=analysis.argument_size_in_bytes,
        temp_bytes=analysis.temp_size_in_bytes,
        peak_bytes=analysis.peak_memory_in_bytes,
    )
