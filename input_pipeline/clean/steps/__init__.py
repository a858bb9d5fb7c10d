"""What a line of cleaning is made of: for each modality, a table of operations by name."""

from collections.abc import Callable, Mapping
from typing import Any

from input_pipeline.clean.record import Step
from input_pipeline.clean.steps.audio import AUDIO
from input_pipeline.clean.steps.image import IMAGE
from input_pipeline.clean.steps.media import joined
from input_pipeline.transforms.parse import read

STEPS: Mapping[str, Mapping[str, Callable[..., Any]]] = {"image": IMAGE, "audio": AUDIO}


def line(operations: str, *, modality: str) -> tuple[Step, ...]:
    """The steps of a line, in which neighbours share what they decode.

    Raises:
      ValueError: no such operation, or arguments that it does not take.
    """
    return joined(read(operations, STEPS[modality], field="steps"))
