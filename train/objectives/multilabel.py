"""Labels of examples that hold or do not, each for itself; with one output, two classes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from clu.metrics import Metric
from jaxtyping import Array, Float, Key

from train import losses, metrics
from train.fields import at_least
from train.objectives.objective import Context, Sums, check_label_smoothing, check_labels, check_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class Multilabel:
    """Sigmoid cross entropy of each example's labels, their mean (config section `objective`).

    With `data.labels="classes"` each class has an output; with two classes and `data.labels="class"` there is one
    output, whose yes is class 1. `positive_weights`, one an output, multiply what a missed yes costs; `focal_gamma`
    above 0 makes it the focal loss. The loss of evaluations is plain cross entropy.
    """

    reads: ClassVar[str] = "examples"
    whole_batch: ClassVar[bool] = False

    label_smoothing: float = 0.0
    positive_weights: tuple[float, ...] = ()  # (): as much as a wrong yes
    focal_gamma: float = 0.0

    def __post_init__(self):
        at_least(0, {"objective.focal_gamma": self.focal_gamma})
        check_label_smoothing(self.label_smoothing)

    def __call__(
        self, model: Callable, batch: Mapping[str, Array], keys_B: Key[Array, "B"] | None, constants: Any
    ) -> Sums:
        scores_BC = model(batch["inputs"], dropout_keys_B=keys_B)
        labels, weights_B = batch["labels"], batch["weights"]
        labels_BC = _columns(labels, scores_BC.shape[-1])
        values = losses.sigmoid_cross_entropy(scores_BC, labels_BC, **dataclasses.asdict(self))
        totals = {name: jnp.sum(value * weights_B) for name, value in values._asdict().items()}
        if labels.ndim == 1:  # as two classes: the softmax of (0, score) is the sigmoid of the score
            scores_BC = jnp.concatenate([jnp.zeros_like(scores_BC), scores_BC], axis=-1)
        rows = {"scores": scores_BC, "labels": labels, "weights": weights_B} if keys_B is None else {}
        return Sums(totals, dict.fromkeys(totals, jnp.sum(weights_B)), rows)

    def num_outputs(self, data: Any) -> int:
        """One for each class, or one for two that exclude each other."""
        check_labels(data, ["classes", "class"], objective="multilabel")
        if data.labels == "class" and data.num_classes != 2:
            raise ValueError(
                f"data.num_classes: expected 2, which objective.name='multilabel' tells apart by one output, got "
                f"{data.num_classes}; write objective.name='classify', or data.labels='classes'"
            )
        number = data.num_classes if data.labels == "classes" else 1
        check_weights("positive_weights", self.positive_weights, number, of="outputs")
        return number

    def metrics(self, sums: Sums, context: Context) -> dict[str, Metric]:
        """The mergeable metrics of rows that were fetched; `loss` is the log loss, without smoothing."""
        rows = sums.rows
        measure = metrics.classification if rows["labels"].ndim == 1 else metrics.multilabel
        found = measure(rows["scores"], rows["labels"], rows["weights"])
        return {"loss": found.pop("log_loss"), **found}


def _columns(labels: Array, num_outputs: int) -> Float[Array, "B C"]:
    """Labels as an output's yes and no each: of two classes, as numbers [B] or as shares [B, 2], the second one's."""
    if labels.ndim == 1:
        return labels[:, None].astype(jnp.float32)
    return labels[:, -num_outputs:]
