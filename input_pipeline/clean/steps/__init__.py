"""What is done to records, by a line of text: `"fix_text|html|gopher_quality|mask_pii"`.

Operations act from left to right. Each is a frozen dataclass that checks its arguments when it is made and whose fields
are the thresholds of the rules, with their published defaults (`record.Step`). Names resolve in `STEPS`, by modality.
"""

from collections.abc import Callable, Mapping
from typing import Any

from input_pipeline.clean.record import Step
from input_pipeline.clean.steps.audio import AUDIO
from input_pipeline.clean.steps.image import IMAGE
from input_pipeline.clean.steps.media import joined
from input_pipeline.clean.steps.table import TABLE
from input_pipeline.clean.steps.text import TEXT
from input_pipeline.transforms.parse import read

STEPS: Mapping[str, Mapping[str, Callable[..., Any]]] = {"text": TEXT, "image": IMAGE, "audio": AUDIO, "table": TABLE}


def line(operations: str, *, modality: str) -> tuple[Step, ...]:
    """The steps of a line, in which neighbours share what they decode.

    Raises:
      ValueError: no such operation, or arguments that it does not take.
    """
    return joined(read(operations, STEPS[modality], field="steps"))
