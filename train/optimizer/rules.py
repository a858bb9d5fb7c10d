"""The optimizers, each a dataclass of exactly the fields that it reads: a field that it would ignore cannot be set.

A rule turns gradients into updates of rate one; `chain.py` puts clip, groups, schedule and L1 around it.
"""

import dataclasses
import typing
from collections.abc import Mapping

import numpy as np
import optax
from jaxtyping import Array
from optax import GradientTransformation as Transformation

from train import trees
from train.optimizer import adafactor, groups, matrices, muon
from train.optimizer.groups import Group
from train.optimizer.schedules import Schedule

Axes = Mapping[str, tuple[str, ...]]  # {parameter: its logical axes}
Values = Mapping[str, Array]  # the hyperparameters of a step, as they stand in the state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What the config section `optimizer` holds whatever its `name`; each optimizer adds its own fields.

    `l1` above 0 shrinks what decays by rate * l1 after each update, never past zero, so that weights become zero and
    stay it (`proximal.py`). It is decoupled, as AdamW's decay is: the threshold takes no part in an optimizer's
    momentum nor in its scales. With plain SGD this minimises loss + l1 * |w|; with SGD's momentum m, whose updates are
    1 / (1 - m) times the gradient, loss + (1 - m) * l1 * |w|. Adaptive optimizers, whose own proximal step would have
    a threshold for each weight by its scale, shrink all alike: l1 then is what a step of rate one takes off a weight.
    """

    learning_rate: float = 1e-3  # the peak rate
    schedule: Schedule = Schedule()
    weight_decay: float = 0.0
    l1: float = 0.0
    decay_mask: str = r"(kernel|embed|positions|head)$"  # a regex over parameter names: these decay
    clip_norm: float = 1.0  # greatest global norm of a gradient; 0: no clipping
    groups: Mapping[str, Group] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name, value in self.floats.items():
            if name == "epsilon" and value <= 0:
                raise ValueError(f"optimizer.epsilon: expected a number above 0, got {value}; write 1e-8")
            if "momentum" in name and not 0 <= value < 1:
                raise ValueError(f"optimizer.{name}: expected a number in [0, 1), got {value}")
            if value < 0:
                raise ValueError(f"optimizer.{name}: expected 0 or more, got {value}")
        groups.check_regex(self.decay_mask, path="optimizer.decay_mask")
        for label, group in self.groups.items():
            group.check(f"optimizer.groups.{label}")

    def rule(self, values: Values, *, decay: Transformation, axes: Axes) -> Transformation:
        """From gradients to updates of rate one, the weight decay in its place."""
        raise NotImplementedError

    def parts(self, axes: Axes) -> dict[str, list[str]]:
        """Parameters that are treated otherwise than the rest: `{what is done to them: their names}`."""
        return {}

    @property
    def hyperparameters(self) -> dict[str, float | np.ndarray]:
        """What lives in the optimizer's state as values: one for each float, one a group for the groups'."""
        return self.floats | self._group_factors()

    @property
    def floats(self) -> dict[str, float]:
        """The fields that are numbers."""
        return {name: getattr(self, name) for name, hint in typing.get_type_hints(type(self)).items() if hint is float}

    def _group_factors(self) -> dict[str, np.ndarray]:
        ordered = [self.groups[label] for label in sorted(self.groups)]
        column = lambda name: np.array([getattr(group, name) for group in ordered], np.float32)
        return {"group_rates": column("rate"), "group_decays": column("decay")} if ordered else {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled decay (Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101)."""

    weight_decay: float = 0.1
    momentum: float = 0.9  # of the mean gradient, beta 1
    second_momentum: float = 0.95  # of the mean square, beta 2
    epsilon: float = 1e-8
    nesterov: bool = False  # NAdam (Dozat, 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ)

    def rule(self, values, *, decay, axes):
        return optax.chain(self.scale(values), decay)

    def scale(self, values: Values) -> Transformation:
        momenta = values["momentum"], values["second_momentum"]
        return optax.scale_by_adam(*momenta, values["epsilon"], nesterov=self.nesterov)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam(AdamW):
    """Adam (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980); decay joins the gradient, as L2 regularisation."""

    weight_decay: float = 0.0
    second_momentum: float = 0.999

    def rule(self, values, *, decay, axes):
        return optax.chain(decay, self.scale(values))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sgd(Optimizer):
    """SGD with heavy-ball or Nesterov momentum; decay joins the gradient (torch.optim.SGD's formula)."""

    momentum: float = 0.9
    nesterov: bool = False

    def rule(self, values, *, decay, axes):
        return optax.chain(decay, optax.trace(values["momentum"], self.nesterov))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RmsProp(Optimizer):
    """RMSProp (Hinton, 2012), with the momentum that Graves, 2013 (https://arxiv.org/abs/1308.0850, section 4.2) gave
    it; decay joins the gradient, and epsilon is added to the root (torch.optim.RMSprop's formula)."""

    second_momentum: float = 0.99  # of the mean square
    epsilon: float = 1e-8
    centred: bool = False  # by the standard deviation instead of the root mean square
    momentum: float = 0.0  # 0: none, and no memory for it
    nesterov: bool = False

    def rule(self, values, *, decay, axes):
        scale = optax.scale_by_stddev if self.centred else optax.scale_by_rms
        scaled = scale(values["second_momentum"], values["epsilon"], eps_in_sqrt=False)
        trace = optax.trace(values["momentum"], self.nesterov) if self.momentum else optax.identity()
        return optax.chain(decay, scaled, trace)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lion(Optimizer):
    """The sign of an interpolated momentum (Chen et al., 2023, https://arxiv.org/abs/2302.06675), decay decoupled.

    It wants a rate 3 to 10 times below AdamW's, and a decay as many times above (section 5 there).
    """

    learning_rate: float = 2e-4
    weight_decay: float = 0.5
    momentum: float = 0.9  # of the interpolation whose sign is taken, beta 1
    second_momentum: float = 0.99  # of the mean gradient that is kept, beta 2

    def rule(self, values, *, decay, axes):
        return optax.chain(optax.scale_by_lion(values["momentum"], values["second_momentum"]), decay)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adafactor(Optimizer):
    """Adafactor (Shazeer and Stern, 2018, https://arxiv.org/abs/1804.04235): mean squares kept as rows and columns.

    Decay is decoupled and takes the rate, as AdamW's does.
    """

    learning_rate: float = 1e-2
    decay_power: float = 0.8  # mean squares decay by 1 - step**-decay_power
    momentum: float = 0.0  # of the updates; 0: none, and no memory for it
    epsilon: float = 1e-30  # added to the squares
    update_clip: float = 1.0  # greatest root mean square of an update; 0: no clipping
    scale_by_size: bool = True  # the rate is a share of each parameter's root mean square
    min_size_to_factor: int = 128  # matrices with a smaller side are kept whole

    def rule(self, values, *, decay, axes):
        dims = {name: matrices.matrix(logical) for name, logical in axes.items()}
        blocks = {name: matrices.dims_of_one(logical) for name, logical in axes.items()}
        scaled = adafactor.scale_by_factored_rms(
            dims,
            decay_power=values["decay_power"],
            epsilon=values["epsilon"],
            min_size_to_factor=self.min_size_to_factor,
        )
        parts = [scaled]
        if self.update_clip:
            parts.append(adafactor.clip_by_rms(blocks, values["update_clip"]))
        if self.scale_by_size:
            parts.append(adafactor.scale_by_param_rms(blocks))
        if self.momentum:
            parts.append(optax.ema(values["momentum"], debias=False))
        return optax.chain(*parts, decay)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Muon(Optimizer):
    """Orthogonal updates for hidden matrices (Jordan et al., 2024), AdamW for embeddings, head, norms and biases.

    Updates of both have a similar root mean square, so one rate and one decay serve (Liu et al., 2025,
    https://arxiv.org/abs/2502.16982, section 2.2). Which parameters are hidden matrices: `matrices.py`.
    """

    weight_decay: float = 0.1
    momentum: float = 0.95  # of hidden matrices
    nesterov: bool = True
    steps: int = 5  # Newton-Schulz iterations
    update_rms: float = 0.2  # root mean square of a hidden matrix's update, at rate one
    adam_momentum: float = 0.9  # of the others, beta 1
    second_momentum: float = 0.95  # of the others, beta 2
    epsilon: float = 1e-8  # of the others

    def __post_init__(self):
        super().__post_init__()
        if self.steps < 1:
            raise ValueError(f"optimizer.steps: expected 1 or more, got {self.steps}; write 5")

    def rule(self, values, *, decay, axes):
        hidden = self.hidden(axes)
        if not hidden:
            raise ValueError("optimizer.name=muon: expected a model with hidden matrices, got none; write adamw")
        orthogonal = muon.scale_by_muon(
            hidden,
            momentum=values["momentum"],
            nesterov=self.nesterov,
            steps=self.steps,
            update_rms=values["update_rms"],
        )
        others = optax.scale_by_adam(values["adam_momentum"], values["second_momentum"], values["epsilon"])
        is_hidden = lambda params: trees.map_with_name(lambda name, _: name in hidden, params)
        is_other = lambda params: trees.map_with_name(lambda name, _: name not in hidden, params)
        return optax.chain(optax.masked(orthogonal, is_hidden), optax.masked(others, is_other), decay)

    def hidden(self, axes: Axes) -> dict[str, matrices.Matrix]:
        """The hidden matrices among these parameters."""
        dims = {name: matrices.matrix(logical) for name, logical in axes.items()}
        return {name: found for name, found in dims.items() if found and not found.is_table}

    def parts(self, axes):
        return {"orthogonal updates (the others by AdamW)": list(self.hidden(axes))}


OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    "adamw": AdamW,
    "adam": Adam,
    "sgd": Sgd,
    "rmsprop": RmsProp,
    "lion": Lion,
    "adafactor": Adafactor,
    "muon": Muon,
}
