"""A decoder Transformer that by config is a GPT-2 or a Llama 3.

GPT-2: Radford et al., 2019; layer norms, learned positions, GELU, biases, tied embeddings.
Llama 3: https://arxiv.org/abs/2407.21783; RMS norms, rotary positions, grouped queries, SwiGLU, no biases.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from models.cache import Cache
from models.layers.attention import Attention
from models.layers.dropout import dropout, fold
from models.layers.linear import MakeLinear, param
from models.layers.mlp import Mlp
from models.layers.norm import Norm
from models.layers.rope import Rope, RopeScaling
from models.placement import ONE_DEVICE, Placement

CHOICES = {
    "norm": ("layer", "rms"),
    "positions": ("learned", "rope"),
    "activation": ("gelu", "swiglu"),
    "layer_loop": ("scan", "unroll"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """A Transformer's shape. `vocab_size`, `max_length` and the dtypes are derived by whoever builds it."""

    num_layers: int
    model_size: int
    num_heads: int
    num_kv_heads: int
    mlp_size: int
    head_size: int = 0  # 0: model_size / num_heads
    norm: str = "rms"
    norm_epsilon: float = 1e-5
    positions: str = "rope"
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling = RopeScaling()
    activation: str = "swiglu"
    use_bias: bool = False
    tie_embeddings: bool = True
    dropout: float = 0.0
    init_std: float = 0.02
    layer_loop: str = "scan"
    vocab_size: int
    max_length: int
    param_dtype: str = "float32"
    compute_dtype: str = "float32"
    softmax_dtype: str = "float32"

    def __post_init__(self):
        for name in ("num_layers", "model_size", "num_heads", "num_kv_heads", "mlp_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"model.{name}: expected at least 1, got {getattr(self, name)}; write a positive number"
                )
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"model.{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"model.num_kv_heads: expected a divisor of model.num_heads={self.num_heads}, got {self.num_kv_heads}; "
                f"write one of {[n for n in range(1, self.num_heads + 1) if self.num_heads % n == 0]}"
            )
        for name in ("norm_epsilon", "rope_theta", "init_std"):
            if getattr(self, name) <= 0:
                raise ValueError(f"model.{name}: expected a number above 0, got {getattr(self, name)}")
        if self.head_size < 0:
            raise ValueError(f"model.head_size: expected 0 (model_size / num_heads) or more, got {self.head_size}")
        if self.head_size == 0:
            if self.model_size % self.num_heads:
                raise ValueError(
                    f"model.num_heads: expected a divisor of model.model_size={self.model_size}, got {self.num_heads}; "
                    "write one that divides it, or a model.head_size of its own"
                )
            object.__setattr__(self, "head_size", self.model_size // self.num_heads)
        if self.positions == "rope" and self.head_size % 2:
            raise ValueError(f"model.head_size: rotary positions expect an even size, got {self.head_size}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout: expected a share in [0, 1), got {self.dropout}")

    def make_linear(self, rngs: nnx.Rngs) -> MakeLinear:
        """For the Linear layers of one block."""
        heads = dict(K=self.num_kv_heads, G=self.num_heads // self.num_kv_heads, H=self.head_size)
        return MakeLinear(
            sizes=dict(D=self.model_size, F=self.mlp_size, T=2, **heads),
            use_bias=self.use_bias,
            std=self.init_std,
            residual_std=self.init_std / (2 * self.num_layers) ** 0.5,  # by the number of writes (GPT-2, section 2.3)
            param_dtype=jnp.dtype(self.param_dtype),
            compute_dtype=jnp.dtype(self.compute_dtype),
            rngs=rngs,
        )

    def make_norm(self) -> Norm:
        return Norm(
            self.model_size,
            kind=self.norm,
            use_bias=self.use_bias,
            epsilon=self.norm_epsilon,
            param_dtype=jnp.dtype(self.param_dtype),
        )


class Block(nnx.Module):
    """One layer: attention and feed-forward, each after a norm and added to the residual stream."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.dropout = config.dropout
        self.attention_norm = config.make_norm()
        rope = Rope(config.rope_theta, config.rope_scaling) if config.positions == "rope" else None
        make = config.make_linear(rngs)
        self.attention = Attention(make, rope=rope, softmax_dtype=config.softmax_dtype)
        self.mlp_norm = config.make_norm()
        self.mlp = Mlp(make, activation=config.activation)

    def __call__(self, x_BLD, *, keys_B, past, placement, **where):
        h_BLD = self.attention_norm(x_BLD, placement=placement)
        h_BLD, present = self.attention(h_BLD, past=past, placement=placement, **where)
        x_BLD = x_BLD + dropout(h_BLD, fold(keys_B, 0), rate=self.dropout)
        h_BLD = self.mlp(self.mlp_norm(x_BLD, placement=placement), placement=placement)
        x_BLD = x_BLD + dropout(h_BLD, fold(keys_B, 1), rate=self.dropout)
        return placement.activation(x_BLD, "BLD"), present


class Transformer(nnx.Module):
    """Token ids to logits. Layers are stored stacked, whichever way they run."""

    Config = TransformerConfig

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.param_dtype)
        normal = lambda *shape: jax.random.normal(rngs.params(), shape, dtype) * config.init_std
        self.config = config
        self.embed = param(normal(config.vocab_size, config.model_size), "VD")
        if config.positions == "learned":
            self.positions = param(normal(config.max_length, config.model_size), "PD")
        stack = nnx.vmap(lambda rngs: Block(config, rngs=rngs), transform_metadata={nnx.PARTITION_NAME: "layers"})
        self.layers = stack(rngs.split(config.num_layers))
        self.final_norm = config.make_norm()
        if not config.tie_embeddings:
            self.head = param(normal(config.model_size, config.vocab_size), "DV")

    def __call__(
        self,
        tokens_BL: Int[Array, "B L"],
        *,
        positions_BL: Int[Array, "B L"],
        segments_BL: Int[Array, "B L"],
        dropout_keys_B: Key[Array, "B"] | None = None,
        placement: Placement = ONE_DEVICE,
    ) -> Float[Array, "B L V"]:
        """Logits in float32. Positions attend within their segment, never ahead; `None` keys: no dropout."""
        x_BLD = self._embed(tokens_BL, positions_BL, placement)
        keys_B = dropout_keys_B if self.config.dropout else None
        x_BLD = dropout(x_BLD, fold(keys_B, self.config.num_layers), rate=self.config.dropout)
        where = dict(positions_BL=positions_BL, segments_BL=segments_BL, offset_B=None)

        def layer_fn(x_BLD, one_layer):
            block, index = one_layer
            return block(x_BLD, keys_B=fold(keys_B, index), past=None, placement=placement, **where)

        stacked = (self.layers, jnp.arange(self.config.num_layers))
        x_BLD, _ = placement.run_layers(layer_fn, x_BLD, stacked, loop=self.config.layer_loop)
        return self._logits(x_BLD, placement)

    def extend(
        self, tokens_BL: Int[Array, "B L"], cache: Cache, *, placement: Placement = ONE_DEVICE
    ) -> tuple[Float[Array, "B L V"], Cache]:
        """Logits of positions that follow those in the cache, and the cache that holds them too."""
        positions_BL = cache.length_B[:, None] + jnp.arange(tokens_BL.shape[1])[None, :]
        x_BLD = self._embed(tokens_BL, positions_BL, placement)
        where = dict(positions_BL=positions_BL, segments_BL=None, offset_B=cache.length_B)

        def layer_fn(x_BLD, one_layer):
            block, past = one_layer
            return block(x_BLD, keys_B=None, past=past, placement=placement, **where)

        stacked = (self.layers, cache.layers)
        x_BLD, layers = placement.run_layers(layer_fn, x_BLD, stacked, loop=self.config.layer_loop)
        return self._logits(x_BLD, placement), Cache(layers, cache.length_B + tokens_BL.shape[1])

    def _embed(self, tokens_BL, positions_BL, placement) -> Float[Array, "B L D"]:
        dtype = jnp.dtype(self.config.compute_dtype)
        x_BLD = placement.lookup(self.embed[...].astype(dtype), tokens_BL)
        if self.config.positions == "learned":
            x_BLD = x_BLD + placement.lookup(self.positions[...].astype(dtype), positions_BL)
        return x_BLD

    def _logits(self, x_BLD, placement) -> Float[Array, "B L V"]:
        x_BLD = self.final_norm(x_BLD, placement=placement)
        einsum = partial(placement.einsum, dtype=jnp.float32)
        if self.config.tie_embeddings:
            return einsum("BLD,VD->BLV", x_BLD, self.embed[...].astype(x_BLD.dtype))
        return einsum("BLD,DV->BLV", x_BLD, self.head[...].astype(x_BLD.dtype))
