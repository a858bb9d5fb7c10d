"""The training state: a plain dict of arrays, and the model's definition from which it and its shardings are made.

    {"step", "skipped", "params", "opt_state"}

NNX modules exist only while tracing: `Definition.init` splits one into a dict, `Definition.bind` merges it back.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from models.placement import ONE_DEVICE, Placement
from train.parallel import rules

State = dict[str, Any]


class Definition:
    """A model class and its config, with no arrays: shapes, logical axes, and the way between dict and module."""

    def __init__(self, model: Callable[..., nnx.Module], config: Any):
        self._make = lambda key: model(config, rngs=nnx.Rngs(params=key))
        abstract = nnx.eval_shape(lambda: self._make(jax.random.key(0)))
        self._graph, self._variables = nnx.split(abstract, nnx.Param)
        self.config = config
        self.shapes = nnx.to_pure_dict(self._variables)

    def init(self, key: jax.Array) -> State:
        """Initial parameters as nested dicts."""
        return nnx.to_pure_dict(nnx.state(self._make(key), nnx.Param))

    def bind(self, params: State, placement: Placement = ONE_DEVICE) -> Callable:
        """-> the model as a function of its inputs."""
        return partial(self.module(params), placement=placement)

    def module(self, params: State) -> Any:
        """The model as a module."""
        variables = jax.tree.map(lambda leaf: leaf, self._variables)
        nnx.replace_by_pure_dict(variables, params)
        return nnx.merge(self._graph, variables)

    def shardings(self, mesh: Mesh) -> State:
        """Where each parameter lies.

        Raises:
          ValueError: a dimension that its mesh axes do not divide, naming leaf and axis.
        """

        def place(path, variable):
            axes = variable.get_metadata()["out_sharding"]
            return rules.stored_sharding("/".join(map(str, path)), axes, variable.get_value().shape, mesh)

        return nnx.to_pure_dict(nnx.map_state(place, self._variables))


def make(definition: Definition, optimizer: optax.GradientTransformation, key: jax.Array) -> State:
    """A state at step 0, as it is traced."""
    params = definition.init(key)
    zero = jnp.zeros((), jnp.int32)
    return {"step": zero, "skipped": zero, "params": params, "opt_state": optimizer.init(params)}


def abstract(definition: Definition, optimizer: optax.GradientTransformation, mesh: Mesh) -> State:
    """The state as `ShapeDtypeStruct`s with their shardings: optimizer leaves lie as their parameters do."""
    whole = NamedSharding(mesh, PartitionSpec())
    shapes = jax.eval_shape(partial(make, definition, optimizer), jax.eval_shape(lambda: jax.random.key(0)))
    param_shardings = definition.shardings(mesh)
    shardings = jax.tree.map(lambda _: whole, shapes)
    shardings["params"] = param_shardings
    shardings["opt_state"] = optax.tree.map_params(
        optimizer,
        lambda _, sharding: sharding,
        shapes["opt_state"],
        param_shardings,
        transform_non_params=lambda _: whole,
    )
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        shardings,
    )


def num_bytes(abstract_state: State) -> int:
    """Bytes of the whole state, over all devices."""
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract_state))
