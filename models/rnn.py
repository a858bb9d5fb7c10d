"""Recurrent models: a stack of LSTM or GRU layers, which reads an example step by step, or goes on with a text."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from models.cache import RecurrentCache
from models.layers.dropout import fold
from models.layers.linear import param
from models.layers.recurrent import State
from models.placement import ONE_DEVICE, Placement
from models.rnn_config import RnnConfig, RnnLmConfig, StackConfig


class Layer(nnx.Module):
    """A recurrent layer in one direction or both, and a norm of what it gives."""

    def __init__(self, config: StackConfig, input_size: int, letter: str, *, rngs: nnx.Rngs):
        make = config.make_recurrent()
        self.ahead = make(input_size, letter, rngs=rngs)
        self.back = make(input_size, letter, rngs=rngs) if config.bidirectional else None
        self.norm = config.make_norm()

    def __call__(self, x_LBD, *, state: State, keep_LB, num_steps_B: Int[Array, "B"] | None, placement):
        """-> (x_LBD, the state after `num_steps_B` steps of each row, or after all)."""
        where = dict(keep_LB=keep_LB, placement=placement)
        states = self.ahead(x_LBD, state=state, reverse=False, **where)
        outputs = [states.h_BU]
        if self.back is not None:
            empty = jax.tree.map(jnp.zeros_like, state)
            outputs.append(self.back(x_LBD, state=empty, reverse=True, **where).h_BU)
        x_LBD = jnp.concatenate([placement.activation(h_LBU, "LBD") for h_LBU in outputs], axis=-1)
        x_LBD = x_LBD if self.norm is None else self.norm(x_LBD, placement=placement)
        return x_LBD, _after(state, states, num_steps_B)


def _after(state: State, states: State, num_steps_B: Int[Array, "B"] | None) -> State:
    """Each row's state after so many steps, none of them included."""
    if num_steps_B is None:
        return jax.tree.map(lambda all_LBU: all_LBU[-1], states)
    rows_B = jnp.arange(num_steps_B.size)
    take = lambda first_BU, all_LBU: jnp.concatenate([first_BU[None], all_LBU])[num_steps_B, rows_B]
    return jax.tree.map(take, state, states)


class Stack(nnx.Module):
    """Layers, one reading what the one before gives. The first is apart, since what it reads has another width."""

    def __init__(self, config: StackConfig, input_size: int, letter: str, *, rngs: nnx.Rngs):
        self.config = config
        self.first = self._layers(1, input_size, letter, rngs)
        self.rest = (
            self._layers(config.num_layers - 1, config.output_size, "D", rngs) if config.num_layers > 1 else None
        )

    def _layers(self, num_layers: int, input_size: int, letter: str, rngs: nnx.Rngs) -> Layer:
        make = lambda rngs: Layer(self.config, input_size, letter, rngs=rngs)
        return nnx.vmap(make, transform_metadata={nnx.PARTITION_NAME: "layers"})(rngs.split(num_layers))

    def __call__(self, x_LBD, *, state: State, keys_B, placement, keep_LB=None, num_steps_B=None):
        """-> (x_LBD, state); those of all layers are stacked, [Y, B, U]."""
        where = dict(keep_LB=keep_LB, num_steps_B=num_steps_B, placement=placement)

        def first_fn(x_LBD, layer_and_state):
            layer, state = layer_and_state
            return layer(x_LBD, state=state, **where)

        def layer_fn(x_LBD, one_layer):
            index, *layer_and_state = one_layer
            return first_fn(self.config.drop(x_LBD, fold(keys_B, index)), layer_and_state)

        part = lambda *bounds: jax.tree.map(lambda leaf: leaf[slice(*bounds)], state)
        x_LBD, first = placement.run_layers(first_fn, x_LBD, (self.first, part(0, 1)), loop="unroll")
        if self.rest is None:
            return x_LBD, first
        stacked = (jnp.arange(1, self.config.num_layers), self.rest, part(1, None))
        x_LBD, rest = placement.run_layers(layer_fn, x_LBD, stacked, loop=self.config.layer_loop)
        return x_LBD, jax.tree.map(lambda *parts: jnp.concatenate(parts), first, rest)

    def empty_state(self, num_rows: int) -> State:
        """Of all layers before the first step: zeros."""
        return self.config.make_recurrent().empty_state(self.config.num_layers, num_rows)


class Rnn(nnx.Module):
    """A sequence, the rows of an image, or the frames of a spectrogram to classes or numbers."""

    Config = RnnConfig

    def __init__(self, config: RnnConfig, *, rngs: nnx.Rngs):
        self.config = config
        dtype = jnp.dtype(config.param_dtype)
        self.stack = Stack(config, math.prod(config.input_shape[1:]), "X", rngs=rngs)
        shape = (config.output_size, config.num_outputs)
        self.head = param(jax.nn.initializers.lecun_normal()(rngs.params(), shape, dtype), "DC")
        self.bias = param(jnp.zeros(config.num_outputs, dtype), "C")

    def __call__(
        self,
        inputs: Float[Array, "B *shape"],
        *,
        dropout_keys_B: Key[Array, "B"] | None = None,
        placement: Placement = ONE_DEVICE,
    ) -> Float[Array, "B C"]:
        """Logits in float32; `None` keys: no dropout."""
        config, num_rows = self.config, inputs.shape[0]
        x_BLX = inputs.reshape(num_rows, config.input_shape[0], -1).astype(config.compute_dtype)
        state = self.stack.empty_state(num_rows)
        x_LBD, _ = self.stack(jnp.swapaxes(x_BLX, 0, 1), state=state, keys_B=dropout_keys_B, placement=placement)
        x_LBD = config.drop(self._pool(x_LBD)[None], fold(dropout_keys_B, config.num_layers))
        logits_BC = placement.einsum("BD,DC->BC", x_LBD[0], self.head[...].astype(x_LBD.dtype), dtype=jnp.float32)
        return logits_BC + placement.spread(self.bias[...].astype(jnp.float32), "C", logits_BC)

    def _pool(self, x_LBD: Float[Array, "L B D"]) -> Float[Array, "B D"]:
        if self.config.pooling == "mean":
            return jnp.mean(x_LBD, axis=0)
        if self.config.pooling == "max":
            return jnp.max(x_LBD, axis=0)
        size = self.config.hidden_size  # behind it stands what was read from the end, whose last step is the first
        return jnp.concatenate([x_LBD[-1, :, :size], x_LBD[0, :, size:]], axis=-1)


class RnnLm(nnx.Module):
    """Token ids to logits of the next, called as a Transformer is."""

    Config = RnnLmConfig

    def __init__(self, config: RnnLmConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.param_dtype)
        normal = lambda *shape: jax.random.normal(rngs.params(), shape, dtype) * config.init_std
        self.config = config
        self.embed = param(normal(config.vocab_size, config.hidden_size), "VD")
        self.stack = Stack(config, config.hidden_size, "D", rngs=rngs)
        if not config.tie_embeddings:
            self.head = param(normal(config.hidden_size, config.vocab_size), "DV")

    def __call__(
        self,
        tokens_BL: Int[Array, "B L"],
        *,
        positions_BL: Int[Array, "B L"],
        segments_BL: Int[Array, "B L"],
        dropout_keys_B: Key[Array, "B"] | None = None,
        placement: Placement = ONE_DEVICE,
    ) -> Float[Array, "B L V"]:
        """Logits in float32. A segment begins from a state of zero; `None` keys: no dropout. Positions are not read."""
        state = self.stack.empty_state(tokens_BL.shape[0])
        segments_LB = segments_BL.T
        keep_LB = (segments_LB == jnp.roll(segments_LB, 1, axis=0)).astype(self.config.compute_dtype)
        x_LBD = self._embed(tokens_BL, placement)
        x_LBD = self.config.drop(x_LBD, fold(dropout_keys_B, 0))
        where = dict(keep_LB=keep_LB, placement=placement)
        x_LBD, _ = self.stack(x_LBD, state=state, keys_B=dropout_keys_B, **where)
        return self._logits(self.config.drop(x_LBD, fold(dropout_keys_B, self.config.num_layers)), placement)

    def empty_cache(self, *, num_rows: int, capacity: int = 0) -> RecurrentCache:
        """A cache for `num_rows` rows, of whatever length: `capacity` changes nothing."""
        return RecurrentCache(self.stack.empty_state(num_rows))

    def extend(
        self,
        tokens_BL: Int[Array, "B L"],
        cache: RecurrentCache,
        *,
        num_new_B: Int[Array, "B"] | None = None,
        placement: Placement = ONE_DEVICE,
    ) -> tuple[Float[Array, "B L V"], RecurrentCache]:
        """Logits of tokens that follow those in the cache, and the cache that holds them too.

        `num_new_B`: how many tokens of each row count, all by default; what stands behind them is padding.
        """
        x_LBD = self._embed(tokens_BL, placement)
        where = dict(num_steps_B=num_new_B, placement=placement)
        x_LBD, state = self.stack(x_LBD, state=cache.state, keys_B=None, **where)
        return self._logits(x_LBD, placement), RecurrentCache(state)

    def _embed(self, tokens_BL, placement) -> Float[Array, "L B D"]:
        table_VD = self.embed[...].astype(self.config.compute_dtype)
        return jnp.swapaxes(placement.lookup(table_VD, tokens_BL), 0, 1)

    def _logits(self, x_LBD, placement) -> Float[Array, "B L V"]:
        x_BLD = jnp.swapaxes(x_LBD, 0, 1)
        einsum = partial(placement.einsum, dtype=jnp.float32)
        if self.config.tie_embeddings:
            return einsum("BLD,VD->BLV", x_BLD, self.embed[...].astype(x_BLD.dtype))
        return einsum("BLD,DV->BLV", x_BLD, self.head[...].astype(x_BLD.dtype))
