"""The training state: a plain dict of arrays, and the model's definition from which it and its shardings are made.

    {"step", "skipped", "params", "opt_state"}, and "ema" where an average of the parameters is kept

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
from train import trees
from train.ema import Ema
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

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The logical axes of each parameter: `{"layers/mlp/down/kernel": ("layers", "mlp", "embed")}`."""
        named = nnx.map_state(lambda _, variable: variable.get_metadata()["out_sharding"], self._variables)
        paths = jax.tree.leaves_with_path(nnx.to_pure_dict(named), is_leaf=lambda axes: isinstance(axes, tuple))
        return {trees.name(path): axes for path, axes in paths}

    def shardings(self, mesh: Mesh) -> State:
        """Where each parameter lies.

        Raises:
          ValueError: a dimension that its mesh axes do not divide, naming leaf and axis.
        """

        def place(path, variable):
            axes = variable.get_metadata()["out_sharding"]
            return rules.stored_sharding("/".join(map(str, path)), axes, variable.get_value().shape, mesh)

        return nnx.to_pure_dict(nnx.map_state(place, self._variables))


def make(params: State, optimizer: optax.GradientTransformation, ema: Ema) -> State:
    """A state at step 0 that begins with these parameters, as it is traced."""
    zero = jnp.zeros((), jnp.int32)
    average = {"ema": ema.start(params)} if ema.decay else {}
    return {"step": zero, "skipped": zero, "params": params, "opt_state": optimizer.init(params), **average}


def abstract(definition: Definition, optimizer: optax.GradientTransformation, ema: Ema, mesh: Mesh) -> State:
    """The state as `ShapeDtypeStruct`s with their shardings.

    Only the parameters' are stated. What is made of a parameter (a moment, a row of means, an average) lies as the
    types of an Explicit mesh say, so it needs no table of its own; what is made of nothing lies whole everywhere.
    """

    def place(leaf, sharding):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    def settle(leaf):
        # As long as the shape: P() and P(None) mean the same, and make jit keep two programs.
        spec = leaf.sharding.spec if leaf.sharding else PartitionSpec(*[None] * leaf.ndim)
        return place(leaf, NamedSharding(mesh, spec))

    params = jax.tree.map(place, definition.shapes, definition.shardings(mesh))
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        state = jax.eval_shape(partial(make, optimizer=optimizer, ema=ema), params)
    return jax.tree.map(settle, state)


def num_bytes(abstract_state: State) -> int:
    """Bytes of the whole state, over all devices."""
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract_state))
