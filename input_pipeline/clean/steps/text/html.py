"""Text from HTML."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from input_pipeline.clean.record import CHANGED, Entry, Outcome, Record, excerpt, split_outcome
from input_pipeline.clean.steps.text import packages
from input_pipeline.clean.steps.text.verdicts import Failure, removed

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
# Elements whose end may be left out, or that have none: https://html.spec.whatwg.org/multipage/syntax.html
_OPEN_ENDED = {
    *("area", "base", "body", "br", "col", "colgroup", "dd", "dt", "embed", "head", "hr", "html", "img", "input", "li"),
    *("link", "meta", "optgroup", "option", "p", "param", "rp", "rt", "source", "tbody", "td", "tfoot", "th", "thead"),
    *("tr", "track", "wbr"),
}
_MAX_DEPTH = 2000  # finding the main content takes time in the square of the depth: 0.2 s here


@dataclass(frozen=True)
class Html:
    """Records whose field `format` is "html" become plain text: tags and scripts go, entities are resolved.

    Bevendorff et al., "Elastic ChatNoir", ECIR 2018 (Resiliparse), https://resiliparse.chatnoir.eu. The field becomes
    "text". Records in which no text is found are removed.

    Attributes:
      main_content: leave out menus, headers and footers, by Resiliparse's rules, as DCLM (Li et al. 2024,
        section 4.2) does for web pages.
      links: keep the targets of links.
    """

    main_content: bool = False
    links: bool = False

    def __call__(self, records: Sequence[Record]) -> Outcome:
        return split_outcome(found for record in records for found in self._extract(record))

    def _extract(self, record: Record) -> Iterator[Record | Entry]:
        if record.fields.get("format") != "html":
            yield record
            return
        if self.main_content and (found := depth(record.text, most=_MAX_DEPTH)) > _MAX_DEPTH:
            yield removed(record, "html", Failure("depth", found, _MAX_DEPTH))
            return
        text = self._plain(record.text)
        if not text.strip():
            yield removed(record, "html", Failure("chars", 0, 1))
            return
        yield replace(record, text=text, fields={**record.fields, "format": "text"})
        yield Entry(record.id, "html.chars", len(text), action=CHANGED, excerpt=excerpt(record.text))

    def _plain(self, html: str) -> str:
        extract = packages.load("resiliparse.extract.html2text").extract_plain_text
        # Half of a surrogate pair has no UTF-8.
        html = html.encode("utf-8", "replace").decode("utf-8")
        return extract(html, preserve_formatting=True, main_content=self.main_content, links=self.links)


def depth(html: str, *, most: int) -> int:
    """How deep elements nest, those without an end tag left out, or the first number above `most`."""
    if html.count("<") <= most:
        return 0
    level = deepest = 0
    for match in _TAG.finditer(html):
        closes, name = match.groups()
        if name.lower() not in _OPEN_ENDED:
            level = max(0, level - 1) if closes else level + 1
            deepest = max(deepest, level)
        if deepest > most:
            break
    return deepest
