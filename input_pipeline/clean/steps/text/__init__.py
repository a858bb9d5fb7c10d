"""Operations on documents. Order matters: what repairs comes before what judges, and what masks comes last."""

from collections.abc import Callable, Mapping

from input_pipeline.clean.record import Step
from input_pipeline.clean.steps.text.gopher_quality import GopherQuality
from input_pipeline.clean.steps.text.gopher_repetition import GopherRepetition
from input_pipeline.clean.steps.text.html import Html
from input_pipeline.clean.steps.text.pii import MaskPii
from input_pipeline.clean.steps.text.repair import FixText

TEXT: Mapping[str, Callable[..., Step]] = {
    "fix_text": FixText,
    "html": Html,
    "gopher_quality": GopherQuality,
    "gopher_repetition": GopherRepetition,
    "mask_pii": MaskPii,
}
