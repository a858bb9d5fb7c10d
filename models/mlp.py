"""A multilayer perceptron of tables: every example is one vector of numbers."""

import dataclasses
import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from models.layers.dropout import dropout, fold
from models.layers.head import Head
from models.layers.linear import Linear
from models.layers.mlp import ACTIVATIONS
from models.layers.norm import Norm
from models.placement import ONE_DEVICE, Placement

CHOICES = {"activation": ("relu", "gelu", "gelu_exact", "silu"), "norm": ("none", "layer")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultilayerPerceptronConfig:
    """Hidden layers of any sizes; none of them: linear regression, or logistic. `input_shape`, `num_outputs` and the
    dtypes are derived by whoever builds it."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    norm: str = "none"  # or "layer": between each hidden layer's product and its activation
    norm_epsilon: float = 1e-5
    residual: bool = False  # a hidden layer as wide as the one before it is added to that one
    dropout: float = 0.0
    input_shape: tuple[int, ...]
    num_outputs: int
    param_dtype: str = "float32"
    compute_dtype: str = "float32"

    def __post_init__(self):
        if self.hidden and min(self.hidden) < 1:
            raise ValueError(f"model.hidden: expected widths of at least 1, got {self.hidden}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"model.{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.norm_epsilon <= 0:
            raise ValueError(f"model.norm_epsilon: expected a number above 0, got {self.norm_epsilon}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout: expected a share in [0, 1), got {self.dropout}")

    @property
    def attention_shape(self) -> None:
        """It has no attention."""
        return None


class Hidden(nnx.Module):
    """A product, its norm, its activation and dropout; then what came in is added, if that is as wide and asked for.

    The product's outputs are cut over `tensor` as it is computed, and whole after it: tables are narrow.
    """

    def __init__(self, config: MultilayerPerceptronConfig, sizes: tuple[int, int], *, letter: str, rngs: nnx.Rngs):
        """`letter`: the axis that comes in, "X" the columns of a table or "D" a hidden layer."""
        in_size, out_size = sizes
        dtype = jnp.dtype(config.param_dtype)
        kernel = jax.random.normal(rngs.params(), sizes, dtype) * (2 / in_size) ** 0.5  # He et al., 2015, section 2.2
        self.linear = Linear(kernel, f"{letter}F", jnp.zeros(out_size, dtype), "F", dtype=config.compute_dtype)
        make_norm = partial(Norm, out_size, letter="N", use_bias=True, epsilon=config.norm_epsilon, param_dtype=dtype)
        self.norm = make_norm(kind=config.norm) if config.norm != "none" else None
        self.equation = f"B{letter},{letter}F->BF"
        self.is_added = config.residual and in_size == out_size
        self.activation = config.activation
        self.dropout = config.dropout

    def __call__(self, x_BD: Float[Array, "B _"], *, keys_B, placement) -> Float[Array, "B _"]:
        h_BF = self.linear(self.equation, x_BD, placement=placement)
        h_BD = placement.activation(h_BF, "BD")
        if self.norm is not None:
            h_BD = self.norm(h_BD, placement=placement)
        h_BD = dropout(ACTIVATIONS[self.activation](h_BD), keys_B, rate=self.dropout)
        return x_BD + h_BD if self.is_added else h_BD


class MultilayerPerceptron(nnx.Module):
    """Examples to logits, or to the numbers that are foretold."""

    Config = MultilayerPerceptronConfig

    def __init__(self, config: MultilayerPerceptronConfig, *, rngs: nnx.Rngs):
        num_inputs = math.prod(config.input_shape)
        sizes = (num_inputs, *config.hidden)
        self.config = config
        letters = "X" + "D" * len(config.hidden)
        pairs = zip(itertools.pairwise(sizes), letters, strict=False)
        self.layers = nnx.List([Hidden(config, pair, letter=letter, rngs=rngs) for pair, letter in pairs])
        self.head = Head(sizes[-1], config.num_outputs, param_dtype=jnp.dtype(config.param_dtype), rngs=rngs)

    def __call__(
        self,
        inputs: Float[Array, "B *shape"],
        *,
        dropout_keys_B: Key[Array, "B"] | None = None,
        placement: Placement = ONE_DEVICE,
    ) -> Float[Array, "B C"]:
        """Outputs in float32, of examples of any shape, which are flattened; `None` keys: no dropout."""
        x_BD = inputs.reshape(inputs.shape[0], -1).astype(self.config.compute_dtype)
        for index, layer in enumerate(self.layers):
            x_BD = layer(x_BD, keys_B=fold(dropout_keys_B, index), placement=placement)
        return self.head(x_BD, placement=placement)
