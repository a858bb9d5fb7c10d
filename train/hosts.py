"""Joining the other processes of a run, where there are some."""

import os

import jax


def join() -> None:
    """Starts JAX's distributed service on a TPU pod, or where JAX_COORDINATOR_ADDRESS names a coordinator.

    Elsewhere this process is alone. By hand, set JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and JAX_PROCESS_ID.
    """
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        number = lambda name: int(os.environ[name]) if name in os.environ else None
        jax.distributed.initialize(num_processes=number("JAX_NUM_PROCESSES"), process_id=number("JAX_PROCESS_ID"))
    elif "," in os.environ.get("TPU_WORKER_HOSTNAMES", "") or "MEGASCALE_COORDINATOR_ADDRESS" in os.environ:
        jax.distributed.initialize()
