"""A plain convolutional network: stages of convolutions, each halved by pooling, then a dense head.

By its input's shape it reads images [H, W, C], spectrograms [frames, mels] or raw waves [samples]; on waves its windows
have one column.
"""

import dataclasses
import math
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from models.layers import channel_norm
from models.layers.channel_norm import MakeNorm
from models.layers.conv import Conv, Window, as_image
from models.layers.dropout import dropout, fold
from models.layers.head import Head
from models.layers.linear import Linear
from models.layers.pool import POOLINGS, mean_positions, pool
from models.placement import ONE_DEVICE, Placement

CHOICES = {"norm": ("none", "batch", "group"), "pooling": tuple(POOLINGS), "head": ("mean", "flatten")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CnnConfig:
    """A network's shape. `input_shape`, `num_outputs` and the dtypes are derived by whoever builds it."""

    channels: tuple[int, ...] = (32, 64, 128)  # of each stage
    convs_per_stage: int = 1
    kernel_size: int = 3  # rows and columns of every window
    norm: str = "batch"  # after each convolution: none, batch or group; none has biases in its place
    norm_groups: int = 8  # of group norm
    norm_epsilon: float = 1e-5
    norm_momentum: float = 0.9  # of batch norm's running statistics: the share that a step keeps
    pooling: str = "max"  # at the end of each stage: max or mean
    pool_size: int = 2  # rows and columns that become one
    head: str = "flatten"  # what the dense layers read: every position (flatten), or their mean
    hidden: tuple[int, ...] = ()  # widths of dense layers before the last one
    stage_dropout: float = 0.0  # after each stage's pooling
    dropout: float = 0.0  # before each dense layer
    input_shape: tuple[int, ...]
    num_outputs: int
    param_dtype: str = "float32"
    compute_dtype: str = "float32"

    def __post_init__(self):
        for name in ("channels", "hidden"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            if any(size < 1 for size in getattr(self, name)):
                raise ValueError(f"model.{name}: expected numbers of at least 1, got {getattr(self, name)}")
        if not self.channels:
            raise ValueError("model.channels: expected the channels of one stage or more, got (); write (32, 64, 128)")
        for name in ("convs_per_stage", "kernel_size", "pool_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"model.{name}: expected at least 1, got {getattr(self, name)}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"model.{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")
        for name in ("stage_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"model.{name}: expected a share in [0, 1), got {getattr(self, name)}")
        channel_norm.check(self, self.channels)
        self._check_input()

    def _check_input(self):
        if not 1 <= len(self.input_shape) <= 3:
            raise ValueError(
                "data.shape: expected (height, width, channels), (frames, mels) or (samples,) for a convolutional "
                f"network, got {self.input_shape}"
            )
        if min(self.final_window) < 1:
            raise ValueError(
                f"model.channels: expected fewer stages: {len(self.channels)} of them, each {self.pool_size} times "
                f"smaller than the last, leave nothing of {self.input_shape}"
            )

    @property
    def attention_shape(self) -> None:
        """It has no attention."""

    def square(self, size: int) -> Window:
        """A window of this size: of one column where the input is a wave."""
        return (size, 1 if len(self.input_shape) == 1 else size)

    @property
    def final_window(self) -> Window:
        """Rows and columns after the last stage."""
        sizes = (*self.input_shape, 1)[:2]
        shrink = self.square(self.pool_size ** len(self.channels))
        return (sizes[0] // shrink[0], sizes[1] // shrink[1])


class ConvNorm(nnx.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, config: CnnConfig, sizes: tuple[int, int], *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.param_dtype)
        self.conv = Conv(
            sizes,
            window=config.square(config.kernel_size),
            use_bias=config.norm == "none",
            param_dtype=dtype,
            compute_dtype=config.compute_dtype,
            rngs=rngs,
        )
        make_norm = MakeNorm(config.norm, config.norm_groups, config.norm_momentum, config.norm_epsilon, dtype)
        self.norm = make_norm(sizes[1])

    def __call__(self, x_BHWC, *, is_training: bool, placement):
        x_BHWC = self.conv(x_BHWC, placement=placement)
        if self.norm is not None:
            x_BHWC = self.norm(x_BHWC, is_training=is_training, placement=placement)
        return jax.nn.relu(x_BHWC)


class Cnn(nnx.Module):
    """Images, spectrograms or waves to the logits of classes, or to numbers."""

    Config = CnnConfig

    def __init__(self, config: CnnConfig, *, rngs: nnx.Rngs):
        self.config = config
        size = (*config.input_shape, 1)[2] if len(config.input_shape) > 1 else 1
        self.stages: nnx.List[Any] = nnx.List()
        for channels in config.channels:
            sizes = [(size, channels), *[(channels, channels)] * (config.convs_per_stage - 1)]
            self.stages.append(nnx.List([ConvNorm(config, pair, rngs=rngs) for pair in sizes]))
            size = channels
        size *= math.prod(config.final_window) if config.head == "flatten" else 1
        widths = (size, *config.hidden)
        self.hidden = nnx.List([dense(config, pair, rngs=rngs) for pair in pairwise(widths)])
        self.head = Head(widths[-1], config.num_outputs, param_dtype=jnp.dtype(config.param_dtype), rngs=rngs)

    def __call__(
        self,
        inputs: Float[Array, "B *shape"],
        *,
        dropout_keys_B: Key[Array, "B"] | None = None,
        placement: Placement = ONE_DEVICE,
    ) -> Float[Array, "B C"]:
        """Logits in float32. `None` keys: evaluation, with batch norm's running statistics."""
        x_BHWC = as_image(inputs).astype(self.config.compute_dtype)
        window = self.config.square(self.config.pool_size)
        for index, stage in enumerate(self.stages):
            for layer in stage:
                x_BHWC = layer(x_BHWC, is_training=dropout_keys_B is not None, placement=placement)
            x_BHWC = pool(x_BHWC, window, kind=self.config.pooling)
            x_BHWC = dropout(x_BHWC, fold(dropout_keys_B, index), rate=self.config.stage_dropout)
        pooled = self.config.head == "mean"
        x_BO = mean_positions(x_BHWC) if pooled else x_BHWC.reshape(x_BHWC.shape[0], -1)
        drop = lambda x, site: dropout(x, fold(dropout_keys_B, len(self.stages) + site), rate=self.config.dropout)
        for index, layer in enumerate(self.hidden):
            x_BO = jax.nn.relu(layer("BX,XO->BO", drop(x_BO, index), placement=placement))
        return self.head(drop(x_BO, len(self.hidden)), placement=placement)


def dense(config: CnnConfig, sizes: tuple[int, int], *, rngs: nnx.Rngs) -> Linear:
    """A hidden layer, which starts as a convolution does."""
    dtype = jnp.dtype(config.param_dtype)
    kernel = jax.random.normal(rngs.params(), sizes, dtype) * (2 / sizes[0]) ** 0.5
    return Linear(kernel, "XO", jnp.zeros(sizes[1], dtype), "N", dtype=config.compute_dtype)
