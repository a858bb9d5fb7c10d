"""The training state: a plain dict of arrays, and the model's definition from which it and its shardings are made.

    {"step", "skipped", "params", "opt_state"}, "ema" where an average of the parameters is kept, and "stats" where a
    model keeps running statistics (batch norm): its `nnx.BatchStat` variables

NNX modules exist only while tracing: `Definition.init` splits one into a dict, `Definition.bind` merges it back.
"""

from collections.abc import Callable, Mapping
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
from train.fields import NOTHING
from train.parallel import rules

State = dict[str, Any]


class Definition:
    """A model class and its config, with no arrays: shapes, logical axes, and the way between dict and module."""

    def __init__(self, model: Callable[..., nnx.Module], config: Any):
        self._make = lambda key: model(config, rngs=nnx.Rngs(params=key))
        abstract = nnx.eval_shape(lambda: self._make(jax.random.key(0)))
        self._graph, whole = nnx.split(abstract)
        self._variables, self._statistics = nnx.filter_state(whole, nnx.Param), nnx.filter_state(whole, nnx.BatchStat)
        self.config = config
        self.shapes = nnx.to_pure_dict(self._variables)
        self.stats_shapes = nnx.to_pure_dict(self._statistics)

    def init(self, key: jax.Array) -> tuple[State, State]:
        """Initial parameters and statistics as nested dicts."""
        module = self._make(key)
        return nnx.to_pure_dict(nnx.state(module, nnx.Param)), self.stats(module)

    def bind(self, params: State, placement: Placement = ONE_DEVICE, *, stats: Mapping = NOTHING) -> Callable:
        """-> the model as a function of its inputs."""
        return partial(self.module(params, stats), placement=placement)

    def module(self, params: State, stats: Mapping = NOTHING) -> Any:
        """The model as a module."""
        both = []
        for variables, values in ((self._variables, params), (self._statistics, stats)):
            filled = jax.tree.map(lambda leaf: leaf, variables)
            nnx.replace_by_pure_dict(filled, dict(values))
            both.append(filled)
        return nnx.merge(self._graph, *both)

    def stats(self, module: Any) -> State:
        """The running statistics that a module holds now: as it was made, or after a training pass."""
        return nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

    @property
    def zero_stats(self) -> State:
        """Statistics of zeros, where only their shapes count."""
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), self.stats_shapes)

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


def make(params: State, stats: State, optimizer: optax.GradientTransformation, ema: Ema) -> State:
    """A state at step 0 that begins with these parameters and statistics, as it is traced."""
    zero = jnp.zeros((), jnp.int32)
    more = {"ema": ema.start(params)} if ema.decay else {}
    more |= {"stats": stats} if stats else {}
    return {"step": zero, "skipped": zero, "params": params, "opt_state": optimizer.init(params), **more}


def abstract(definition: Definition, optimizer: optax.GradientTransformation, ema: Ema, mesh: Mesh) -> State:
    """The state as `ShapeDtypeStruct`s with their shardings.

    Only the parameters' are stated. What is made of a parameter (a moment, a row of means, an average) lies as the
    types of an Explicit mesh say, so it needs no table of its own; what is made of nothing lies whole everywhere, and
    so do running statistics.
    """

    def place(leaf, sharding):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    def settle(leaf):
        # As long as the shape: P() and P(None) mean the same, and make jit keep two programs.
        spec = leaf.sharding.spec if getattr(leaf, "sharding", None) else PartitionSpec(*[None] * leaf.ndim)
        return place(leaf, NamedSharding(mesh, spec))

    params = jax.tree.map(place, definition.shapes, definition.shardings(mesh))
    stats = jax.tree.map(settle, definition.stats_shapes)
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        state = jax.eval_shape(partial(make, optimizer=optimizer, ema=ema), params, stats)
    return jax.tree.map(settle, state)


def num_bytes(abstract_state: State) -> int:
    """Bytes of the whole state, over all devices."""
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract_state))
