"""Initial states: every leaf is born where it lies."""

from functools import partial

import jax
import optax

from train import keys
from train import state as states
from train.state import Definition, State


def fresh(definition: Definition, optimizer: optax.GradientTransformation, abstract: State, seed: int) -> State:
    """A state at step 0 from the seed alone: the same numbers on every mesh. To be called under `jax.set_mesh`."""
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    make = jax.sharding.auto_axes(partial(states.make, definition, optimizer), out_sharding=shardings)
    return jax.jit(make)(keys.init(seed))
