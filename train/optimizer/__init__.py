"""Optimizers: rules, what is put around them, and what they need to know of parameters."""

from train.optimizer.chain import learning_rate, make, sparse, with_hyperparameters
from train.optimizer.rules import OPTIMIZERS, Adafactor, Adam, AdamW, Axes, Lion, Muon, Optimizer, RmsProp, Sgd

__all__ = [
    "OPTIMIZERS",
    "Adafactor",
    "Adam",
    "AdamW",
    "Axes",
    "Lion",
    "Muon",
    "Optimizer",
    "RmsProp",
    "Sgd",
    "learning_rate",
    "make",
    "sparse",
    "with_hyperparameters",
]
