"""A vision Transformer (Dosovitskiy et al., 2020, https://arxiv.org/abs/2010.11929) of images and of spectrograms.

On [frames, mels] it is the audio spectrogram Transformer (Gong et al., 2021, https://arxiv.org/abs/2104.01778): there
the patches may overlap. With patches as wide as the image, rows are tokens.

Published shapes, with patches of (16, 16): Ti has model_size 192, 3 heads; S 384, 6; B 768, 12, each 12 layers; L 1024,
16 heads, 24 layers; mlp_size is four times model_size.
"""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from models.layers import block as blocks
from models.layers import patches
from models.layers.attention import LayerKind, Scoring
from models.layers.block_config import BlockConfig
from models.layers.head import Head
from models.layers.linear import Linear, param
from models.placement import ONE_DEVICE, Placement


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTConfig(BlockConfig):
    """A vision Transformer's shape. `input_shape`, [rows, columns, channels] or [frames, mels], `num_outputs` and the
    dtypes are derived by whoever builds it."""

    num_kv_heads: int = 0  # 0: as many as num_heads
    norm: str = "layer"
    norm_epsilon: float = 1e-6
    activation: str = "gelu_exact"
    use_bias: bool = True
    patch_shape: tuple[int, ...] = (16, 16)  # rows and columns of a patch
    patch_stride: tuple[int, ...] = ()  # from one to the next; (): patch_shape, so that they do not overlap
    pool: str = "token"  # the logits come from a class token, or from the mean of all patches ("mean")
    num_registers: int = 0  # tokens that nothing is read from (Darcet et al., 2023, https://arxiv.org/abs/2309.16588)
    positions: str = "learned"  # or "sin_cos", fixed; or "rope", turned in every layer by row and column
    rope_theta: float = 100.0
    input_shape: tuple[int, ...]
    num_outputs: int

    def __post_init__(self):
        if self.num_kv_heads == 0:
            object.__setattr__(self, "num_kv_heads", self.num_heads)
        super().__post_init__()
        self.check_choices({"pool": ("token", "mean"), "positions": ("learned", "sin_cos", "rope")})
        if self.num_registers < 0:
            raise ValueError(f"model.num_registers: expected 0 or more, got {self.num_registers}")
        if self.rope_theta <= 0:
            raise ValueError(f"model.rope_theta: expected a number above 0, got {self.rope_theta}")
        turned = {"sin_cos": "model_size", "rope": "head_size"}.get(self.positions)
        if turned and getattr(self, turned) % 4:
            raise ValueError(
                f"model.{turned}: positions={self.positions!r} expect a multiple of 4, got {getattr(self, turned)}"
            )
        self._complete_patches()

    def _complete_patches(self):
        if len(self.input_shape) not in (2, 3):
            raise ValueError(
                f"model.name: a vision Transformer expects [rows, columns, channels] or [frames, mels], got examples "
                f"of shape {self.input_shape}"
            )
        overlap = self.patch_stride
        for name, default in (("patch_shape", ()), ("patch_stride", self.patch_shape)):
            object.__setattr__(self, name, tuple(getattr(self, name)) or default)
            sizes = getattr(self, name)
            if len(sizes) != 2 or min(sizes) < 1:
                raise ValueError(f"model.{name}: expected rows and columns, both at least 1, got {sizes}")
        for length, size in zip(self.input_shape, self.patch_shape, strict=False):
            if size > length or (not overlap and length % size):
                raise ValueError(
                    f"model.patch_shape: expected divisors of the {self.input_shape[:2]} of an example, got "
                    f"{self.patch_shape}; crop or pad in data.transforms, or give a model.patch_stride"
                )

    @property
    def grid(self) -> tuple[int, int]:
        """How many patches stand below and beside each other."""
        down, across = (
            patches.num_windows(length, size=size, stride=stride)
            for length, size, stride in zip(self.input_shape[:2], self.patch_shape, self.patch_stride, strict=True)
        )
        return down, across

    @property
    def patch_size(self) -> int:
        """Values of a patch."""
        num_channels = self.input_shape[2] if len(self.input_shape) == 3 else 1
        return self.patch_shape[0] * self.patch_shape[1] * num_channels

    @property
    def num_tokens(self) -> int:
        """Positions before the patches: the registers, then the class token."""
        return self.num_registers + (self.pool == "token")

    @property
    def attention_shape(self) -> tuple[int, int]:
        """Positions of a row, and the size of a head."""
        return self.num_tokens + self.grid[0] * self.grid[1], self.head_size

    @property
    def scoring(self) -> Scoring:
        scale = self.query_scale or self.head_size**-0.5
        return Scoring(scale=scale, causal=False, dtype=jnp.dtype(self.softmax_dtype))

    def layer_kinds(self) -> LayerKind:
        windows = np.zeros(self.num_layers, np.int32)
        if self.positions != "rope":
            return LayerKind(windows, None)
        freqs = patches.axial_frequencies(self.head_size, theta=self.rope_theta)
        return LayerKind(windows, np.stack([freqs] * self.num_layers))


class ViT(nnx.Module):
    """Images or spectrograms to logits. A row's positions are the registers, the class token, then the patches."""

    Config = ViTConfig

    def __init__(self, config: ViTConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.param_dtype)
        normal = lambda *shape, std: jax.random.normal(rngs.params(), shape, dtype) * std
        size = config.model_size
        self.config = config
        kernel = normal(config.patch_size, size, std=config.patch_size**-0.5)  # keeps the variance (LeCun)
        bias = jnp.zeros(size, dtype) if config.use_bias else None
        self.patches = Linear(kernel, "XD", bias, "N", dtype=config.compute_dtype)
        if config.num_tokens:
            self.tokens = param(normal(config.num_tokens, size, std=config.init_std), "PD")
        if config.positions == "learned":
            num_positions = config.attention_shape[0] - config.num_registers
            self.positions = param(normal(num_positions, size, std=config.init_std), "PD")
        self.layers = blocks.stack(config, rngs=rngs)
        self.final_norm = config.make_norm()
        self.head = Head(size, config.num_outputs, param_dtype=dtype, rngs=rngs)

    def __call__(
        self,
        inputs: Float[Array, "B *shape"],
        *,
        dropout_keys_B: Key[Array, "B"] | None = None,
        placement: Placement = ONE_DEVICE,
    ) -> Float[Array, "B C"]:
        """Logits in float32; `None` keys: no dropout, and no row skips a layer.

        The mean is taken after the last norm, as the class token is read after it.
        """
        config = self.config
        x_BLD = self._embed(inputs, placement)
        where = dict(positions=self._positions(), segments_BL=None, placement=placement)
        x_BLD = blocks.run(self.layers, x_BLD, config, keys_B=dropout_keys_B, **where)
        first, end = config.num_registers, config.num_tokens if config.pool == "token" else x_BLD.shape[1]
        x_BLD = self.final_norm(x_BLD[:, first:end], placement=placement)
        return self.head(jnp.mean(x_BLD, axis=1), placement=placement)

    def _embed(self, inputs, placement) -> Float[Array, "B L D"]:
        config = self.config
        images = inputs if inputs.ndim == 4 else inputs[..., None]
        x_BLX = patches.cut(images, shape=config.patch_shape, stride=config.patch_stride)
        x_BLD = self.patches("BLX,XD->BLD", x_BLX.astype(config.compute_dtype), placement=placement)
        x_BLD = jnp.pad(x_BLD, ((0, 0), (config.num_tokens, 0), (0, 0)))
        for table_PD, first in self._tables():
            above_and_below = (first, x_BLD.shape[1] - first - table_PD.shape[0])
            table_PD = jnp.pad(table_PD.astype(x_BLD.dtype), (above_and_below, (0, 0)))
            x_BLD = x_BLD + placement.spread(table_PD, "PD", x_BLD)
        return placement.activation(x_BLD, "BLD")

    def _tables(self) -> Iterator[tuple[Float[Array, "P D"], int]]:
        """What is added to positions before the first layer, and from which one on."""
        config = self.config
        if config.num_tokens:
            yield self.tokens[...], 0
        if config.positions == "learned":
            yield self.positions[...], config.num_registers
        if config.positions == "sin_cos":
            yield jnp.asarray(patches.sin_cos(config.grid, config.model_size)), config.num_tokens

    def _positions(self) -> Int[Array, "1 L 2"]:
        """Row and column of each position; the tokens before the patches stand at the corner, and are not turned."""
        positions = patches.grid_positions(self.config.grid)
        return jnp.pad(jnp.asarray(positions), ((self.config.num_tokens, 0), (0, 0)))[None]
