"""Pure models: JAX and Flax, logical axis names, never a mesh, a batch dict or a config file."""

from models.transformer import Transformer

MODELS = {"transformer": Transformer}
