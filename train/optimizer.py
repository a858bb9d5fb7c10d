"""One optax chain: clip, precondition, decay, schedule, rate.

Rate, decay and momentum are values in the optimizer's state (`optax.inject_hyperparams`), not constants of the compiled
step: a search changes them without compiling again.
"""

import dataclasses
import re
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from train import trees
from train.schedules import Schedule


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Config section `optimizer`."""

    name: str = "adamw"
    learning_rate: float = 1e-3
    schedule: Schedule = Schedule()
    weight_decay: float = 0.1
    decay_mask: str = r"(kernel|embed|positions|head)$"  # a regex over parameter names: these decay
    momentum: float = 0.9  # SGD's momentum, Adam's first decay
    second_momentum: float = 0.95  # Adam's second decay
    epsilon: float = 1e-8
    clip_norm: float = 1.0  # greatest global norm of a gradient; 0: no clipping

    def __post_init__(self):
        if self.name not in OPTIMIZERS:
            raise ValueError(f"optimizer.name: expected one of {', '.join(OPTIMIZERS)}, got {self.name!r}")
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            if getattr(self, name) < 0:
                raise ValueError(f"optimizer.{name}: expected 0 or more, got {getattr(self, name)}")
        if self.epsilon <= 0:
            raise ValueError(f"optimizer.epsilon: expected a number above 0, got {self.epsilon}; write 1e-8")
        for name in ("momentum", "second_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"optimizer.{name}: expected a number in [0, 1), got {getattr(self, name)}")
        try:
            re.compile(self.decay_mask)
        except re.error as error:
            raise ValueError(f"optimizer.decay_mask: expected a regex, got {self.decay_mask!r}: {error}") from None

    @property
    def hyperparameters(self) -> dict[str, float]:
        """What lives in the optimizer's state as values."""
        names = ("learning_rate", "weight_decay", "momentum", "second_momentum", "clip_norm")
        return {name: getattr(self, name) for name in names}


def adamw(spec: Optimizer, *, weight_decay, momentum, second_momentum) -> optax.GradientTransformation:
    """Adam with decoupled decay (Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101)."""
    return optax.chain(
        optax.scale_by_adam(b1=momentum, b2=second_momentum, eps=spec.epsilon),
        optax.add_decayed_weights(weight_decay, mask=decay_mask(spec.decay_mask)),
    )


def sgd(spec: Optimizer, *, weight_decay, momentum, second_momentum) -> optax.GradientTransformation:
    """SGD with heavy-ball momentum; decay joins the gradient, as L2 regularisation does."""
    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask=decay_mask(spec.decay_mask)),
        optax.trace(decay=momentum),
    )


OPTIMIZERS = {"adamw": adamw, "sgd": sgd}


def decay_mask(pattern: str):
    """-> params -> a tree of booleans: the leaves whose name the regex finds.

    Raises:
      ValueError: it finds none.
    """

    def mask(params: Any) -> Any:
        if not any(re.search(pattern, name) for name in trees.names(params)):
            known = ", ".join(trees.names(params)[:5])
            raise ValueError(
                f"optimizer.decay_mask: expected a regex that finds parameters, got {pattern!r}; "
                f"names look like {known}; to decay nothing write optimizer.weight_decay=0"
            )
        return trees.map_with_name(lambda name, _: bool(re.search(pattern, name)), params)

    return mask


def make(spec: Optimizer, *, num_steps: int) -> optax.GradientTransformation:
    """The whole transformation of a run of `num_steps` steps."""
    shape = spec.schedule.shape(num_steps)

    def chain(learning_rate, clip_norm, weight_decay, momentum, second_momentum):
        precondition = OPTIMIZERS[spec.name](
            spec, weight_decay=weight_decay, momentum=momentum, second_momentum=second_momentum
        )
        clip = optax.clip_by_global_norm(clip_norm) if spec.clip_norm else optax.identity()
        return optax.chain(
            clip, precondition, optax.scale_by_schedule(shape), optax.scale_by_learning_rate(learning_rate)
        )

    return optax.inject_hyperparams(chain, hyperparam_dtype=jnp.float32)(**spec.hyperparameters)


def learning_rate(spec: Optimizer, opt_state: Any, *, num_steps: int) -> Float[Array, ""]:
    """The rate of the next update."""
    return opt_state.hyperparams["learning_rate"] * spec.schedule.shape(num_steps)(opt_state.count)


def with_hyperparameters(opt_state: Any, spec: Optimizer) -> Any:
    """The same state with the values of `spec`: a resumed run follows its config, not its checkpoint."""
    values = {
        name: jnp.asarray(spec.hyperparameters[name], old.dtype, device=old.sharding)
        for name, old in opt_state.hyperparams.items()
    }
    return opt_state._replace(hyperparams=values)
