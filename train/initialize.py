"""Initial states: every leaf is born where it lies."""

import jax
import optax

from train import keys
from train import state as states
from train.ema import Ema
from train.parallel import cpu
from train.state import Definition, State


def fresh(
    definition: Definition, optimizer: optax.GradientTransformation, ema: Ema, abstract: State, seed: int
) -> State:
    """A state at step 0 from the seed alone: the same numbers on every mesh. To be called under `jax.set_mesh`."""
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    make = lambda key: states.make(*definition.init(key), optimizer, ema)
    made = jax.sharding.auto_axes(make, out_sharding=shardings)
    return jax.jit(made, compiler_options=cpu.compiler_options(jax.tree.leaves(shardings)[0].mesh))(keys.init(seed))
