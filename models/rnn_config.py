"""The shapes of recurrent models, checked, and what follows from them."""

import dataclasses
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from models.layers.dropout import dropout
from models.layers.norm import Norm
from models.layers.recurrent import KINDS, MakeRecurrent

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
            raise ValueError("model.bidirectional: expected False where the next token is to be foretold, got True")
        if self.init_std <= 0:
            raise ValueError(f"model.init_std: expected a number above 0, got {self.init_std}")
