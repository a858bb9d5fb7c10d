"""Objectives: (model, batch, row keys, constants) -> sums and counts."""

from train.objectives.classify import Classify
from train.objectives.lm import LanguageModel

OBJECTIVES = {"lm": LanguageModel, "classify": Classify}
