"""What points to a person is masked: addresses, telephone numbers, and numbers of cards and accounts.

Each finder gives the places of one kind in a text, from left to right. All take time linear in the text.
"""

import ipaddress
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from input_pipeline.clean.record import CHANGED, Entry, Outcome, Record
from input_pipeline.clean.steps.text import checks, numbers
from input_pipeline.clean.steps.text.verdicts import rewritten

Span: TypeAlias = tuple[int, int]

_DOMAIN = re.compile(r"@([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?)")
_LOCAL = string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~.-"  # RFC 5322, section 3.2.3
_MAX_LOCAL = 254
_TOP_LEVEL = re.compile(r"(?:[A-Za-z]{2,63}|xn--[A-Za-z0-9-]{1,59})").fullmatch
_IPV4 = re.compile(r"[0-9][0-9]?[0-9]?\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_IPV6 = re.compile(r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{0,33}(?:::|[0-9A-Fa-f])")
_CARD = re.compile(r"[2-6][0-9](?:[ -]?[0-9]){10,17}")
_IBAN = re.compile(r"[A-Z][A-Z][0-9][0-9](?: ?[A-Z0-9]){11,29}")
# ITU-T E.164 with its plus sign: at most 15 digits. And the North American plan: https://nationalnanpa.com
_INTERNATIONAL = re.compile(r"\+[1-9](?:[ ().-]{0,3}[0-9]){6,14}")
_AMERICAN = re.compile(r"[2-9][0-9][0-9][ .-][2-9][0-9][0-9][ .-][0-9]{4}")
_IN_BRACKETS = re.compile(r"\([2-9][0-9][0-9]\) ?[2-9][0-9][0-9][ .-][0-9]{4}")


def emails(text: str) -> Iterator[Span]:
    """Addresses such as jane.doe@mail.example.com, in ASCII and with a dot in the domain (RFC 5322, section 3.4.1)."""
    for match in _DOMAIN.finditer(text):
        labels = match[1].split(".")
        before = text[max(0, match.start() - _MAX_LOCAL) : match.start()]
        local = before[len(before.rstrip(_LOCAL)) :].lstrip(".'`{|")
        if local and len(labels) > 1 and all(labels) and _TOP_LEVEL(labels[-1]):
            yield match.start() - len(local), match.end()


def ip_addresses(text: str) -> Iterator[Span]:
    """Public addresses: IPv4 in four decimal numbers, IPv6 within 2000::/3 (RFC 4291, section 2.4)."""
    spans = [match.span() for pattern in (_IPV4, _IPV6) for match in pattern.finditer(text)]
    for start, end in sorted(spans):
        if _stands_alone(text, start, end, beside=".:") and _is_public(text[start:end]):
            yield start, end


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def phones(text: str) -> Iterator[Span]:
    """Numbers with a plus sign and a country, and North American ones in groups of 3, 3 and 4 digits."""
    patterns = (_INTERNATIONAL, _AMERICAN, _IN_BRACKETS)
    for start, end in sorted(match.span() for pattern in patterns for match in pattern.finditer(text)):
        if text[max(0, start - 2) : start] in ("1-", "1.", "1 "):
            start -= 2
        if _stands_alone(text, start, end, beside=".-/+"):
            yield start, end


def cards(text: str) -> Iterator[Span]:
    """Payment cards of the known issuers with a right check digit."""
    for match in _CARD.finditer(text):
        if _stands_alone(text, *match.span(), beside=".-") and numbers.is_card(re.sub(r"[ -]", "", match[0])):
            yield match.span()


def ibans(text: str) -> Iterator[Span]:
    """Bank accounts with the length of their country and a right check."""
    for match in _IBAN.finditer(text):
        end = match.start() + numbers.iban_end(match[0])
        if end > match.start() and _stands_alone(text, match.start(), end, beside=""):
            yield match.start(), end


def _stands_alone(text: str, start: int, end: int, *, beside: str) -> bool:
    """Whether no letter or digit is next to a span, and no mark of `beside` joins it to one."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    joined = before[-1:] in beside and before[:1].isalnum() if len(before) == 2 else False
    goes_on = after[:1] in beside and after[1:].isalnum() if len(after) == 2 else False
    return not (before[-1:].isalnum() or after[:1].isalnum() or joined or goes_on)


# In the order in which they are masked: a card's number may look like a telephone's.
FINDERS: Mapping[str, Callable[[str], Iterator[Span]]] = {
    "email": emails,
    "iban": ibans,
    "card": cards,
    "ip": ip_addresses,
    "phone": phones,
}


@dataclass(frozen=True)
class MaskPii:
    """Addresses and numbers that point to a person become <EMAIL>, <IBAN>, <CARD>, <IP> and <PHONE>.

    As Dolma (Soldaini et al. 2024, section 5.2.3, https://arxiv.org/abs/2402.00159) and FineWeb (Penedo et al. 2024,
    section 3.7, https://arxiv.org/abs/2406.17557) mask e-mail and public IP addresses; cards must pass Luhn's check and
    accounts MOD 97-10. Telephone numbers that are written without a country, other than North America's, stay.
    Names and street addresses stay.

    Attributes:
      kinds: of FINDERS.
      fields: whether a record's fields of text are masked too, such as who a mail is from. Those that a split goes by
        have to stay as they are: write fields=False, and leave the others out with `source.fields`.
    """

    kinds: tuple[str, ...] = tuple(FINDERS)
    fields: bool = True

    def __post_init__(self):
        checks.one_of(tuple(FINDERS), kinds=self.kinds)

    def __call__(self, records: Sequence[Record]) -> Outcome:
        records, entries = rewritten(records, self._mask, "mask_pii.found", shown="after")
        if not self.fields:
            return Outcome(records, entries)
        whole = [self._fields(record) for record in records]
        more = [entry for _, entry in whole if entry]
        return Outcome([record for record, _ in whole], [*entries, *more])

    def _fields(self, record: Record) -> tuple[Record, Entry | None]:
        texts = {name: value for name, value in record.fields.items() if isinstance(value, str)}
        found = {name: self._mask(value)[0] for name, value in texts.items()}
        changed = [name for name, value in texts.items() if found[name] != value]
        if not changed:
            return record, None
        entry = Entry(record.id, "mask_pii.fields", ", ".join(changed), action=CHANGED)
        return replace(record, fields={**record.fields, **found}), entry

    def _mask(self, text: str) -> tuple[str, str]:
        found = {}
        for kind in (kind for kind in FINDERS if kind in self.kinds):
            text, count = masked(text, FINDERS[kind](text), f"<{kind.upper()}>")
            if count:
                found[kind] = count
        return text, ", ".join(f"{kind} {count}" for kind, count in found.items())


def masked(text: str, spans: Iterator[Span], placeholder: str) -> tuple[str, int]:
    """The text with a placeholder for each span, and how many there were; of overlapping spans the first counts."""
    parts: list[str] = []
    place = 0
    for start, end in spans:
        if start >= place:
            parts += [text[place:start], placeholder]
            place = end
    return "".join((*parts, text[place:])), len(parts) // 2
