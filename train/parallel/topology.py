"""Devices of TPU slices that are not there, for the compiler."""

import os
from collections.abc import Sequence

import jax


def devices(name: str) -> Sequence[jax.Device]:
    """The devices of a slice such as "v5e:4x4", "v5p:4x4x4" or "v6e:16x16", for compiling alone.

    Raises:
      ValueError: no compiler for TPUs is installed, or it does not know the name.
    """
    from jax.experimental import topologies

    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")  # there is no TPU VM to ask about
    try:
        import libtpu  # noqa: F401
    except ImportError:
        raise ValueError("the TPU compiler: expected libtpu to be installed, got none; run `make setup-plan`") from None
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name).devices
    except (jax.errors.JaxRuntimeError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--topology: expected a slice such as v5e:4x4 or v6e:16x16, got {name!r}: {reason}") from None
