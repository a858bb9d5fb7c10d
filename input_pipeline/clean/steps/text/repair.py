"""Text that was damaged on its way is mended."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from input_pipeline.clean.record import Outcome, Record
from input_pipeline.clean.steps.text import packages
from input_pipeline.clean.steps.text.verdicts import rewritten

_PLAIN = re.compile(r"[\t\n -~]*").fullmatch  # nothing that ftfy would mend, an entity apart
_LINES = re.compile(r"[^\n]*\n|[^\n]+").findall


@dataclass(frozen=True)
class FixText:
    """Wrongly decoded text ("schÃ¶n" for "schön") and what comes with it is mended by ftfy, and the text is in NFC.

    Robyn Speer, ftfy, https://ftfy.readthedocs.io. Its defaults, except that quotes stay curled, and that entities are
    resolved in texts without any "<" alone. Lines of plain ASCII, in which it would find nothing, it does not see.

    Attributes:
      uncurl_quotes: also make typographic quotes straight.
    """

    uncurl_quotes: bool = False

    def __call__(self, records: Sequence[Record]) -> Outcome:
        return rewritten(records, self._fix, "fix_text.lines")

    def _fix(self, text: str) -> tuple[str, int]:
        if _PLAIN(text) and "&" not in text:
            return text, 0
        resolve = "<" not in text
        lines = _LINES(text)
        fixed = [self._fix_line(line, resolve=resolve) for line in lines]
        return "".join(fixed), sum(map(str.__ne__, lines, fixed))

    def _fix_line(self, line: str, *, resolve: bool) -> str:
        if _PLAIN(line) and not (resolve and "&" in line):
            return line
        return packages.load("ftfy").fix_text(line, unescape_html=resolve, uncurl_quotes=self.uncurl_quotes)
