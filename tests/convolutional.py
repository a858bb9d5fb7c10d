"""Small convolutional models of every kind, and their layers written slowly, in float64, in the papers' own terms."""

import jax
import numpy as np
from flax import nnx

from models.cnn import Cnn, CnnConfig
from models.resnet import ResNet, ResNetConfig

CNN = dict(channels=(8, 16), norm_groups=4, num_outputs=8)
RESNET = dict(width=1 / 8, num_outputs=8, zero_init=False)
MODELS = {
    "plain": (Cnn, CnnConfig(**CNN, norm="none", hidden=(24,), input_shape=(9, 8, 3))),
    "batch": (Cnn, CnnConfig(**CNN, norm="batch", convs_per_stage=2, pooling="mean", input_shape=(8, 8, 1))),
    "spectrogram": (Cnn, CnnConfig(**CNN, norm="group", head="mean", input_shape=(12, 10))),
    "wave": (Cnn, CnnConfig(**CNN, norm="batch", kernel_size=5, pool_size=4, input_shape=(64,))),
    "resnet18": (ResNet, ResNetConfig(**RESNET, depth=18, stem="small", input_shape=(8, 8, 3))),
    "resnet50": (ResNet, ResNetConfig(**RESNET, depth=50, norm="group", norm_groups=4, input_shape=(20, 16))),
}


def make(name: str, **changes) -> nnx.Module:
    """A model whose every leaf is random, running statistics included, so that none is without effect."""
    model_class, config = MODELS[name]
    model = model_class(type(config)(**{**vars(config), **changes}), rngs=nnx.Rngs(0))
    state = nnx.state(model, (nnx.Param, nnx.BatchStat))
    leaves, tree = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [
        leaf + jax.random.uniform(key, leaf.shape, minval=0, maxval=0.3) for leaf, key in zip(leaves, keys, strict=True)
    ]
    nnx.update(model, jax.tree.unflatten(tree, noisy))
    return model


def inputs_of(name: str, num_rows: int = 8) -> np.ndarray:
    shape = MODELS[name][1].input_shape
    return np.random.default_rng(0).normal(size=(num_rows, *shape)).astype(np.float32)


def keys_of(num_rows: int = 8, seed: int = 2) -> jax.Array:
    return jax.random.split(jax.random.key(seed), num_rows)


# --- written slowly ---


def arrays(model: nnx.Module) -> dict:
    """Parameters and statistics as nested dicts in float64."""
    state = nnx.to_pure_dict(nnx.state(model, (nnx.Param, nnx.BatchStat)))
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state)


def conv(w: dict, x: np.ndarray, *, stride: int = 1) -> np.ndarray:
    """One output position at a time."""
    rows, columns = w["kernel"].shape[:2]
    padding = ((0, 0), ((rows - 1) // 2, rows // 2), ((columns - 1) // 2, columns // 2), (0, 0))
    padded = np.pad(x, padding)
    y = np.zeros((len(x), *(-(-size // stride) for size in x.shape[1:3]), w["kernel"].shape[3]))
    for i, j in np.ndindex(*y.shape[1:3]):
        piece = padded[:, i * stride :, j * stride :][:, :rows, :columns]
        y[:, i, j] = np.tensordot(piece, w["kernel"], 3)
    return y + w.get("bias", 0)


def batch_norm(w: dict, x: np.ndarray, *, is_training: bool) -> np.ndarray:
    mean, variance = w["mean"], w["variance"]
    if is_training:
        rows = x.reshape(-1, x.shape[-1])
        mean, variance = rows.mean(0), rows.var(0)
    return (x - mean) / np.sqrt(variance + 1e-5) * w["scale"] + w["bias"]


def group_norm(w: dict, x: np.ndarray, *, num_groups: int) -> np.ndarray:
    y = np.zeros_like(x)
    size = x.shape[-1] // num_groups
    for row, group in np.ndindex(len(x), num_groups):
        channels = slice(group * size, (group + 1) * size)
        values = x[row, ..., channels]
        y[row, ..., channels] = (values - values.mean()) / np.sqrt(values.var() + 1e-5)
    return y * w["scale"] + w["bias"]


def pooled(x: np.ndarray, window: tuple[int, int], *, kind: str) -> np.ndarray:
    height, width = x.shape[1] // window[0], x.shape[2] // window[1]
    y = np.zeros((len(x), height, width, x.shape[3]))
    for i, j in np.ndindex(height, width):
        piece = x[:, i * window[0] :, j * window[1] :][:, : window[0], : window[1]]
        y[:, i, j] = getattr(piece, kind)(axis=(1, 2))
    return y
