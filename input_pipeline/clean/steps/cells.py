"""What the cell of a table means: numbers, booleans and dates from their spellings. None: it cannot be read as that."""

import datetime
import math
import re
from collections.abc import Sequence
from typing import TypeAlias

Cell: TypeAlias = str | int | float | bool | None

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAY = datetime.timedelta(days=1)
_LONGEST = 400  # characters of a number or date; more are text, whatever they hold
_TRUE, _FALSE = frozenset(("true", "t", "yes", "y", "on", "1")), frozenset(("false", "f", "no", "n", "off", "0"))
_UNITS = {"": 0, "%": -2, "k": 3, "K": 3, "M": 6, "B": 9, "bn": 9}  # powers of ten
_SPACES = " \u00a0\u2009\u202f"  # between groups of three digits: a space, and those that break no line
_MINUS, _QUOTE = "-\u2212", "\u2019"


def _pattern(decimal: str, separators: str) -> re.Pattern[str]:
    """Of a number with groups of three digits that one and the same separator parts, and a unit."""
    grouped = rf"[1-9]\d{{0,2}}(?P<separator>[{separators}])\d{{3}}(?:(?P=separator)\d{{3}})*"
    amount = (
        rf"(?P<whole>{grouped}|\d+|(?={decimal}\d))(?:{decimal}(?P<fraction>\d*))?(?:[eE](?P<power>[-+]?\d{{1,6}}))?"
    )
    return re.compile(
        rf"(?P<open>\()?(?P<sign>[-+{_MINUS[1]}])?\s?[$€£¥]?\s?{amount}\s?(?P<unit>%|k|K|M|B|bn)?(?(open)\))", re.ASCII
    )


_NUMBERS = {".": _pattern(r"\.", f",'{_QUOTE}_{_SPACES}"), ",": _pattern(",", f".'{_QUOTE}_{_SPACES}")}
DECIMALS = tuple(_NUMBERS)


def number(cell: Cell, decimal: str = ".") -> float | None:
    """The finite number that a cell spells: "1,234.5", "−7", "(12)" for -12, "$3.5k" for 3500, "12 %" for 0.12.

    The nearest float64: integers above 2**53 are rounded. `decimal` is "." or ","; the other one then parts thousands.
    """
    if not isinstance(cell, str):
        return _finite(cell)
    found = _NUMBERS[decimal].fullmatch(cell.strip()) if len(cell) <= _LONGEST else None
    if found is None:
        return None
    whole = found["whole"].replace(found["separator"] or " ", "") or "0"
    power = int(found["power"] or 0) + _UNITS[found["unit"] or ""]
    is_negative = bool(found["open"]) != ((found["sign"] or "+") in _MINUS)
    return _finite(float(f"{'-' * is_negative}{whole}.{found['fraction'] or 0}e{power}"))


def _finite(value: int | float | None) -> float | None:
    try:
        return float(value) if value is not None and math.isfinite(value) else None
    except OverflowError:  # an integer above 1.8e308
        return None


def boolean(cell: Cell) -> bool | None:
    """True for true, t, yes, y, on and 1 in any case, False for their opposites."""
    word = spelled(cell).strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def days(cell: Cell, formats: Sequence[str] = ()) -> float | None:
    """The days from 1970-01-01 UTC to a date, with its time of day as a fraction; what names no zone is UTC.

    Args:
      formats: of `datetime.strptime`, tried in this order; ISO 8601 if none.
    """
    text = spelled(cell).strip()
    if not text or len(text) > _LONGEST:
        return None
    for each in formats or ("",):
        try:
            found = datetime.datetime.strptime(text, each) if each else datetime.datetime.fromisoformat(text)
            zoned = found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
            return (zoned - _EPOCH) / _DAY
        except (ValueError, OverflowError):
            continue
    return None


def spelled(cell: Cell) -> str:
    """A cell as text: 3 and 3.0 are "3"."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    return "" if cell is None else str(cell)


def is_missing(cell: Cell) -> bool:
    """None, no letters, or not a number."""
    return cell is None or cell == "" or cell != cell  # NaN alone is not itself
