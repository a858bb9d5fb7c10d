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

from models.layers.attention import LayerKind, Scoring
from models.layers.block_config import BlockConfig
from models.layers.rope import RopeScaling, frequencies


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerConfig(BlockConfig):
    """A Transformer's shape. `vocab_size`, `max_length` and the dtypes are derived by whoever builds it."""

    windows: tuple[int, ...] = (0,)  # a cycle over the layers: positions that a query sees, itself included; 0: all
    attention_soft_cap: float = 0.0  # bends attention's logits into (-cap, cap); 0: not
    logit_soft_cap: float = 0.0  # the same for the model's own
    positions: str = "rope"
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling = RopeScaling()
    local_rope_theta: float = 0.0  # of layers with a window, which are not scaled then; 0: as the others
    tie_embeddings: bool = True
    scale_embeddings: bool = False  # times model_size ** 0.5
    vocab_size: int
    max_length: int

    def __post_init__(self):
        super().__post_init__()
        self.check_choices({"positions": ("learned", "rope")})
        if self.rope_theta <= 0:
            raise ValueError(f"model.rope_theta: expected a number above 0, got {self.rope_theta}")
        for name in ("attention_soft_cap", "logit_soft_cap", "local_rope_theta"):
            if getattr(self, name) < 0:
                raise ValueError(f"model.{name}: expected 0 (off) or a number above it, got {getattr(self, name)}")
        if not self.windows or min(self.windows) < 0:
            raise ValueError(
                f"model.windows: expected a cycle of window sizes, got {self.windows}; write (0,) for layers that "
                "see everything, (4096, 0) for every other one"
            )
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
        freqs = np.stack([self._freqs(window) for window in self.layer_windows]).astype(np.float32)
        return LayerKind(np.array(self.layer_windows, np.int32), freqs if self.positions == "rope" else None)

    def _freqs(self, window: int) -> np.ndarray:
        if window and self.local_rope_theta:
            return frequencies(self.head_size, theta=self.local_rope_theta, scaling=RopeScaling())
        return frequencies(self.head_size, theta=self.rope_theta, scaling=self.rope_scaling)

    @property
    def scoring(self) -> Scoring:
        return Scoring(
            scale=self.query_scale or self.head_size**-0.5,
            soft_cap=self.attention_soft_cap,
            windows=tuple(sorted(set(self.layer_windows))),
            dtype=jnp.dtype(self.softmax_dtype),
        )
