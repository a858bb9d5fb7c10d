"""Objectives: (model, batch, row keys, constants) -> sums and counts."""

from train.objectives.classify import Classify
from train.objectives.lm import LanguageModel
from train.objectives.multilabel import Multilabel
from train.objectives.regress import Regress
from train.objectives.triplet import Triplet

OBJECTIVES = {
    "lm": LanguageModel,
    "classify": Classify,
    "multilabel": Multilabel,
    "regress": Regress,
    "triplet": Triplet,
}
