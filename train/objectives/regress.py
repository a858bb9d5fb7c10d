"""Numbers that belong to examples."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax.numpy as jnp
from clu.metrics import Metric
from jaxtyping import Array, Float, Key

from train import losses, metrics
from train.objectives.objective import Context, Sums, check_labels, check_weights

LOSSES = ("mse", "mae", "huber")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regress:
    """The mean error of each example's numbers (config section `objective`), with `data.labels="numbers"`.

    Targets are standardised by `target_mean` and `target_std`, one a target, where these are given: the model then
    predicts (target - mean) / std, and so the loss and `delta` are in standard deviations. The metrics `mse` and `mae`
    and the scores of evaluations are in the targets' own units. Write the moments of the training split, for no model
    learns a mean of 150 soon by small steps.
    """

    reads: ClassVar[str] = "examples"
    whole_batch: ClassVar[bool] = False

    loss: str = "mse"  # mse | mae | huber
    delta: float = 1.0  # from here on Huber's loss is straight
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise ValueError(f"objective.loss: expected one of {', '.join(LOSSES)}, got {self.loss!r}")
        if self.delta <= 0 or (self.loss != "huber" and self.delta != 1):
            raise ValueError(f"objective.delta: expected a number above 0, and loss='huber', got {self.delta}")
        if len(self.target_mean) != len(self.target_std):
            raise ValueError(
                f"objective.target_std: expected as many numbers as target_mean={self.target_mean} has, got "
                f"{self.target_std}"
            )

    def __call__(
        self, model: Callable, batch: Mapping[str, Array], keys_B: Key[Array, "B"] | None, constants: Any
    ) -> Sums:
        outputs_BC = model(batch["inputs"], dropout_keys_B=keys_B).astype(jnp.float32)
        labels_BC, weights_B = batch["labels"], batch["weights"]
        mean_1C, std_1C = self._moments(labels_BC.shape[-1])
        scores_BC = outputs_BC * std_1C + mean_1C
        values = {
            "loss": self._loss(outputs_BC, (labels_BC - mean_1C) / std_1C),
            "mse": losses.squared_error(scores_BC, labels_BC),
            "mae": losses.absolute_error(scores_BC, labels_BC),
        }
        totals = {name: jnp.sum(value * weights_B) for name, value in values.items()}
        rows = {"scores": scores_BC, "labels": labels_BC, "weights": weights_B} if keys_B is None else {}
        return Sums(totals, dict.fromkeys(totals, jnp.sum(weights_B)), rows)

    @property
    def _loss(self) -> Callable[..., Float[Array, "B"]]:
        if self.loss == "huber":
            return partial(losses.huber, delta=self.delta)
        return losses.squared_error if self.loss == "mse" else losses.absolute_error

    def _moments(self, num_targets: int) -> tuple[Float[Array, "1 C"], Float[Array, "1 C"]]:
        mean, std = self.target_mean or (0.0,) * num_targets, self.target_std or (1.0,) * num_targets
        return jnp.asarray([mean], jnp.float32), jnp.asarray([std], jnp.float32)

    def num_outputs(self, data: Any) -> int:
        """One for each number."""
        check_labels(data, ["numbers"], objective="regress")
        check_weights("target_std", self.target_std, data.num_targets, of="targets")
        return data.num_targets

    def metrics(self, sums: Sums, context: Context) -> dict[str, Metric]:
        """The mergeable metrics of rows that were fetched, and the loss."""
        rows = sums.rows
        loss = metrics.Mean.of(sums.totals["loss"], sums.counts["loss"])
        return {"loss": loss, **metrics.regression(rows["scores"], rows["labels"], rows["weights"])}
