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
    "mask_pii": MaskPii,
}

# Published pipelines for English, as lines of `steps`, in their own order; their deduplication comes after.
#   gopher: Rae et al. 2021, appendix A.1.
#   c4: Raffel et al. 2020, section 2.2, as in JMLR and in tensorflow_datasets ("en" there also has a blocklist: write
#     toxicity(('list.txt',)) after it; "en.noblocklist" has none). c4_v1: the thresholds of arXiv 1910.10683v1.
#   fineweb: Penedo et al. 2024, section 3 and datatrove's examples/fineweb.py. FineWeb masks after deduplication.
_PLAIN = "html(main_content=True)|fix_text|normalize"
PRESETS: Mapping[str, str] = {
    "gopher": f"{_PLAIN}|language('en')|gopher_quality|gopher_repetition",
    "c4": f"{_PLAIN}|c4|language('en', 0.99)",
    "c4_v1": f"{_PLAIN}|c4(min_words=3, min_sentences=5)|language('en', 0.99)",
    "fineweb": (
        f"{_PLAIN}|language('en', 0.65)|gopher_repetition|gopher_quality"
        "|c4(min_words=3, min_sentences=5, end_marks='')|fineweb|mask_pii(('email', 'ip'))"
    ),
}
