"""What every objective is: sums and counts of a batch, so that accumulation, padding and many hosts are right by
construction."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from jaxtyping import Array, Float, Key

from train.metrics import Mean


class Sums(NamedTuple):
    """What a batch adds up to. `totals["loss"] / counts["loss"]` is minimised; both have the same keys."""

    totals: dict[str, Float[Array, ""]]
    counts: dict[str, Float[Array, ""]]


class Objective(Protocol):
    """`model` is bound to parameters and a placement; `keys_B` are the rows' own keys, None in evaluation; `constants`
    is a frozen pytree that the step takes as an input (a teacher, a reference policy)."""

    def __call__(
        self, model: Callable, batch: Mapping[str, Array], keys_B: Key[Array, "B"] | None, constants: Any
    ) -> Sums: ...

    def metrics(self, sums: Sums, *, bytes_per_token: float) -> dict[str, Mean]:
        """The mergeable metrics of sums that were fetched."""
        ...
