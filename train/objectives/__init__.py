"""Objectives: (model, batch, row keys, constants) -> sums and counts."""

from train.objectives.lm import LanguageModel

OBJECTIVES = {"lm": LanguageModel}
