"""A decoder Transformer: by config one of the families that `models/transformer_config.py` names."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from models.cache import KeyValueCache
from models.layers import block as blocks
from models.layers.attention import KeyValues, soft_cap
from models.layers.linear import param
from models.placement import ONE_DEVICE, Placement
from models.transformer_config import TransformerConfig


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
        self.layers = blocks.stack(config, rngs=rngs)
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
        where = dict(positions=positions_BL, segments_BL=segments_BL, placement=placement)
        x_BLD = blocks.run(self.layers, x_BLD, self.config, keys_B=dropout_keys_B, **where)
        return self._logits(x_BLD, placement)

    def empty_cache(self, *, num_rows: int, capacity: int = 0) -> KeyValueCache:
        """A cache for `num_rows` rows of at most `capacity` positions, in the compute dtype; 0: `max_length`."""
        capacity = capacity or self.config.max_length
        shape = (self.config.num_layers, num_rows, capacity, self.config.num_kv_heads, self.config.head_size)
        zeros = lambda: jnp.zeros(shape, self.config.compute_dtype)  # two arrays: each is donated
        return KeyValueCache(KeyValues(zeros(), zeros()), jnp.zeros(num_rows, jnp.int32))

    def extend(
        self,
        tokens_BL: Int[Array, "B L"],
        cache: KeyValueCache,
        *,
        num_new_B: Int[Array, "B"] | None = None,
        placement: Placement = ONE_DEVICE,
    ) -> tuple[Float[Array, "B L V"], KeyValueCache]:
        """Logits of positions that follow those in the cache, and the cache that holds them too.

        `num_new_B`: how many tokens of each row count, all by default. What stands behind them is padding, which no
        query sees: each of its positions is written over before it is reached.
        """
        length_B = cache.length_B + (tokens_BL.shape[1] if num_new_B is None else num_new_B)
        positions_BL = cache.length_B[:, None] + jnp.arange(tokens_BL.shape[1])[None, :]
        x_BLD = self._embed(tokens_BL, positions_BL, placement)
        where = dict(positions=positions_BL, segments_BL=None, offset_B=cache.length_B)

        def layer_fn(x_BLD, one_layer):
            block, kind, past = one_layer
            return block(x_BLD, kind=kind, keys_B=None, past=past, placement=placement, **where)

        stacked = (self.layers, self.config.layer_kinds(), cache.layers)
        x_BLD, layers = placement.run_layers(layer_fn, x_BLD, stacked, loop=self.config.layer_loop)
        return self._logits(x_BLD, placement), KeyValueCache(layers, length_B)

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
