"""The machine that a process runs on, and the other processes of the run."""

import importlib.util
import os
import pathlib

import jax

TPU_DEVICES = ("/dev/accel0", "/dev/vfio/0")


def join() -> None:
    """Chooses the CPU where only the TPU's compiler is there, and joins the other processes where there are some.

    A TPU pod is found by itself. By hand, set JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and JAX_PROCESS_ID.

    Raises:
      ValueError: there are other processes, and no coordinator.
    """
    has_tpu = any(pathlib.Path(device).exists() for device in TPU_DEVICES)
    if importlib.util.find_spec("libtpu") and not has_tpu and "JAX_PLATFORMS" not in os.environ:
        jax.config.update("jax_platforms", "cpu")  # libtpu prints start-up errors where it finds no TPU
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        number = lambda name: int(os.environ[name]) if name in os.environ else None
        jax.distributed.initialize(num_processes=number("JAX_NUM_PROCESSES"), process_id=number("JAX_PROCESS_ID"))
    elif has_tpu:
        _join_pod()


def _join_pod() -> None:
    """JAX asks the TPU VM's metadata for the other workers; a notebook's TPU has none, and is alone."""
    try:
        jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        if jax.process_count() > 1:
            raise ValueError(f"expected the TPU's workers to find their coordinator, got: {error}") from error


def use_compilation_cache() -> None:
    """Compiled programs are kept between sessions, unless JAX_COMPILATION_CACHE_DIR says where or how."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        home = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        jax.config.update("jax_compilation_cache_dir", str(home / "meshwright" / "compiled"))
