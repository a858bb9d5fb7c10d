"""A decoder Transformer: by config one of the families that `models/transformer_config.py` names."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from models.cache import Cache
from models.layers.attention import Attention, soft_cap
from models.layers.dropout import dropout, fold
from models.layers.linear import param
from models.layers.mlp import Mlp
from models.placement import ONE_DEVICE, Placement
from models.transformer_config import TransformerConfig


class Block(nnx.Module):
    """One layer: attention and feed-forward, each after a norm and added to the residual stream.

    With `post_norms` what is added is normalised too.
    """

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.dropout = config.dropout
        make = config.make_linear(rngs)
        self.attention_norm = config.make_norm()
        make_head_norm = config.make_head_norm if config.qk_norm else None
        self.attention = Attention(make, make_head_norm=make_head_norm, scoring=config.scoring)
        self.attention_post_norm = config.make_norm() if config.post_norms else None
        self.mlp_norm = config.make_norm()
        self.mlp = Mlp(make, activation=config.activation)
        self.mlp_post_norm = config.make_norm() if config.post_norms else None

    def __call__(self, x_BLD, *, keys_B, past, placement, **where):
        h_BLD = self.attention_norm(x_BLD, placement=placement)
        h_BLD, present = self.attention(h_BLD, past=past, placement=placement, **where)
        if self.attention_post_norm is not None:
            h_BLD = self.attention_post_norm(h_BLD, placement=placement)
        x_BLD = x_BLD + dropout(h_BLD, fold(keys_B, 0), rate=self.dropout)
        h_BLD = self.mlp(self.mlp_norm(x_BLD, placement=placement), placement=placement)
        if self.mlp_post_norm is not None:
            h_BLD = self.mlp_post_norm(h_BLD, placement=placement)
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
            block, kind, index = one_layer
            return block(x_BLD, kind=kind, keys_B=fold(keys_B, index), past=None, placement=placement, **where)

        stacked = (self.layers, self.config.layer_kinds(), jnp.arange(self.config.num_layers))
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
            block, kind, past = one_layer
            return block(x_BLD, kind=kind, keys_B=None, past=past, placement=placement, **where)

        stacked = (self.layers, self.config.layer_kinds(), cache.layers)
        x_BLD, layers = placement.run_layers(layer_fn, x_BLD, stacked, loop=self.config.layer_loop)
        return self._logits(x_BLD, placement), Cache(layers, cache.length_B + tokens_BL.shape[1])

    def _embed(self, tokens_BL, positions_BL, placement) -> Float[Array, "B L D"]:
        dtype = jnp.dtype(self.config.compute_dtype)
        x_BLD = placement.lookup(self.embed[...].astype(dtype), tokens_BL)
        if self.config.scale_embeddings:
            x_BLD = x_BLD * jnp.asarray(self.config.model_size**0.5, dtype)
        if self.config.positions == "learned":
            x_BLD = x_BLD + placement.lookup(self.positions[...].astype(dtype), positions_BL)
        return x_BLD

    def _logits(self, x_BLD, placement) -> Float[Array, "B L V"]:
        x_BLD = self.final_norm(x_BLD, placement=placement)
        einsum = partial(placement.einsum, dtype=jnp.float32)
        if self.config.tie_embeddings:
            logits_BLV = einsum("BLD,VD->BLV", x_BLD, self.embed[...].astype(x_BLD.dtype))
        else:
            logits_BLV = einsum("BLD,DV->BLV", x_BLD, self.head[...].astype(x_BLD.dtype))
        return soft_cap(logits_BLV, self.config.logit_soft_cap)
