"""Rows that were spread over devices and processes give the metrics of the whole."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import evaluated_rows
import jax
import numpy as np

from train import metrics
from train.parallel.mesh import MeshShape, batch_sharding, make
from train.parallel.placement import MeshPlacement

ROOT = pathlib.Path(__file__).parents[3]
ROWS = evaluated_rows.softmax_cases(num_rows=64)["fractional weights"]

SCRIPT = """
import json, sys
sys.path.insert(0, "tests")
from train import hosts
hosts.join()
import jax
assert (jax.process_count(), jax.device_count(), jax.local_device_count()) == (4, 8, 2)
import evaluated_rows
sys.path.insert(0, "tests/train/metrics")
from test_gathering import ROWS, gathered_metrics
print(json.dumps(gathered_metrics(ROWS)))
"""


def gathered_metrics(rows) -> dict[str, float]:
    """Of rows that lie over all devices, gathered as an evaluation's step gathers them."""
    mesh = make(jax.devices(), MeshShape(data=4, fsdp=2))
    spread = [jax.make_array_from_callback(x.shape, batch_sharding(mesh), x.__getitem__) for x in rows]
    with jax.set_mesh(mesh):
        whole = jax.jit(lambda rows: [MeshPlacement().everywhere(x) for x in rows])(spread)
    found = metrics.classification(*jax.device_get(whole))
    return {name: metric.compute() for name, metric in found.items()}


def expected_metrics() -> dict[str, float]:
    return {name: metric.compute() for name, metric in metrics.classification(*ROWS).items()}


def test_from_eight_devices():
    assert gathered_metrics(ROWS) == expected_metrics()


def test_from_four_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = dict(JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{port}", JAX_NUM_PROCESSES="4")
    flags = os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=2")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **place, "JAX_PROCESS_ID": str(index), "XLA_FLAGS": flags},
        )
        for index in range(4)
    ]
    said = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    for out, _ in said:
        found = json.loads(out.splitlines()[-1])
        assert found.keys() == expected_metrics().keys()
        for name, value in expected_metrics().items():
            np.testing.assert_equal(found[name], value)
