"""Operations on documents, by name. What repairs stands before what judges, and what masks comes last."""

from collections.abc import Callable, Mapping
from typing import Any

from input_pipeline.clean.steps.text.boilerplate import Boilerplate
from input_pipeline.clean.steps.text.c4 import C4
from input_pipeline.clean.steps.text.decontaminate import Decontaminate
from input_pipeline.clean.steps.text.fineweb import FineWeb
from input_pipeline.clean.steps.text.gopher_quality import GopherQuality
from input_pipeline.clean.steps.text.gopher_repetition import GopherRepetition
from input_pipeline.clean.steps.text.html import Html
from input_pipeline.clean.steps.text.language import Language
from input_pipeline.clean.steps.text.pii import MaskPii
from input_pipeline.clean.steps.text.quality import Quality
from input_pipeline.clean.steps.text.repair import FixText, Normalize
from input_pipeline.clean.steps.text.toxicity import Toxicity

TEXT: Mapping[str, Callable[..., Any]] = {
    "fix_text": FixText,
    "html": Html,
    "normalize": Normalize,
    "boilerplate": Boilerplate,
    "language": Language,
    "gopher_quality": GopherQuality,
    "gopher_repetition": GopherRepetition,
    "c4": C4,
    "fineweb": FineWeb,
    "toxicity": Toxicity,
    "decontaminate": Decontaminate,
    "quality": Quality,
    "mask_pii": MaskPii,
}
