"""What every objective is: sums and counts of a batch, so that accumulation, padding and many hosts are right by
construction."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from clu.metrics import Metric
from jaxtyping import Array, Float, Key


class Sums(NamedTuple):
    """What a batch adds up to. `totals["loss"] / counts["loss"]` is minimised; both have the same keys.

    `rows`: what an evaluation keeps of each row, [B, ...], such as its scores; none while training.
    """

    totals: dict[str, Float[Array, ""]]
    counts: dict[str, Float[Array, ""]]
    rows: dict[str, Any] = {}  # noqa: RUF012


@dataclasses.dataclass(frozen=True)
class Context:
    """What metrics want to know of the data."""

    bytes_per_token: float = 0.0  # of source text


class Objective(Protocol):
    """`model` is bound to parameters and a placement; `keys_B` are the rows' own keys, None in evaluation; `constants`
    is a frozen pytree that the step takes as an input (a teacher, a reference policy).

    `reads`: "tokens" of text, or labelled "examples". `whole_batch`: the loss is no sum over rows, so that a batch may
    not be cut in pieces.
    """

    reads: ClassVar[str]
    whole_batch: ClassVar[bool]

    def num_outputs(self, data: Any) -> int:
        """The width of the model's outputs; 0: as wide as the vocabulary."""
        ...

    def __call__(
        self, model: Callable, batch: Mapping[str, Array], keys_B: Key[Array, "B"] | None, constants: Any
    ) -> Sums: ...

    def metrics(self, sums: Sums, context: Context) -> dict[str, Metric]:
        """The mergeable metrics of sums that were fetched."""
        ...


def check_label_smoothing(share: float) -> None:
    if not 0 <= share < 1:
        raise ValueError(f"objective.label_smoothing: expected a share in [0, 1), got {share}")


def check_weights(field: str, weights: Sequence[float], number: int, *, of: str) -> None:
    """Raises a ValueError unless there are none, or a positive one for each `of`."""
    if weights and (len(weights) != number or min(weights) <= 0):
        raise ValueError(f"objective.{field}: expected a number above 0 for each of {number} {of}, got {weights}")


def check_labels(data: Any, kinds: Sequence[str], *, objective: str) -> None:
    """Raises a ValueError unless the labels are of a kind that the objective reads."""
    if data.labels not in kinds:
        raise ValueError(
            f"data.labels: expected {' or '.join(map(repr, kinds))}, which objective.name={objective!r} reads, got "
            f"{data.labels!r}"
        )
