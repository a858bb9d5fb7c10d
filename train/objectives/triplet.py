"""Embeddings of examples: those of one class near, those of others far."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from clu.metrics import Metric
from jaxtyping import Array, Key

from train import metrics, triplet
from train.fields import at_least
from train.objectives.objective import Context, Sums, check_labels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Triplet:
    """The triplet loss of embeddings (config section `objective`), with `data.labels="class"`.

    Triplets are mined among all rows of the global batch, so that batch may not be cut in pieces, and it should hold
    several rows of each of its classes, which `data.rows_per_class` sees to where there are many classes; how they are
    mined is told in `train/triplet.py`. Hermans et al. train with mining="batch_hard", soft_margin=True, margin=0.0
    and unit_length=False; FaceNet with mining="semi_hard", squared=True and a margin of 0.2. Evaluations mine within
    each of their batches, and look for each row's nearest neighbours in their whole split. `active` is the share of
    triplets that miss the margin: near 0 there is nothing left to learn, and a loss that stays at the margin is a
    collapse.
    """

    reads: ClassVar[str] = "examples"
    whole_batch: ClassVar[bool] = True

    embedding_size: int = 64
    mining: str = "batch_hard"  # or semi_hard
    margin: float = 0.2
    soft_margin: bool = False  # softplus instead of a hinge
    squared: bool = False  # squares of Euclidean distances
    unit_length: bool = True  # embeddings are scaled to length one

    def __post_init__(self):
        at_least(1, {"objective.embedding_size": self.embedding_size})
        at_least(0, {"objective.margin": self.margin})
        if self.mining not in triplet.MININGS:
            raise ValueError(f"objective.mining: expected one of {', '.join(triplet.MININGS)}, got {self.mining!r}")

    def __call__(
        self, model: Callable, batch: Mapping[str, Array], keys_B: Key[Array, "B"] | None, constants: Any
    ) -> Sums:
        embeddings_BE = model(batch["inputs"], dropout_keys_B=keys_B)
        if self.unit_length:
            embeddings_BE = triplet.unit_rows(embeddings_BE)
        labels_B, weights_B = batch["labels"], batch["weights"]
        found = triplet.triplet(
            embeddings_BE,
            labels_B,
            weights_B > 0,
            mining=self.mining,
            margin=self.margin,
            soft_margin=self.soft_margin,
            squared=self.squared,
        )
        loss, active, number = (jnp.sum(values_B * weights_B) for values_B in found)
        rows = {"embeddings": embeddings_BE, "labels": labels_B, "weights": weights_B} if keys_B is None else {}
        return Sums({"loss": loss, "active": active}, {"loss": number, "active": number}, rows)

    def num_outputs(self, data: Any) -> int:
        """The width of an embedding."""
        check_labels(data, ["class"], objective="triplet")
        return self.embedding_size

    def metrics(self, sums: Sums, context: Context) -> dict[str, Metric]:
        """The mergeable metrics: of triplets, and of every row among all others, recall at k."""
        rows = sums.rows
        means = {name: metrics.Mean.of(sums.totals[name], sums.counts[name]) for name in sums.totals}
        return means | metrics.retrieval(
            rows["embeddings"],
            rows["labels"],
            rows["weights"],
            distance="cosine" if self.unit_length else "euclidean",
        )
