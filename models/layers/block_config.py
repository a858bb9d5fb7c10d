"""The shape of a stack of Transformer layers, checked: what decoders and vision Transformers have in common."""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.layers.attention import LayerKind, Scoring
from models.layers.linear import MakeLinear
from models.layers.mlp import ACTIVATIONS
from models.layers.norm import Norm

CHOICES = {
    "norm": ("layer", "rms"),
    "activation": tuple(ACTIVATIONS),
    "layer_loop": ("auto", "scan", "unroll"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockConfig:
    """`num_layers` layers of one shape. The dtypes are derived by whoever builds it."""

    num_layers: int
    model_size: int
    num_heads: int
    num_kv_heads: int
    mlp_size: int
    head_size: int = 0  # 0: model_size / num_heads
    norm: str = "rms"
    norm_epsilon: float = 1e-5
    post_norms: bool = False  # attention's and the MLP's outputs are normalised too, before they are added
    qk_norm: bool = False  # queries and keys are normalised, head by head, before they are turned
    query_scale: float = 0.0  # of queries times keys; 0: head_size ** -0.5
    activation: str = "swiglu"
    use_bias: bool = False
    dropout: float = 0.0
    stochastic_depth: float = 0.0  # share of rows that skip a sublayer of the last layer, growing from 0 in the first
    init_std: float = 0.02
    layer_loop: str = "auto"  # scan: compiles in no time; unroll: runs faster on CPUs; auto: what suits the devices
    param_dtype: str = "float32"
    compute_dtype: str = "float32"
    softmax_dtype: str = "float32"

    def __post_init__(self):
        self.check_positive("num_layers", "model_size", "num_heads", "num_kv_heads", "mlp_size")
        self.check_choices(CHOICES)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"model.num_kv_heads: expected a divisor of model.num_heads={self.num_heads}, got {self.num_kv_heads}; "
                f"write one of {[n for n in range(1, self.num_heads + 1) if self.num_heads % n == 0]}"
            )
        for name in ("norm_epsilon", "init_std"):
            if getattr(self, name) <= 0:
                raise ValueError(f"model.{name}: expected a number above 0, got {getattr(self, name)}")
        if self.query_scale < 0:
            raise ValueError(f"model.query_scale: expected 0 (off) or a number above it, got {self.query_scale}")
        for name in ("dropout", "stochastic_depth"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"model.{name}: expected a share in [0, 1), got {getattr(self, name)}")
        self._complete_head_size()

    def check_positive(self, *names: str):
        """Raises ValueError for the first of these fields that is not at least 1."""
        for name in names:
            if getattr(self, name) < 1:
                raise ValueError(
                    f"model.{name}: expected at least 1, got {getattr(self, name)}; write a positive number"
                )

    def check_choices(self, choices: Mapping[str, tuple[str, ...]]):
        """Raises ValueError for the first of these fields that holds a name that is not known."""
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"model.{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")

    def _complete_head_size(self):
        if self.head_size < 0:
            raise ValueError(f"model.head_size: expected 0 (model_size / num_heads) or more, got {self.head_size}")
        if self.head_size == 0:
            if self.model_size % self.num_heads:
                raise ValueError(
                    f"model.num_heads: expected a divisor of model.model_size={self.model_size}, got {self.num_heads}; "
                    "write one that divides it, or a model.head_size of its own"
                )
            object.__setattr__(self, "head_size", self.model_size // self.num_heads)

    @property
    def scoring(self) -> Scoring:
        """How every layer's queries score keys."""
        raise NotImplementedError

    def layer_kinds(self) -> LayerKind:
        """In what the layers differ, stacked: constants, so that a layer that is unrolled knows its own in advance."""
        raise NotImplementedError

    def skip_rates(self) -> np.ndarray | None:
        """The share of rows that skip each of a layer's sublayers, layer by layer; None: none does.

        It grows linearly (Huang et al., 2016, https://arxiv.org/abs/1603.09382, section 3), from 0 in the first layer.
        """
        if not self.stochastic_depth:
            return None
        return np.linspace(0, self.stochastic_depth, self.num_layers, dtype=np.float32)

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
        """A norm of the residual stream."""
        return self._norm("N", self.model_size)

    def make_head_norm(self) -> Norm:
        """A norm of each head's queries or keys."""
        return self._norm("H", self.head_size)

    def _norm(self, letter: str, size: int) -> Norm:
        return Norm(
            size,
            letter=letter,
            kind=self.norm,
            use_bias=self.use_bias,
            epsilon=self.norm_epsilon,
            param_dtype=jnp.dtype(self.param_dtype),
        )
