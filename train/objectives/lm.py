"""Next-token prediction."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Key

from train import losses, metrics
from train.objectives.objective import Context, Sums, check_label_smoothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """Cross entropy of each token given those before it in its document (config section `objective`)."""

    reads: ClassVar[str] = "tokens"
    whole_batch: ClassVar[bool] = False

    z_loss: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self):
        if self.z_loss < 0:
            raise ValueError(f"objective.z_loss: expected 0 or more, got {self.z_loss}; PaLM writes 1e-4")
        check_label_smoothing(self.label_smoothing)

    def __call__(
        self, model: Callable, batch: Mapping[str, Array], keys_B: Key[Array, "B"] | None, constants: Any
    ) -> Sums:
        logits_BLV = model(
            batch["tokens"],
            positions_BL=batch["positions"],
            segments_BL=batch["segment_ids"],
            dropout_keys_B=keys_B,
        )
        weights_BL = batch["weights"]
        values = losses.cross_entropy(
            logits_BLV, batch["targets"], z_loss=self.z_loss, label_smoothing=self.label_smoothing
        )
        total = {name: jnp.sum(value * weights_BL) for name, value in values._asdict().items()}
        return Sums(total, dict.fromkeys(total, jnp.sum(weights_BL)))

    def num_outputs(self, data: Any) -> int:
        """As wide as the vocabulary."""
        return 0

    def metrics(self, sums: Sums, context: Context) -> dict[str, metrics.Mean]:
        """The mergeable metrics of sums that were fetched: loss, perplexity, bits per byte and accuracy."""
        nll, tokens = sums.totals["nll"], sums.counts["nll"]
        return {
            "loss": metrics.Mean.of(nll, tokens),
            "perplexity": metrics.Perplexity.of(nll, tokens),
            "bits_per_byte": metrics.Bits.of(nll, tokens * context.bytes_per_token),
            "accuracy": metrics.Mean.of(sums.totals["correct"], tokens),
        }
