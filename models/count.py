"""Parameters and FLOPs of a Transformer, from its config's sizes alone."""

from models.transformer import TransformerConfig


def num_params(config: TransformerConfig) -> int:
    """Parameters, embeddings included; equal to the sum of the leaves' sizes."""
    return config.num_layers * block_params(config) + embedding_params(config) + norm_params(config)


def embedding_params(config: TransformerConfig) -> int:
    """The token table, the head unless it is tied, and learned positions."""
    tables = 1 if config.tie_embeddings else 2
    positions = config.max_length if config.positions == "learned" else 0
    return (tables * config.vocab_size + positions) * config.model_size


def block_params(config: TransformerConfig) -> int:
    """One layer: two norms, four projections of attention, two or three of the MLP, and their biases."""
    query_size, kv_size = config.num_heads * config.head_size, config.num_kv_heads * config.head_size
    hidden = config.mlp_size * (2 if config.activation == "swiglu" else 1)
    kernels = config.model_size * (2 * query_size + 2 * kv_size + hidden + config.mlp_size)
    biases = query_size + 2 * kv_size + config.model_size + hidden + config.model_size
    return kernels + (biases if config.use_bias else 0) + 2 * norm_params(config)


def norm_params(config: TransformerConfig) -> int:
    """A scale, and a bias for layer norms with biases."""
    return config.model_size * (2 if config.norm == "layer" and config.use_bias else 1)


def forward_flops(config: TransformerConfig, *, seq_len: int) -> int:
    """FLOPs of one token's forward pass: two a multiply-add in every matmul, the whole square of attention's scores.

    Counted as in PaLM, appendix B (https://arxiv.org/abs/2204.02311): norms, softmax and rotations are left out.
    """
    query_size, kv_size = config.num_heads * config.head_size, config.num_kv_heads * config.head_size
    gates = 3 if config.activation == "swiglu" else 2
    matmuls = config.model_size * (2 * query_size + 2 * kv_size + gates * config.mlp_size)
    attention = 2 * query_size * seq_len
    return 2 * (config.num_layers * (matmuls + attention) + config.model_size * config.vocab_size)


def train_flops(config: TransformerConfig, *, seq_len: int) -> int:
    """FLOPs of one token's forward and backward pass, nothing computed twice: three forward passes."""
    return 3 * forward_flops(config, seq_len=seq_len)
