"""Classes of examples: one of several."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from clu.metrics import Metric
from jaxtyping import Array, Key

from train import losses, metrics
from train.objectives.objective import Context, Sums


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classify:
    """Softmax cross entropy of each example's class (config section `objective`)."""

    reads: ClassVar[str] = "examples"
    whole_batch: ClassVar[bool] = False

    label_smoothing: float = 0.0

    def __post_init__(self):
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"objective.label_smoothing: expected a share in [0, 1), got {self.label_smoothing}")

    def __call__(
        self, model: Callable, batch: Mapping[str, Array], keys_B: Key[Array, "B"] | None, constants: Any
    ) -> Sums:
        scores_BC = model(batch["inputs"], dropout_keys_B=keys_B)
        weights_B = batch["weights"]
        values = losses.cross_entropy(scores_BC, batch["labels"], label_smoothing=self.label_smoothing)
        total = {name: jnp.sum(value * weights_B) for name, value in values._asdict().items()}
        rows = {"scores": scores_BC, "labels": batch["labels"], "weights": weights_B} if keys_B is None else {}
        return Sums(total, dict.fromkeys(total, jnp.sum(weights_B)), rows)

    def num_outputs(self, data: Any) -> int:
        """One for each class."""
        return data.num_classes

    def metrics(self, sums: Sums, context: Context) -> dict[str, Metric]:
        """The mergeable metrics of rows that were fetched; `loss` is the log loss, without smoothing."""
        rows = sums.rows
        found = metrics.classification(rows["scores"], rows["labels"], rows["weights"])
        return {"loss": found.pop("log_loss"), **found}
