"""Convolutional models give the numbers of one device on every mesh: logits, gradients and running statistics."""

from functools import partial

import jax
import numpy as np
import pytest
from convolutional import MODELS, inputs_of, keys_of, make, train_once
from flax import nnx

from train.parallel import cpu, rules
from train.parallel import mesh as meshes
from train.parallel.mesh import MeshShape
from train.parallel.placement import MeshPlacement


def on_mesh(name, shape, placement):
    """One training pass with arrays that lie as the rules say -> its findings, and how the gradients lie."""
    mesh = meshes.make(jax.devices()[: int(np.prod(shape))], MeshShape(data=shape[0], fsdp=shape[1], tensor=shape[2]))
    graph, state = nnx.split(make(name, dropout=0.3))

    def place(path, variable):
        axes = variable.get_metadata()["out_sharding"]
        sharding = rules.stored_sharding(str(path), axes, variable.get_value().shape, mesh)
        return jax.device_put(np.asarray(variable.get_value()), sharding)

    placed = nnx.to_pure_dict(nnx.map_state(place, state))
    nnx.replace_by_pure_dict(state, placed)
    rows = meshes.place_batch(mesh, {"inputs": inputs_of(name)}, 8)["inputs"]
    keys_B = jax.random.wrap_key_data(
        meshes.place_batch(mesh, {"keys": np.asarray(jax.random.key_data(keys_of()))}, 8)["keys"]
    )
    with jax.set_mesh(mesh):
        return jax.jit(lambda state, *args: train_once(nnx.merge(graph, state), *args, placement=placement))(
            state, rows, keys_B
        )


@pytest.mark.parametrize("name", MODELS)
def test_every_mesh_gives_the_numbers_of_one_device(name):
    expected = jax.jit(train_once)(make(name, dropout=0.3), inputs_of(name), keys_of())
    runs = [((8, 1, 1), MeshPlacement()), ((1, 8, 1), MeshPlacement()), ((2, 2, 2), MeshPlacement())]
    for shape, placement in [*runs, ((1, 1, 1), cpu.CpuPlacement()), ((2, 4, 1), cpu.CpuPlacement())]:
        found = on_mesh(name, shape, placement)
        compare = partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-5, err_msg=str(shape))
        jax.tree.map(compare, found, expected)
