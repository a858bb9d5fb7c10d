"""The shape of a Transformer, checked, and what follows from it.

By these fields alone it is one of (configs/lm_families.py has their published shapes):

GPT-2 (Radford et al., 2019): layer norms, learned positions, GELU, biases, tied embeddings.
Llama 3 (https://arxiv.org/abs/2407.21783): RMS norms, rotary positions, grouped queries, SwiGLU, no biases.
Mistral 7B (https://arxiv.org/abs/2310.06825): a Llama whose every layer sees a window.
Qwen 3 (https://arxiv.org/abs/2505.09388): a Llama with norms of queries and keys.
Gemma 2 (https://arxiv.org/abs/2408.00118): GeGLU, norms on both sides of each sublayer, soft caps, scaled embeddings,
  windows in every other layer.
Gemma 3 (https://arxiv.org/abs/2503.19786): norms of queries and keys in the place of soft caps, windows in five of six
  layers, which have a rotary base of their own.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.layers.attention import LayerKind, Scoring
from models.layers.linear import MakeLinear
from models.layers.mlp import ACTIVATIONS
from models.layers.norm import Norm
from models.layers.rope import RopeScaling, frequencies

CHOICES = {
    "norm": ("layer", "rms"),
    "positions": ("learned", "rope"),
    "activation": tuple(ACTIVATIONS),
    "layer_loop": ("auto", "scan", "unroll"),
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
    post_norms: bool = False  # attention's and the MLP's outputs are normalised too, before they are added
    qk_norm: bool = False  # queries and keys are normalised, head by head, before they are turned
    query_scale: float = 0.0  # of queries times keys; 0: head_size ** -0.5
    windows: tuple[int, ...] = (0,)  # a cycle over the layers: positions that a query sees, itself included; 0: all
    attention_soft_cap: float = 0.0  # bends attention's logits into (-cap, cap); 0: not
    logit_soft_cap: float = 0.0  # the same for the model's own
    positions: str = "rope"
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling = RopeScaling()
    local_rope_theta: float = 0.0  # of layers with a window, which are not scaled then; 0: as the others
    activation: str = "swiglu"
    use_bias: bool = False
    tie_embeddings: bool = True
    scale_embeddings: bool = False  # times model_size ** 0.5
    dropout: float = 0.0
    init_std: float = 0.02
    layer_loop: str = "auto"  # scan: compiles in no time; unroll: runs faster on CPUs; auto: what suits the devices
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
        for name in ("query_scale", "attention_soft_cap", "logit_soft_cap", "local_rope_theta"):
            if getattr(self, name) < 0:
                raise ValueError(f"model.{name}: expected 0 (off) or a number above it, got {getattr(self, name)}")
        if not self.windows or min(self.windows) < 0:
            raise ValueError(
                f"model.windows: expected a cycle of window sizes, got {self.windows}; write (0,) for layers that "
                "see everything, (4096, 0) for every other one"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout: expected a share in [0, 1), got {self.dropout}")
        self._complete_head_size()

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
        if self.positions == "rope" and self.head_size % 2:
            raise ValueError(f"model.head_size: rotary positions expect an even size, got {self.head_size}")

    @property
    def attention_shape(self) -> tuple[int, int]:
        """Positions of a row, and the size of a head."""
        return self.max_length, self.head_size

    @property
    def layer_windows(self) -> tuple[int, ...]:
        """The window of each layer, from the first to the last."""
        return tuple(self.windows[layer % len(self.windows)] for layer in range(self.num_layers))

    def layer_kinds(self) -> LayerKind:
        """In what the layers differ, stacked: constants, so that a layer that is unrolled knows its own in advance."""
        freqs = np.stack([self._freqs(window) for window in self.layer_windows]).astype(np.float32)
        return LayerKind(np.array(self.layer_windows, np.int32), freqs if self.positions == "rope" else None)

    def _freqs(self, window: int) -> np.ndarray:
        if window and self.local_rope_theta:
            return frequencies(self.head_size, theta=self.local_rope_theta, scaling=RopeScaling())
        return frequencies(self.head_size, theta=self.rope_theta, scaling=self.rope_scaling)

    @property
    def scoring(self) -> Scoring:
        """How every layer's queries score keys."""
        return Scoring(
            scale=self.query_scale or self.head_size**-0.5,
            soft_cap=self.attention_soft_cap,
            windows=tuple(sorted(set(self.layer_windows))),
            dtype=jnp.dtype(self.softmax_dtype),
        )

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
