"""Text that was damaged on its way is mended, and what is written in several ways is written in one."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from input_pipeline.clean.record import Outcome, Record
from input_pipeline.clean.steps.text import checks, packages
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


# White space within a line other than the space and the tab, and all characters that end a line: Unicode Standard
# Annex 14, classes BK, CR, LF and NL.
_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Control characters but for tab and line feed, half surrogate pairs, byte order marks, characters that are none.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff]")
_RUNS = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class Normalize:
    """One form for all texts: NFC, lines that end in a line feed, no control characters, no white space at the end.

    NFC is Unicode Standard Annex 15, https://unicode.org/reports/tr15. Indentation stays, as code and tables need it.

    Attributes:
      empty_lines: how many may follow one another.
      one_space: make one space of several spaces and tabs within a line, indentation included.
    """

    empty_lines: int = 1
    one_space: bool = False

    def __post_init__(self):
        checks.at_least(0, empty_lines=self.empty_lines)

    def __call__(self, records: Sequence[Record]) -> Outcome:
        return rewritten(records, self._normalize, "normalize.chars")

    def _normalize(self, text: str) -> tuple[str, int]:
        num_chars = len(text)
        text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
        if not text.isascii():
            text = _SPACES.sub(" ", unicodedata.normalize("NFC", text))
        if self.one_space:
            text = _RUNS.sub(" ", text)
        lines = [line.rstrip(" \t") for line in text.rstrip().split("\n")]
        text = self._few_empty("\n".join(lines).strip("\n"))
        return text, num_chars - len(text)

    def _few_empty(self, text: str) -> str:
        most = "\n" * (self.empty_lines + 1)
        return re.sub(f"{most}\n+", most, text)
