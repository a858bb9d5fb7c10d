"""The machine that a process runs on, and the other processes of the run."""

import importlib.util
import os
import pathlib

import jax

TPU_DEVICES = ("/dev/accel0", "/dev/vfio")


def join() -> None:
    """Chooses the CPU where only the TPU's compiler is there, and joins the other processes where there are some.

    A TPU pod is found by itself. By hand, set JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and JAX_PROCESS_ID.
    """
    has_compiler_alone = importlib.util.find_spec("libtpu") and not any(pathlib.Path(d).exists() for d in TPU_DEVICES)
    if has_compiler_alone and "JAX_PLATFORMS" not in os.environ:
        jax.config.update("jax_platforms", "cpu")  # libtpu prints start-up errors where it finds no TPU
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        number = lambda name: int(os.environ[name]) if name in os.environ else None
        jax.distributed.initialize(num_processes=number("JAX_NUM_PROCESSES"), process_id=number("JAX_PROCESS_ID"))
    elif "," in os.environ.get("TPU_WORKER_HOSTNAMES", "") or "MEGASCALE_COORDINATOR_ADDRESS" in os.environ:
        jax.distributed.initialize()
