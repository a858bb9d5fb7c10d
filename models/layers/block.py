"""The Transformer's layer, and the stack of them that decoders and vision Transformers run."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from models.layers.attention import Attention
from models.layers.block_config import BlockConfig
from models.layers.dropout import drop_rows, dropout, fold
from models.layers.mlp import Mlp


class Block(nnx.Module):
    """One layer: attention and feed-forward, each after a norm and added to the residual stream.

    With `post_norms` what is added is normalised too.
    """

    def __init__(self, config: BlockConfig, *, rngs: nnx.Rngs):
        self.dropout = config.dropout
        make = config.make_linear(rngs)
        self.attention_norm = config.make_norm()
        make_head_norm = config.make_head_norm if config.qk_norm else None
        self.attention = Attention(make, make_head_norm=make_head_norm, scoring=config.scoring)
        self.attention_post_norm = config.make_norm() if config.post_norms else None
        self.mlp_norm = config.make_norm()
        self.mlp = Mlp(make, activation=config.activation)
        self.mlp_post_norm = config.make_norm() if config.post_norms else None

    def __call__(self, x_BLD, *, keys_B, past, placement, skip_rate=None, **where):
        """`skip_rate`: the share of rows that skip each sublayer, a number or an array; None: none does."""
        h_BLD = self.attention_norm(x_BLD, placement=placement)
        h_BLD, present = self.attention(h_BLD, past=past, placement=placement, **where)
        if self.attention_post_norm is not None:
            h_BLD = self.attention_post_norm(h_BLD, placement=placement)
        h_BLD = dropout(h_BLD, fold(keys_B, 0), rate=self.dropout)
        x_BLD = x_BLD + drop_rows(h_BLD, fold(keys_B, 2), rate=skip_rate)
        h_BLD = self.mlp(self.mlp_norm(x_BLD, placement=placement), placement=placement)
        if self.mlp_post_norm is not None:
            h_BLD = self.mlp_post_norm(h_BLD, placement=placement)
        h_BLD = dropout(h_BLD, fold(keys_B, 1), rate=self.dropout)
        x_BLD = x_BLD + drop_rows(h_BLD, fold(keys_B, 3), rate=skip_rate)
        return placement.activation(x_BLD, "BLD"), present


def stack(config: BlockConfig, *, rngs: nnx.Rngs) -> Block:
    """All layers of a model, stored stacked, whichever way they run."""
    make = nnx.vmap(lambda rngs: Block(config, rngs=rngs), transform_metadata={nnx.PARTITION_NAME: "layers"})
    return make(rngs.split(config.num_layers))


def run(
    layers: Block,
    x_BLD: Float[Array, "B L D"],
    config: BlockConfig,
    *,
    keys_B: Key[Array, "B"] | None,
    placement,
    **where,
) -> Float[Array, "B L D"]:
    """The residual stream through a `stack`, whole rows at once. `where`: what `Attention` asks for beside its kind."""
    keys_B = keys_B if config.dropout or config.stochastic_depth else None
    x_BLD = dropout(x_BLD, fold(keys_B, config.num_layers), rate=config.dropout)
    where = dict(where, past=None, offset_B=None, placement=placement)

    def layer_fn(x_BLD, one_layer):
        block, kind, skip_rate, index = one_layer
        return block(x_BLD, kind=kind, skip_rate=skip_rate, keys_B=fold(keys_B, index), **where)

    stacked = (layers, config.layer_kinds(), config.skip_rates(), jnp.arange(config.num_layers))
    return placement.run_layers(layer_fn, x_BLD, stacked, loop=config.layer_loop)[0]
