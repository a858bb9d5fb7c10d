"""Data made from a number alone: stories for language models, and examples whose labels are exact.

Every maker is a pure function, frozen by tests: what number n is does not change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from input_pipeline.synthetic import sequences, shapes, tones
from input_pipeline.synthetic.stories import text

__all__ = ["LABELLED", "Labelled", "text"]


@dataclass(frozen=True)
class Labelled:
    """Examples with labels. Number n is of class n % len(classes), so that classes are in balance."""

    classes: tuple[str, ...]
    example: Callable[..., tuple[np.ndarray, int]]  # (number, *, shape, seed) -> (an array of `shape`, its label)


LABELLED: Mapping[str, Labelled] = {
    "shapes": Labelled(shapes.CLASSES, shapes.example),
    "tones": Labelled(tones.CLASSES, tones.example),
    "sequences": Labelled(sequences.CLASSES, sequences.example),
}
