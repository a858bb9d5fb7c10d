"""How long, and how often: durations given in steps, tokens, examples or epochs, and what they are in steps.

A section of a config gives one duration in four fields, of which one is above 0: `num_steps`, `num_tokens`,
`num_examples`, `num_epochs`. Whatever fields have such names are such a group; `warmup_steps` and its siblings are
another. A cadence's fields are `every` (in steps), `every_tokens`, `every_examples` and `every_epochs`.

An example is a row of a batch, and a token a place in a row: what a step takes is known before it is read.
"""

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from typing import Any

UNITS = ("steps", "tokens", "examples", "epochs")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Every:
    """The fields of a section that has a cadence. At most one is above 0; if none is: at the last step alone."""

    every: int = 0  # steps
    every_tokens: int = 0
    every_examples: int = 0
    every_epochs: float = 0.0


@dataclasses.dataclass(frozen=True)
class Cadence:
    """Due at the first step at or past each multiple of `period`, and at the last step; 0: at the last alone.

    A period of 2.5 steps is due at 3, 5, 8, 10: nothing is rounded that would add up. A step counts once it is
    finished: after the first one, `step` is 1.
    """

    period: Fraction = Fraction(0)  # in steps

    def due(self, step: int, *, last: int) -> bool:
        """Whether it is time after `step` finished steps of `last`."""
        if step == last or step <= 0 or not self.period:
            return step == last
        length, parts = self.period.numerator, self.period.denominator
        return step * parts // length > (step - 1) * parts // length


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pace:
    """What a step takes. `epoch_examples` may be 0 while nothing is counted in epochs."""

    step_examples: int  # rows of the global batch
    example_tokens: int
    epoch_examples: int = 0

    def per_step(self, unit: str) -> Fraction:
        """How much of a unit a step takes."""
        assert unit != "epochs" or self.epoch_examples, "an epoch's examples are not known"
        return {
            "steps": lambda: Fraction(1),
            "tokens": lambda: Fraction(self.step_examples * self.example_tokens),
            "examples": lambda: Fraction(self.step_examples),
            "epochs": lambda: Fraction(self.step_examples, self.epoch_examples),
        }[unit]()

    def steps(self, duration: Mapping[str, float]) -> int:
        """The least number of whole steps that reaches a duration, such as {"tokens": 1000}."""
        return math.ceil(self.exact_steps(duration))

    def exact_steps(self, duration: Mapping[str, float]) -> Fraction:
        """A duration in steps, not rounded; 0 where it is empty."""
        # A decimal is meant as it is written: the float 0.1 is a little more, which would cost a step.
        return sum((Fraction(str(value)) / self.per_step(unit) for unit, value in duration.items()), Fraction(0))

    def cadence(self, section: Every) -> Cadence:
        """When a section is due."""
        return Cadence(self.exact_steps(all_given(section).get("every", {})))

    def in_all_units(self, duration: Mapping[str, float]) -> dict[str, float]:
        """A duration in each unit that is known, for people to read."""
        if "epochs" in duration and not self.epoch_examples:
            return dict(duration)
        steps = self.exact_steps(duration)
        known = [unit for unit in UNITS if unit != "epochs" or self.epoch_examples]
        return {unit: _plain(steps * self.per_step(unit)) for unit in known}


def groups(names: Collection[str]) -> Iterator[dict[str, str]]:
    """Those of the names that give one duration: {"steps": "num_steps", "tokens": "num_tokens", ...}."""
    for stem in [name.removesuffix("_tokens") for name in names if name.endswith("_tokens")]:
        steps = f"{stem}_steps" if f"{stem}_steps" in names else stem
        group = {"steps": steps, **{unit: f"{stem}_{unit}" for unit in UNITS[1:]}}
        if all(name in names for name in group.values()):
            yield group


def check(section: Any, path: str, *, needed: Collection[str] = ()) -> None:
    """Checks every duration of a section. `needed`: the fields in steps of those that must be given.

    Raises:
      ValueError: a negative one, one given twice, one that is needed and not given.
    """
    fields = _fields(section)
    for group in groups(fields):
        for name in group.values():
            if not 0 <= fields[name] < math.inf:
                raise ValueError(f"{path}.{name}: expected 0 or more, got {fields[name]}")
        steps, names = group["steps"], ", ".join(group.values())
        told = [f"{group[unit]}={value}" for unit, value in _given(fields, group).items()]
        if len(told) > 1:
            raise ValueError(f"{path}: expected one of {names}, got {' and '.join(told)}; write 0 for all but one")
        if steps in needed and not told:
            raise ValueError(f"{path}.{steps}: expected one of {names}, got none; write {path}.{steps}=1000")


def all_given(spec: Any, path: str = "") -> dict[str, dict[str, float]]:
    """The durations of a spec and of what lies in it, by the dotted path of the field in steps: {"tokens": 1000}."""
    fields, found = _fields(spec), dict[str, dict[str, float]]()
    for group in groups(fields):
        if duration := _given(fields, group):
            found[path + group["steps"]] = duration
    for name, inner in fields.items():
        found |= all_given(inner, f"{path}{name}.")
    return found


def in_steps(spec: Any, pace: Pace) -> Any:
    """The same spec with all its durations in whole steps. Cadences stay as they are: see `Pace.cadence`."""
    if isinstance(spec, Mapping):
        return {name: in_steps(inner, pace) for name, inner in spec.items()}
    if not (fields := _fields(spec)):
        return spec
    changes = {name: in_steps(inner, pace) for name, inner in fields.items()}
    for group in groups(fields):
        if not is_cadence(group["steps"]):
            changes |= dict.fromkeys(group.values(), 0) | {group["steps"]: pace.steps(_given(fields, group))}
    return dataclasses.replace(spec, **changes)


def is_cadence(path: str) -> bool:
    """Whether a field in steps, by its name or dotted path, says how often and not how long."""
    return path.rpartition(".")[2] == "every"


def give_way(
    config: Mapping[str, Any], *, chosen: Collection[str], path: str = ""
) -> tuple[dict[str, Any], dict[str, str]]:
    """Where a duration is given by a `chosen` field, its fields in other units become 0.

    Args:
      config: with every default written out.
      chosen: dotted paths, such as those on the command line.

    Returns:
      the config, and {path that gave way: path that took its place}.
    """
    settled, places = dict(config), dict[str, str]()
    for group in groups(config):
        winners = [name for name in group.values() if config[name] and path + name in chosen]
        losers = [name for name in group.values() if config[name] and name not in winners]
        if winners:
            settled |= {name: 0.0 if isinstance(config[name], float) else 0 for name in losers}
            places |= {path + name: path + winners[0] for name in losers}
    for name, section in config.items():
        if isinstance(section, Mapping):
            settled[name], inner = give_way(section, chosen=chosen, path=f"{path}{name}.")
            places |= inner
    return settled, places


def _fields(spec: Any) -> dict[str, Any]:
    """What lies in a dataclass or in a mapping by name; nothing in anything else."""
    if isinstance(spec, Mapping):
        return dict(spec)
    is_spec = dataclasses.is_dataclass(spec) and not isinstance(spec, type)
    return {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)} if is_spec else {}


def _given(fields: Mapping[str, Any], group: Mapping[str, str]) -> dict[str, float]:
    return {unit: fields[name] for unit, name in group.items() if fields[name]}


def _plain(value: Fraction) -> float:
    return int(value) if value.denominator == 1 else float(value)
