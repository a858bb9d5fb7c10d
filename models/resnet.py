"""ResNet (He et al., 2015, https://arxiv.org/abs/1512.03385) in its v1.5 form, as torchvision has it: a bottleneck's
stride stands in its 3 x 3 convolution. 18, 34, 50, 101 or 152 layers; the parameters equal the published counts."""

import dataclasses
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from models.layers import channel_norm
from models.layers.channel_norm import MakeNorm
from models.layers.conv import Conv, as_image
from models.layers.dropout import drop_rows, dropout, fold
from models.layers.head import Head
from models.layers.pool import mean_positions, overlapping_max_pool
from models.placement import ONE_DEVICE, Placement


class Kind(NamedTuple):
    """What a depth means (table 1 of the paper)."""

    blocks: tuple[int, ...]  # of each stage
    expansion: int  # a block's outputs beside its inner channels: 4 in a bottleneck


DEPTHS = {
    18: Kind((2, 2, 2, 2), 1),
    34: Kind((3, 4, 6, 3), 1),
    50: Kind((3, 4, 6, 3), 4),
    101: Kind((3, 4, 23, 3), 4),
    152: Kind((3, 8, 36, 3), 4),
}
CHOICES = {"depth": tuple(DEPTHS), "stem": ("imagenet", "small"), "norm": ("batch", "group")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """A network's shape. `input_shape`, `num_outputs` and the dtypes are derived by whoever builds it."""

    depth: int = 18
    width: float = 1.0  # of all channels beside the paper's, 64 in the first stage
    stem: str = (
        "imagenet"  # 7 x 7 with stride 2 and max pooling; small: 3 x 3 with stride 1, for images up to 64 pixels
    )
    norm: str = "batch"
    norm_groups: int = 32  # of group norm
    norm_epsilon: float = 1e-5
    norm_momentum: float = 0.9  # of batch norm's running statistics: the share that a step keeps
    zero_init: bool = True  # every block begins as the identity (Goyal et al., 2017, section 5.1)
    stochastic_depth: float = 0.0  # rows that leave out the last block; it grows linearly from block to block
    dropout: float = 0.0  # before the dense layer
    input_shape: tuple[int, ...]
    num_outputs: int
    param_dtype: str = "float32"
    compute_dtype: str = "float32"

    def __post_init__(self):
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"model.{name}: expected one of {', '.join(map(str, known))}, got {getattr(self, name)!r}"
                )
        for name in ("stochastic_depth", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"model.{name}: expected a share in [0, 1), got {getattr(self, name)}")
        if self.width * 64 < 1:
            raise ValueError(f"model.width: expected at least 1/64, which is one channel, got {self.width}")
        if len(self.input_shape) not in (2, 3):
            raise ValueError(
                f"data.shape: expected (height, width, channels) or (frames, mels) for a ResNet, got {self.input_shape}"
            )
        channel_norm.check(self, self.channels)

    @property
    def attention_shape(self) -> None:
        """It has no attention."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Inner channels of each stage."""
        return tuple(round(64 * 2**stage * self.width) for stage in range(4))

    def make_norm(self) -> MakeNorm:
        return MakeNorm(self.norm, self.norm_groups, self.norm_momentum, self.norm_epsilon, jnp.dtype(self.param_dtype))


class Block(nnx.Module):
    """A branch of two 3 x 3 convolutions, or of 1 x 1, 3 x 3 and 1 x 1, added to its input, which may be projected."""

    def __init__(self, config: ResNetConfig, size: int, inner: int, *, stride: int, rate: float, rngs: nnx.Rngs):
        """`size`: channels that come in; `inner`: the branch's; `rate`: of stochastic depth."""
        expansion = DEPTHS[config.depth].expansion
        windows, strides = ((3, 3), (stride, 1)) if expansion == 1 else ((1, 3, 1), (1, stride, 1))
        sizes = (size, *[inner] * (len(windows) - 1), inner * expansion)
        make_norm, self.rate = config.make_norm(), rate or None
        self.convs: nnx.List[Any] = nnx.List()
        for pair, window, step in zip(pairwise(sizes), windows, strides, strict=True):
            self.convs.append(conv(config, pair, window=window, stride=step, rngs=rngs))
        *first, last = sizes[1:]
        self.norms: nnx.List[Any] = nnx.List(
            [*map(make_norm, first), make_norm(last, start=0.0 if config.zero_init else 1.0)]
        )
        is_projected = stride > 1 or size != last
        self.projection = conv(config, (size, last), window=1, stride=stride, rngs=rngs) if is_projected else None
        self.projection_norm: Any = make_norm(last) if is_projected else None

    def __call__(self, x_BHWC, *, keys_B, placement):
        how = dict(is_training=keys_B is not None, placement=placement)
        branch = x_BHWC
        for index, (layer, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            branch = jax.nn.relu(branch) if index else branch
            branch = norm(layer(branch, placement=placement), **how)
        if self.projection is not None:
            x_BHWC = self.projection_norm(self.projection(x_BHWC, placement=placement), **how)
        return jax.nn.relu(x_BHWC + drop_rows(branch, keys_B, rate=self.rate))


class ResNet(nnx.Module):
    """Images or spectrograms to the logits of classes, or to numbers."""

    Config = ResNetConfig

    def __init__(self, config: ResNetConfig, *, rngs: nnx.Rngs):
        kind, size = DEPTHS[config.depth], config.channels[0]
        window, stride = (7, 2) if config.stem == "imagenet" else (3, 1)
        self.config = config
        self.stem = conv(config, ((*config.input_shape, 1)[2], size), window=window, stride=stride, rngs=rngs)
        self.stem_norm: Any = config.make_norm()(size)
        self.blocks: nnx.List[Any] = nnx.List()
        for stage, (inner, num_blocks) in enumerate(zip(config.channels, kind.blocks, strict=True)):
            for index in range(num_blocks):
                stride = 2 if stage and not index else 1
                rate = config.stochastic_depth * (len(self.blocks) + 1) / sum(kind.blocks)
                self.blocks.append(Block(config, size, inner, stride=stride, rate=rate, rngs=rngs))
                size = inner * kind.expansion
        self.head = Head(size, config.num_outputs, param_dtype=jnp.dtype(config.param_dtype), rngs=rngs)

    def __call__(
        self,
        inputs: Float[Array, "B *shape"],
        *,
        dropout_keys_B: Key[Array, "B"] | None = None,
        placement: Placement = ONE_DEVICE,
    ) -> Float[Array, "B C"]:
        """Logits in float32. `None` keys: evaluation, with batch norm's running statistics."""
        x_BHWC = self.stem(as_image(inputs).astype(self.config.compute_dtype), placement=placement)
        x_BHWC = jax.nn.relu(self.stem_norm(x_BHWC, is_training=dropout_keys_B is not None, placement=placement))
        if self.config.stem == "imagenet":
            x_BHWC = overlapping_max_pool(x_BHWC, (3, 3), stride=(2, 2))
        for index, block in enumerate(self.blocks):
            x_BHWC = block(x_BHWC, keys_B=fold(dropout_keys_B, index), placement=placement)
        x_BD = dropout(mean_positions(x_BHWC), fold(dropout_keys_B, len(self.blocks)), rate=self.config.dropout)
        return self.head(x_BD, placement=placement)


def conv(config: ResNetConfig, sizes: tuple[int, int], *, window: int, stride: int, rngs: nnx.Rngs) -> Conv:
    """A square convolution without a bias: a norm follows."""
    return Conv(
        sizes,
        window=(window, window),
        stride=(stride, stride),
        use_bias=False,
        param_dtype=jnp.dtype(config.param_dtype),
        compute_dtype=config.compute_dtype,
        rngs=rngs,
    )
