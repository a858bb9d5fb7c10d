"""Pure models: JAX and Flax, logical axis names, never a mesh, a batch dict or a config file."""

from models.cnn import Cnn
from models.transformer import Transformer

MODELS = {"cnn": Cnn, "transformer": Transformer}
