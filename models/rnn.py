"""Recurrent models: a stack of LSTM or GRU layers, which reads an example step by step, or goes on with a text."""

import dataclasses
import math
import sys
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key

from models.layers.dropout import dropout, fold
from models.layers.linear import param
from models.layers.norm import Norm
from models.layers.recurrent import KINDS, MakeRecurrent, State
from models.placement import ONE_DEVICE, Placement

CHOICES = {
    "kind": tuple(KINDS),
    "dropout_form": ("plain", "variational"),
    "norm": ("none", "layer", "rms"),
    "pooling": ("last", "mean", "max"),
    "layer_loop": ("auto", "scan", "unroll"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class StackConfig:
    """The shape of a stack of recurrent layers; the dtypes are derived by whoever builds it."""

    kind: str = "lstm"  # or gru
    num_layers: int
    hidden_size: int
    bidirectional: bool = False  # each layer reads from both ends, and gives twice as many values
    dropout: float = 0.0  # of what a layer after the first reads, of embeddings, and of what the head reads
    dropout_form: str = "plain"  # variational: one mask for all steps of a row (Gal and Ghahramani, 2016, 1512.05287)
    norm: str = "none"  # of what a layer gives; not within a cell, where each step would wait for it
    norm_epsilon: float = 1e-5
    layer_loop: str = "auto"  # scan: compiles in no time; unroll: runs faster on CPUs; auto: what suits the devices
    param_dtype: str = "float32"
    compute_dtype: str = "float32"  # of products and outputs; cells compute in float32, and an LSTM's memory stays so

    def __post_init__(self):
        for name in ("num_layers", "hidden_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"model.{name}: expected at least 1, got {getattr(self, name)}; write a positive number"
                )
        for name, known in CHOICES.items():
            if hasattr(self, name) and getattr(self, name) not in known:
                raise ValueError(f"model.{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout: expected a share in [0, 1), got {self.dropout}")
        if self.norm_epsilon <= 0:
            raise ValueError(f"model.norm_epsilon: expected a number above 0, got {self.norm_epsilon}")

    @property
    def attention_shape(self) -> None:
        """There is no attention."""

    @property
    def output_size(self) -> int:
        """Values that a layer gives at each step."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    def make_recurrent(self) -> MakeRecurrent:
        """For one layer in one direction."""
        return MakeRecurrent(
            kind=self.kind,
            hidden_size=self.hidden_size,
            param_dtype=jnp.dtype(self.param_dtype),
            compute_dtype=jnp.dtype(self.compute_dtype),
        )

    def make_norm(self) -> Norm | None:
        """Of what a layer gives."""
        if self.norm == "none":
            return None
        dtype = jnp.dtype(self.param_dtype)
        made = partial(Norm, letter="N", use_bias=True, epsilon=self.norm_epsilon, param_dtype=dtype)
        return made(self.output_size, kind=self.norm)

    def drop(self, x_LBD: Float[Array, "L B D"], keys_B: Key[Array, "B"] | None) -> Float[Array, "L B D"]:
        """Dropout in the form that the config asks for."""
        if keys_B is None or self.dropout == 0:
            return x_LBD
        x_BLD = jnp.swapaxes(x_LBD, 0, 1)
        if self.dropout_form == "plain":
            return jnp.swapaxes(dropout(x_BLD, keys_B, rate=self.dropout), 0, 1)
        scale_BLD = dropout(jnp.ones_like(x_BLD[:, :1]), keys_B, rate=self.dropout)
        return x_LBD * jnp.swapaxes(scale_BLD, 0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RnnConfig(StackConfig):
    """A recurrent reader of examples. The last two fields are derived."""

    pooling: str = "last"  # of the steps: each direction's last one, or the mean, or the maximum of all
    input_shape: tuple[int, ...]  # [L, F] sequences and spectrograms; [H, W, C] images, whose rows are the steps
    num_outputs: int

    def __post_init__(self):
        super().__post_init__()
        if len(self.input_shape) not in (2, 3):
            raise ValueError(
                f"data.shape: model 'rnn' expected [steps, features], or [height, width, channels] of images, whose "
                f"rows are its steps, got {self.input_shape}; give single samples or columns another model"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RnnLmConfig(StackConfig):
    """A recurrent language model, whose embeddings are as wide as its hidden state. `vocab_size` is derived."""

    tie_embeddings: bool = False
    init_std: float = 0.1  # of embeddings, and of the head
    vocab_size: int

    def __post_init__(self):
        super().__post_init__()
        if self.bidirectional:
            raise ValueError(
                "model.bidirectional: expected False in a language model, which would see what it is to foretell, got True"
            )
        if self.init_std <= 0:
            raise ValueError(f"model.init_std: expected a number above 0, got {self.init_std}")


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


class RecurrentCache(NamedTuple):
    """The state of every layer, [Y, B, U]: all that a recurrent model remembers, however long a row is."""

    state: State

    @property
    def capacity(self) -> int:
        return sys.maxsize

    def replace_rows(self, rows_R: Int[Array, "R"], other: "RecurrentCache") -> "RecurrentCache":
        put = lambda old, new: old.at[:, rows_R].set(new)
        return RecurrentCache(jax.tree.map(put, self.state, other.state))

    def forget_rows(self, is_forgotten_B: Bool[Array, "B"]) -> "RecurrentCache":
        forget = lambda leaf: jnp.where(is_forgotten_B[None, :, None], 0, leaf)
        return RecurrentCache(jax.tree.map(forget, self.state))


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
