"""Pure models: JAX and Flax, logical axis names, never a mesh, a batch dict or a config file."""

from models.cnn import Cnn
from models.mlp import MultilayerPerceptron
from models.resnet import ResNet
from models.rnn import Rnn, RnnLm
from models.transformer import Transformer
from models.vit import ViT

MODELS = {
    "cnn": Cnn,
    "mlp": MultilayerPerceptron,
    "resnet": ResNet,
    "rnn": Rnn,
    "rnn_lm": RnnLm,
    "transformer": Transformer,
    "vit": ViT,
}
