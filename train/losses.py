"""Losses as one value per position, in float32; who calls them weighs, sums and counts."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class CrossEntropy(NamedTuple):
    """Values per position. `loss` is what is minimised; `nll` the plain negative log likelihood in nats."""

    loss: Float[Array, "*shape"]
    nll: Float[Array, "*shape"]
    correct: Bool[Array, "*shape"]


def cross_entropy(
    logits: Float[Array, "*shape V"],
    targets: Int[Array, "*shape"],
    *,
    z_loss: float = 0.0,
    label_smoothing: float = 0.0,
) -> CrossEntropy:
    """Softmax cross entropy over the last axis, which may be cut over a mesh: a mask stands where a gather would.

    `label_smoothing` moves that share of the target's weight to all classes evenly (Szegedy et al., 2015,
    https://arxiv.org/abs/1512.00567, section 7). `z_loss` adds z_loss * log(Z)^2 (PaLM, 2022,
    https://arxiv.org/abs/2204.02311, section 5). `correct`: the target has the greatest logit, the first one of equals.
    """
    logits = logits.astype(jnp.float32)
    classes = jax.lax.broadcasted_iota(
        jnp.int32, logits.shape, logits.ndim - 1, out_sharding=jax.typeof(logits).sharding
    )
    at_target = classes == targets[..., None]
    log_z = jax.nn.logsumexp(logits, axis=-1)
    nll = log_z - jnp.sum(jnp.where(at_target, logits, 0.0), axis=-1)
    loss = nll
    if label_smoothing:
        loss = (1 - label_smoothing) * nll + label_smoothing * (log_z - jnp.mean(logits, axis=-1))
    if z_loss:
        loss = loss + z_loss * jnp.square(log_z)
    is_greatest = logits == jnp.max(logits, axis=-1, keepdims=True)
    first_greatest = jnp.min(jnp.where(is_greatest, classes, logits.shape[-1]), axis=-1)
    return CrossEntropy(loss, nll, first_greatest == targets)
