"""Classes of examples: one of several."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from clu.metrics import Metric
from jaxtyping import Array, Key

from train import losses, metrics
from train.fields import at_least
from train.objectives.objective import Context, Sums, check_label_smoothing, check_labels, check_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classify:
    """Softmax cross entropy of each example's class (config section `objective`), with `data.labels="class"`.

    `class_weights`, one a class, say how much an example of it counts; `focal_gamma` above 0 makes it the focal loss,
    in which examples that are sure already count less. The loss of evaluations is plain cross entropy.
    """

    reads: ClassVar[str] = "examples"
    whole_batch: ClassVar[bool] = False

    z_loss: float = 0.0
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()  # (): all count alike
    focal_gamma: float = 0.0

    def __post_init__(self):
        at_least(0, {"objective.z_loss": self.z_loss, "objective.focal_gamma": self.focal_gamma})
        check_label_smoothing(self.label_smoothing)

    def __call__(
        self, model: Callable, batch: Mapping[str, Array], keys_B: Key[Array, "B"] | None, constants: Any
    ) -> Sums:
        scores_BC = model(batch["inputs"], dropout_keys_B=keys_B)
        labels, weights_B = batch["labels"], batch["weights"]
        values = losses.cross_entropy(scores_BC, labels, **dataclasses.asdict(self))
        totals = {name: jnp.sum(value * weights_B) for name, value in values._asdict().items()}
        counts = dict.fromkeys(totals, jnp.sum(weights_B))
        if self.class_weights:
            counts["loss"] = jnp.sum(losses.target_weights(labels, self.class_weights) * weights_B)
        rows = {"scores": scores_BC, "labels": labels, "weights": weights_B} if keys_B is None else {}
        return Sums(totals, counts, rows)

    def num_outputs(self, data: Any) -> int:
        """One for each class."""
        check_labels(data, ["class"], objective="classify")
        check_weights("class_weights", self.class_weights, data.num_classes, of="classes")
        return data.num_classes

    def metrics(self, sums: Sums, context: Context) -> dict[str, Metric]:
        """The mergeable metrics of rows that were fetched; `loss` is the log loss, without smoothing."""
        rows = sums.rows
        found = metrics.classification(rows["scores"], rows["labels"], rows["weights"])
        return {"loss": found.pop("log_loss"), **found}
