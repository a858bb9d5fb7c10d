"""Groups of parameters with rates and decays of their own (config section `optimizer.groups`)."""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence

import optax

from train import trees


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """The parameters whose names, such as `layers/mlp/up/kernel`, the regex `params` finds.

    `rate` and `decay` are factors: of the run's learning rate, whatever its schedule, and of its weight decay and L1.
    A group of rate 0 is frozen: it has no optimizer state, and its gradients do not count for the clipping.
    """

    params: str
    rate: float = 1.0
    decay: float = 1.0

    def check(self, path: str) -> None:
        """Raises a ValueError that names the field after `path`, such as "optimizer.groups.embed"."""
        for name in ("rate", "decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{path}.{name}: expected 0 or more, got {getattr(self, name)}")
        check_regex(self.params, path=f"{path}.params")


def assign(groups: Mapping[str, Group], names: Sequence[str]) -> dict[str, str]:
    """{parameter: its group} of those that have one. Groups are tried in the order of their names; the first one wins.

    Raises:
      ValueError: a group that finds nothing, or nothing that a group before it did not take.
    """
    taken: dict[str, str] = {}
    for label in sorted(groups):
        path, pattern = f"optimizer.groups.{label}.params", groups[label].params
        found = find(pattern, names, path=path)
        fresh = [name for name in found if name not in taken]
        if not fresh:
            before = ", ".join(sorted({taken[name] for name in found}))
            raise ValueError(
                f"{path}: expected parameters of its own, got {pattern!r}, whose parameters all belong to {before}; "
                "groups are tried in the order of their names: write another regex, or rename one"
            )
        taken |= dict.fromkeys(fresh, label)
    return taken


def find(pattern: str, names: Sequence[str], *, path: str) -> list[str]:
    """The names that the regex finds. Raises a ValueError that names close ones where it finds none."""
    found = [name for name in names if re.search(pattern, name)]
    if not found:
        near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3) or list(names[:3])
        raise ValueError(
            f"{path}: expected a regex that finds parameters, got {pattern!r}; names near it: {', '.join(near)}"
        )
    return found


def check_regex(pattern: str, *, path: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{path}: expected a regex, got {pattern!r}: {error}") from None


def freeze(transformation: optax.GradientTransformation, frozen: list[str]) -> optax.GradientTransformation:
    """The transformation without the frozen parameters, which get updates of zero and no state."""
    if not frozen:
        return transformation
    is_frozen = lambda params: trees.map_with_name(lambda name, _: name in frozen, params)
    is_trained = lambda params: trees.map_with_name(lambda name, _: name not in frozen, params)
    return optax.chain(optax.masked(transformation, is_trained), optax.masked(optax.set_to_zero(), is_frozen))
