"""Rows of a global batch mixed on the devices: what `mixup` and `cutmix` in a line of transforms do.

Partners are neighbours: row b meets row b + 1, the last one the first, in an order of examples that is random already.
How much of each is kept comes from the row's own key. So neither hosts nor meshes nor accumulation change it.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from input_pipeline.transforms.mixing import Cutmix, Mixing, Mixup

Batch = Mapping[str, Array]


def apply(mixing: Sequence[Mixing], batch: Batch, keys_B: Key[Array, "B"], *, num_classes: int) -> Batch:
    """The batch after all operations, labels as shares of classes [B, C].

    A row whose partner counts nothing stays as it is.
    """
    inputs, labels_BC = batch["inputs"], shares(batch["labels"], num_classes)
    for place, operation in enumerate(mixing):
        here_B = jax.vmap(lambda key, place=place: jax.random.fold_in(key, place))(keys_B)
        alone_B = neighbour(batch["weights"]) == 0
        mix = {Mixup: mixup, Cutmix: cutmix}[type(operation)]
        inputs, kept_B = mix(inputs, here_B, alone_B, alpha=operation.alpha)
        kept_B1 = kept_B[:, None]
        labels_BC = kept_B1 * labels_BC + (1 - kept_B1) * neighbour(labels_BC)
    return {**batch, "inputs": inputs, "labels": labels_BC}


def shares(labels: Array, num_classes: int) -> Float[Array, "B C"]:
    """Class numbers [B] as shares of classes; numbers and shares stay as they are."""
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        return labels
    classes_BC = jnp.arange(num_classes)[None, :]
    return (labels[:, None] == classes_BC).astype(jnp.float32)


def mixup(
    x: Float[Array, "B *shape"], keys_B: Key[Array, "B"], alone_B: Bool[Array, "B"], *, alpha: float
) -> tuple[Float[Array, "B *shape"], Float[Array, "B"]]:
    """-> (mixed rows, the share of each row that is its own)."""
    kept_B = jnp.where(alone_B, 1.0, jax.vmap(lambda key: jax.random.beta(key, alpha, alpha))(keys_B))
    kept = jnp.expand_dims(kept_B, range(1, x.ndim))
    return kept * x + (1 - kept) * neighbour(x), kept_B


def cutmix(
    x: Float[Array, "B H W *channels"], keys_B: Key[Array, "B"], alone_B: Bool[Array, "B"], *, alpha: float
) -> tuple[Float[Array, "B H W *channels"], Float[Array, "B"]]:
    """-> (mixed rows, the share of each row's area that is its own).

    The rectangle has the share 1 - lambda of the area and the image's proportions, lies around a point drawn evenly
    over the image, and is cut off at the edges: the share is counted after that.
    """
    height, width = x.shape[1:3]
    own_BHW = jax.vmap(lambda key: ~_rectangle(key, height, width, alpha=alpha))(keys_B)
    own_BHW = own_BHW | alone_B[:, None, None]
    kept_B = jnp.mean(own_BHW.astype(jnp.float32), axis=(1, 2))
    return jnp.where(jnp.expand_dims(own_BHW, range(3, x.ndim)), x, neighbour(x)), kept_B


def _rectangle(key: Array, height: int, width: int, *, alpha: float) -> Bool[Array, "H W"]:
    for_share, for_place = jax.random.split(key)
    side = jnp.sqrt(1 - jax.random.beta(for_share, alpha, alpha))
    middle_y, middle_x = jax.random.uniform(for_place, (2,))
    inside_H = jnp.abs(_centres(height) - middle_y) < side / 2
    inside_W = jnp.abs(_centres(width) - middle_x) < side / 2
    return inside_H[:, None] & inside_W[None, :]


def _centres(count: int) -> Float[Array, "count"]:
    return (jnp.arange(count) + 0.5) / count


def neighbour(x: Array) -> Array:
    """Row b + 1 in the place of row b, the first one in the last place. Devices exchange whole rows."""
    roll = lambda rows: jnp.roll(rows, -1, axis=0)
    if jax.typeof(x).sharding.mesh.empty:
        return roll(x)
    return jax.sharding.auto_axes(roll, out_sharding=jax.typeof(x).sharding)(x)
