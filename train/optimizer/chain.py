"""One optax chain from a config: clip, the optimizer's own rule and decay, schedule, groups, rate, L1.

Its numbers (the float fields, and the groups' rates) are values in the optimizer's state (`optax.inject_hyperparams`),
not constants of the compiled step: a search changes them without compiling again, and a resumed run follows its config.
"""

import inspect
from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float
from optax import GradientTransformation as Transformation

from train import trees
from train.optimizer import groups, proximal
from train.optimizer.rules import Axes, Optimizer, Values


def make(spec: Optimizer, *, num_steps: int, axes: Axes) -> Transformation:
    """The whole transformation of a run of `num_steps` steps, for parameters with these logical axes.

    Raises:
      ValueError: the regex of the decay or of a group finds no parameter; at its `init`, Muon finds no hidden matrix.
    """
    group_of = groups.assign(spec.groups, list(axes))
    decays = groups.find(spec.decay_mask, list(axes), path="optimizer.decay_mask")
    number = {label: index for index, label in enumerate(sorted(spec.groups))}
    frozen = [name for name, label in group_of.items() if not spec.groups[label].rate]

    def factor(values: Values, kind: str, name: str) -> Any:
        return values[kind][number[group_of[name]]] if name in group_of else 1

    def chain(**values):
        weight = lambda name: values["weight_decay"] * factor(values, "group_decays", name)
        decayed = lambda name, update, param: update + weight(name) * param if name in decays else update
        rated = lambda name, update: update * factor(values, "group_rates", name)
        decay = optax.stateless(lambda updates, params: trees.map_with_name(decayed, updates, params))
        by_group = optax.stateless(lambda updates, params: trees.map_with_name(rated, updates))
        scale = optax.chain(
            optax.scale_by_schedule(spec.schedule.shape(num_steps)),
            by_group,
            optax.scale_by_learning_rate(values["learning_rate"]),
        )
        strengths = {name: values["l1"] * factor(values, "group_decays", name) for name in decays}
        whole = optax.chain(
            optax.clip_by_global_norm(values["clip_norm"]) if spec.clip_norm else optax.identity(),
            spec.rule(values, decay=decay, axes=axes),
            proximal.soft_threshold(scale, strengths) if spec.l1 else scale,
        )
        return groups.freeze(whole, frozen)

    values = spec.hyperparameters
    return optax.inject_hyperparams(with_keywords(chain, values), hyperparam_dtype=jnp.float32)(**values)


def with_keywords(function: Any, names: Iterable[str]) -> Any:
    """The function with these keywords as its signature, off which `inject_hyperparams` reads the values' names."""
    kind = inspect.Parameter.KEYWORD_ONLY
    function.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    return function


def learning_rate(spec: Optimizer, opt_state: Any, *, num_steps: int) -> Float[Array, ""]:
    """The rate of the next update, of parameters in no group."""
    return opt_state.hyperparams["learning_rate"] * spec.schedule.shape(num_steps)(opt_state.count)


def sparse(spec: Optimizer, axes: Axes) -> tuple[str, ...]:
    """The parameters that L1 shrinks: those that decay, but for groups whose rate or decay is 0; none without it."""
    group_of = groups.assign(spec.groups, list(axes))
    decays = groups.find(spec.decay_mask, list(axes), path="optimizer.decay_mask") if spec.l1 else []
    shrinks = lambda group: group.rate and group.decay
    return tuple(name for name in decays if name not in group_of or shrinks(spec.groups[group_of[name]]))


def with_hyperparameters(opt_state: Any, spec: Optimizer) -> Any:
    """The same state with the values of `spec`: a resumed run follows its config, not its checkpoint."""
    values = {
        name: jnp.asarray(spec.hyperparameters[name], old.dtype, device=old.sharding)
        for name, old in opt_state.hyperparams.items()
    }
    return opt_state._replace(hyperparams=values)
