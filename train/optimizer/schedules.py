"""Learning-rate schedules: the share of the peak rate at a step."""

import dataclasses
from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from train import durations

Shape = Callable[[Int[Array, ""]], Float[Array, ""]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Config section `optimizer.schedule`: a linear warmup to the peak rate, then what `name` says.

    Each duration is given in one of four units; `shape` wants it in steps (`durations.in_steps`). `READS` says which
    fields each schedule reads besides its warmup; others that are set are told of when a run starts.
    """

    name: str = "cosine"
    warmup_steps: int = 0
    warmup_tokens: int = 0
    warmup_examples: int = 0
    warmup_epochs: float = 0.0
    final: float = 0.0  # the share of the peak rate that is left at the last step
    power: float = 1.0  # polynomial: 1 is linear, 2 falls fast first
    timescale_steps: int = 10_000  # rsqrt: so long after the warmup the share is 1 / sqrt(2)
    timescale_tokens: int = 0
    timescale_examples: int = 0
    timescale_epochs: float = 0.0
    decay_steps: int = 0  # wsd: the length of its decay; 0: decay_share of the run
    decay_tokens: int = 0
    decay_examples: int = 0
    decay_epochs: float = 0.0
    decay_share: float = 0.1  # wsd: of the run's steps
    decay_shape: str = "linear"  # wsd: or "sqrt"
    boundaries: tuple[int, ...] = ()  # piecewise: steps of the run, rising
    factors: tuple[float, ...] = ()  # piecewise: the share is multiplied by one at each boundary

    def __post_init__(self):
        if self.name not in SCHEDULES:
            raise ValueError(f"optimizer.schedule.name: expected one of {', '.join(SCHEDULES)}, got {self.name!r}")
        durations.check(self, "optimizer.schedule", needed=["timescale_steps"])
        if self.power <= 0:
            raise ValueError(f"optimizer.schedule.power: expected a number above 0, got {self.power}")
        for name in ("final", "decay_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"optimizer.schedule.{name}: expected a share from 0 to 1, got {getattr(self, name)}")
        if self.decay_shape not in DECAY_SHAPES:
            known = ", ".join(DECAY_SHAPES)
            raise ValueError(f"optimizer.schedule.decay_shape: expected one of {known}, got {self.decay_shape!r}")
        self._check_pieces()

    def _check_pieces(self):
        if len(self.factors) != len(self.boundaries):
            raise ValueError(
                f"optimizer.schedule.factors: expected one for each of the {len(self.boundaries)} boundaries, "
                f"got {len(self.factors)}; write for example boundaries=(1000, 2000), factors=(0.3, 0.1)"
            )
        if list(self.boundaries) != sorted(set(self.boundaries)) or min(self.boundaries, default=0) < 0:
            raise ValueError(f"optimizer.schedule.boundaries: expected rising steps, got {self.boundaries}")
        if min(self.factors, default=0) < 0:
            raise ValueError(f"optimizer.schedule.factors: expected 0 or more each, got {self.factors}")
        if self.name == "piecewise" and not self.boundaries:
            raise ValueError(
                "optimizer.schedule.boundaries: piecewise expects some, got none; write for example "
                "boundaries=(1000, 2000), factors=(0.3, 0.1)"
            )

    def shape(self, num_steps: int) -> Shape:
        """-> a function of the step: linear warmup to 1, then this schedule until `num_steps`."""
        after_warmup = SCHEDULES[self.name](self, max(num_steps - self.warmup_steps, 1))

        def value(step):
            warm = (step + 1) / (self.warmup_steps + 1)
            return jnp.where(step < self.warmup_steps, warm, after_warmup(step - self.warmup_steps))

        return value

    def unread(self) -> dict[str, object]:
        """The fields that were set and that this schedule does not read."""
        set_fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }
        is_read = lambda name: name.partition("_")[0] in ("name", "warmup", *READS[self.name])
        return {name: value for name, value in set_fields.items() if not is_read(name)}


# Each takes the schedule and the number of steps after the warmup, and counts steps from there.


def constant(spec: Schedule, num_steps: int) -> Shape:
    """1 throughout."""
    return lambda step: jnp.ones((), jnp.float32)


def cosine(spec: Schedule, num_steps: int) -> Shape:
    """Half a cosine from 1 to `final`, without restarts (Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983)."""
    return lambda step: spec.final + (1 - spec.final) * 0.5 * (1 + jnp.cos(jnp.pi * progress(step, num_steps)))


def linear(spec: Schedule, num_steps: int) -> Shape:
    """A straight line from 1 to `final`."""
    return lambda step: spec.final + (1 - spec.final) * (1 - progress(step, num_steps))


def polynomial(spec: Schedule, num_steps: int) -> Shape:
    """(1 - progress)**power, from 1 to `final`."""
    return lambda step: spec.final + (1 - spec.final) * (1 - progress(step, num_steps)) ** spec.power


def rsqrt(spec: Schedule, num_steps: int) -> Shape:
    """sqrt(timescale / (timescale + step)), whatever the run's length (Zhai et al., 2021,
    https://arxiv.org/abs/2106.04560, section 3.5). With `timescale_steps = warmup_steps` it is that of Vaswani et al.,
    2017 (https://arxiv.org/abs/1706.03762, section 5.3)."""
    return lambda step: (spec.timescale_steps / (spec.timescale_steps + jnp.maximum(step, 0))) ** 0.5


def wsd(spec: Schedule, num_steps: int) -> Shape:
    """Warmup, stable, decay: 1, then a decay to `final` over the last steps (Hu et al., 2024,
    https://arxiv.org/abs/2404.06395, section 4). The shapes of the decay, 1 - progress and 1 - sqrt(progress), are
    those of Hägele et al., 2024 (https://arxiv.org/abs/2405.18392, section 3)."""
    asked = spec.decay_steps or round(spec.decay_share * (num_steps + spec.warmup_steps))
    decay_steps = min(max(asked, 1), num_steps)

    def value(step):
        fallen = DECAY_SHAPES[spec.decay_shape](progress(step - (num_steps - decay_steps), decay_steps))
        return 1 - (1 - spec.final) * fallen

    return value


def piecewise(spec: Schedule, num_steps: int) -> Shape:
    """1, multiplied by a factor from each boundary on, as `optax.piecewise_constant_schedule` does."""
    pieces = [
        (boundary - spec.warmup_steps, factor) for boundary, factor in zip(spec.boundaries, spec.factors, strict=True)
    ]

    def value(step):
        share = jnp.ones((), jnp.float32)
        for boundary, factor in pieces:
            share = jnp.where(step >= boundary, share * factor, share)
        return share

    return value


SCHEDULES: Mapping[str, Callable[[Schedule, int], Shape]] = {
    "constant": constant,
    "cosine": cosine,
    "linear": linear,
    "polynomial": polynomial,
    "rsqrt": rsqrt,
    "wsd": wsd,
    "piecewise": piecewise,
}
READS: Mapping[str, tuple[str, ...]] = {  # the first words of fields
    "constant": (),
    "cosine": ("final",),
    "linear": ("final",),
    "polynomial": ("final", "power"),
    "rsqrt": ("timescale",),
    "wsd": ("final", "decay"),
    "piecewise": ("boundaries", "factors"),
}
DECAY_SHAPES = {"linear": lambda progress: progress, "sqrt": jnp.sqrt}


def progress(step: Int[Array, "*steps"], num_steps: int) -> Float[Array, "*steps"]:
    """The share of the steps that is done, from 0 to 1."""
    return jnp.clip(step / num_steps, 0, 1)
