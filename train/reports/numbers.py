"""Numbers as a report writes them, for people: 12.3k, 4.2 GiB, 1 h 20 min."""

import math
from typing import Any


def number(value: float) -> str:
    """Four digits that count."""
    if not math.isfinite(value):
        return "not finite"
    return f"{value:,.0f}" if _is_large_whole(value) else f"{value:.4g}"


def _is_large_whole(value: float) -> bool:
    return 1000 <= abs(value) < 1e9 and (value == int(value) or abs(value) >= 10_000)


def count(value: float) -> str:
    """Three digits and a unit: 850, 12.3k, 4.56M."""
    for size, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def duration(value_s: float) -> str:
    """Seconds with the units that matter: 3.1 ms, 9.2 s, 1 min 20 s, 2 h 05 min, 3 d 04 h."""
    if not math.isfinite(value_s):
        return "unknown"
    if value_s < 1:
        return f"{value_s * 1e3:.3g} ms"
    if value_s < 59.95:
        return f"{value_s:.3g} s"
    minutes, s = divmod(round(value_s), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days} d {h:02} h"
    return f"{h} h {m:02} min" if h else f"{m} min {s:02} s"


def size(value_bytes: float) -> str:
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value_bytes < 1024 or unit == "TiB":
            return f"{value_bytes:.3g} {unit}" if value_bytes < 1000 else f"{value_bytes:.0f} {unit}"
        value_bytes /= 1024
    raise AssertionError("unreachable")


def percent(fraction: float) -> str:
    """Three digits at most, and no more than one behind the point."""
    return f"{fraction:.0%}" if fraction >= 0.995 or fraction == 0 else f"{fraction * 100:.2g} %".replace(" %", "%")


def plain(value: Any) -> str:
    """A value of a config as one would write it there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float):
        return repr(value)
    return repr(value) if isinstance(value, str) and (not value.strip() or "\n" in value) else str(value)
