"""Losses as one value per row or position, in float32; who calls them weighs, sums and counts.

They and their gradients are finite for logits and errors as large as float32 squares. `train/triplet.py` has those
that are no sum over rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

TINY = 1e-30  # a surprise that is zero in effect, but whose powers have a slope


class CrossEntropy(NamedTuple):
    """Values per position. `loss` is what is minimised; `nll` the plain negative log likelihood in nats."""

    loss: Float[Array, "*shape"]
    nll: Float[Array, "*shape"]
    correct: Bool[Array, "*shape"]


class SigmoidCrossEntropy(NamedTuple):
    """Values per row, means over its labels: `correct` is the share of labels on whose side of 0 the logits are."""

    loss: Float[Array, "*shape"]
    nll: Float[Array, "*shape"]
    correct: Float[Array, "*shape"]


def cross_entropy(
    logits: Float[Array, "*shape V"],
    targets: Int[Array, "*shape"] | Float[Array, "*shape V"],
    *,
    z_loss: float = 0.0,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] = (),
    focal_gamma: float = 0.0,
) -> CrossEntropy:
    """Softmax cross entropy over the last axis, which may be cut over a mesh: a mask stands where a gather would.

    `targets` are classes, or distributions over them, as mixup makes: -sum_c q_c log p_c. `label_smoothing` moves that
    share of the target's weight to all classes evenly (Szegedy et al., 2015, https://arxiv.org/abs/1512.00567, section
    7). `z_loss` adds z_loss * log(Z)^2 (PaLM, 2022, https://arxiv.org/abs/2204.02311, section 5). `class_weights`
    multiply each class's term, after smoothing (torch.nn.CrossEntropyLoss's formula), and `focal_gamma` multiplies it
    by (1 - p_c)^gamma (Lin et al., 2017, https://arxiv.org/abs/1708.02002, equation 5). `correct`: the target has the
    greatest logit, the first one of equals.
    """
    logits = logits.astype(jnp.float32)
    classes = jax.lax.broadcasted_iota(
        jnp.int32, logits.shape, logits.ndim - 1, out_sharding=jax.typeof(logits).sharding
    )
    log_z = jax.nn.logsumexp(logits, axis=-1)
    if jnp.issubdtype(targets.dtype, jnp.integer):
        shares = classes == targets[..., None]
        nll = log_z - jnp.sum(jnp.where(shares, logits, 0.0), axis=-1)
    else:
        shares = targets.astype(jnp.float32)
        nll = jnp.sum(shares * (log_z[..., None] - logits), axis=-1)
        targets = _first_greatest(shares, classes)
    loss = nll
    if class_weights or focal_gamma:
        smoothed = (1 - label_smoothing) * shares + label_smoothing / logits.shape[-1]
        loss = jnp.sum(smoothed * _class_costs(logits - log_z[..., None], class_weights, focal_gamma), axis=-1)
    elif label_smoothing:
        loss = (1 - label_smoothing) * nll + label_smoothing * (log_z - jnp.mean(logits, axis=-1))
    if z_loss:
        loss = loss + z_loss * jnp.square(log_z)
    return CrossEntropy(loss, nll, _first_greatest(logits, classes) == targets)


def target_weights(
    targets: Int[Array, "*shape"] | Float[Array, "*shape V"], class_weights: Sequence[float]
) -> Float[Array, "*shape"]:
    """What each target counts where classes have weights: their mean loss is divided by the sum of these, as in
    torch.nn.CrossEntropyLoss. (Of distributions PyTorch counts the rows instead.)"""
    if jnp.issubdtype(targets.dtype, jnp.integer):
        is_target = targets[..., None] == _over(jnp.arange(len(class_weights)), targets.ndim + 1)
        targets = is_target.astype(jnp.float32)
    return jnp.sum(targets * _over(class_weights, targets.ndim), axis=-1)


def _first_greatest(values: Float[Array, "*shape V"], classes: Int[Array, "*shape V"]) -> Int[Array, "*shape"]:
    is_greatest = values == jnp.max(values, axis=-1, keepdims=True)
    return jnp.min(jnp.where(is_greatest, classes, values.shape[-1]), axis=-1)


def _class_costs(
    log_p: Float[Array, "*shape V"], class_weights: Sequence[float], focal_gamma: float
) -> Float[Array, "*shape V"]:
    """What each class's share of the target costs."""
    costs = -log_p
    if focal_gamma:
        costs = costs * jnp.power(-jnp.expm1(jnp.minimum(log_p, -TINY)), focal_gamma)
    if class_weights:
        costs = costs * _over(class_weights, costs.ndim)
    return costs


def _over(values: Sequence[float] | Array, ndim: int) -> Float[Array, "*ones C"]:
    """Numbers of the last axis as they broadcast against an array of so many dims."""
    return jnp.expand_dims(jnp.asarray(values, jnp.float32), range(ndim - 1))


def sigmoid_cross_entropy(
    logits: Float[Array, "*shape C"],
    targets: Float[Array, "*shape C"],
    *,
    label_smoothing: float = 0.0,
    positive_weights: Sequence[float] = (),
    focal_gamma: float = 0.0,
) -> SigmoidCrossEntropy:
    """Sigmoid cross entropy of independent labels in [0, 1], the mean over the last axis; C = 1 is the binary case.

    `label_smoothing` moves that share of a target's weight to yes and no evenly. `positive_weights` multiply the cost
    of the positives of each label, as their number among so many negatives may ask for (torch.nn.BCEWithLogitsLoss's
    `pos_weight`). `focal_gamma` multiplies the cost of a yes by (1 - p)^gamma and of a no by p^gamma (Lin et al., 2017,
    https://arxiv.org/abs/1708.02002, equation 4; their alpha is a positive weight of alpha / (1 - alpha), but for a
    factor).
    """
    logits, targets = logits.astype(jnp.float32), targets.astype(jnp.float32)
    log_yes, log_no = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    nll = -(targets * log_yes + (1 - targets) * log_no)
    is_correct = (logits > 0) == (targets > 0.5)
    loss = nll
    if label_smoothing or focal_gamma or positive_weights:
        yes = (1 - label_smoothing) * targets + label_smoothing / 2
        yes_cost = -log_yes * jnp.exp(focal_gamma * log_no)
        no_cost = -log_no * jnp.exp(focal_gamma * log_yes)
        if positive_weights:
            yes_cost = yes_cost * _over(positive_weights, yes_cost.ndim)
        loss = yes * yes_cost + (1 - yes) * no_cost
    return SigmoidCrossEntropy(*(jnp.mean(values, axis=-1, dtype=jnp.float32) for values in (loss, nll, is_correct)))


def squared_error(predictions: Float[Array, "*shape C"], targets: Float[Array, "*shape C"]) -> Float[Array, "*shape"]:
    """The mean square of a row's errors, without a factor of one half."""
    return jnp.mean(jnp.square(_errors(predictions, targets)), axis=-1)


def absolute_error(predictions: Float[Array, "*shape C"], targets: Float[Array, "*shape C"]) -> Float[Array, "*shape"]:
    """The mean of a row's absolute errors; where an error is 0, so is the gradient."""
    return jnp.mean(jnp.abs(_errors(predictions, targets)), axis=-1)


def huber(
    predictions: Float[Array, "*shape C"], targets: Float[Array, "*shape C"], *, delta: float = 1.0
) -> Float[Array, "*shape"]:
    """The mean over a row of half the square of errors up to `delta`, and straight lines beyond (Huber, 1964,
    https://doi.org/10.1214/aoms/1177703732, equation 1.5)."""
    sizes = jnp.abs(_errors(predictions, targets))
    near = jnp.minimum(sizes, delta)
    return jnp.mean(0.5 * jnp.square(near) + delta * (sizes - near), axis=-1)


def _errors(predictions: Float[Array, "*shape C"], targets: Float[Array, "*shape C"]) -> Float[Array, "*shape C"]:
    return predictions.astype(jnp.float32) - targets.astype(jnp.float32)
