"""How two runs differ, by their files: in config, data, code, result and speed."""

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping
from typing import Any

from train.reports.workdir import Workdir

TIMED = ("_s", "_bytes", "_fraction")  # how metrics end that no two sessions have in common
ABSENT = "-"


@dataclasses.dataclass(frozen=True)
class Difference:
    """A field that two runs do not share, as text; `gap` is how far the second is from the first."""

    field: str
    one: str
    other: str
    gap: str = ""


def fields(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[tuple[str, Any, Any]]:
    """The fields in which two configs differ, by their dotted paths: ("train.num_steps", 100, 200)."""
    found = []
    for name in sorted(before.keys() | now.keys()):
        one, other = before.get(name), now.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += fields(one, other, f"{path}{name}.")
        elif json.dumps(one) != json.dumps(other):
            found.append((path + name, one, other))
    return found


def between(one: Workdir, other: Workdir) -> dict[str, list[Difference]]:
    """Of each kind, what differs between two runs."""
    return {
        "config": _config(one, other),
        "data": [Difference(path, _short(a), _short(b)) for path, a, b in fields(_data(one), _data(other))],
        "code": [Difference(path, _short(a), _short(b)) for path, a, b in fields(_code(one), _code(other))],
        "result": _numbers(_result(one), _result(other)),
        "speed": _numbers(_speed(one), _speed(other)),
    }


def text(differences: Mapping[str, list[Difference]]) -> str:
    """One block a kind; "no difference" where there is none."""
    return "\n".join(_block(kind, found) for kind, found in differences.items())


def _block(kind: str, found: list[Difference]) -> str:
    if not found:
        return f"{kind}: no difference"
    rows = [(difference.field, difference.one, difference.other, difference.gap) for difference in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n  ".join([f"{kind}:", *lines])


def _config(one: Workdir, other: Workdir) -> list[Difference]:
    def told(run: Workdir, path: str, value: Any) -> str:
        return f"{value!r} ({run.provenance[path]})" if path in run.provenance else repr(value)

    found = fields(one.config, other.config)
    return [Difference(path, told(one, path, a), told(other, path, b)) for path, a, b in found]


def _data(run: Workdir) -> dict[str, Any]:
    return {name: facts for name, facts in run.derived.items() if name.startswith("data.")}


def _code(run: Workdir) -> dict[str, str]:
    """What ran, over all sessions: "0.10.1, then 0.10.2" where that changed."""
    seen: dict[str, dict[str, None]] = {}
    for session in run.sessions:
        for kind in ("code", "devices"):
            for path, value in _flat(session.get(kind, {})).items():
                seen.setdefault(path, {})[_short(value)] = None
    return {path: ", then ".join(values) for path, values in seen.items()}


def _flat(section: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in section.items():
        values |= _flat(value, f"{path}{name}.") if isinstance(value, Mapping) else {path + name: value}
    return values


def _result(run: Workdir) -> dict[str, float]:
    """The last step, the last value of each metric that is not timed, and the best loss of each evaluation."""
    last = {key: value for row in run.metrics for key, value in row.items() if not key.endswith(TIMED)}
    evaluated = [key for key in last if key.endswith("/loss") and key != "train/loss"]
    best = {f"best {key}": _least([value for _, value in run.series(key)]) for key in evaluated}
    return last | best


def _speed(run: Workdir) -> dict[str, float]:
    """The median of each timed metric: a slow first window, or one with an evaluation, does not shift it."""
    keys = dict.fromkeys(key for row in run.metrics for key in row if key.endswith(TIMED) and key != "train/eta_s")
    return {f"median {key}": statistics.median(value for _, value in run.series(key)) for key in keys}


def _least(values: list[float]) -> float:
    return min((value for value in values if math.isfinite(value)), default=math.nan)


def _numbers(one: Mapping[str, float], other: Mapping[str, float]) -> list[Difference]:
    return [
        Difference(
            key,
            f"{one[key]:.6g}" if key in one else ABSENT,
            f"{other[key]:.6g}" if key in other else ABSENT,
            f"{other[key] - one[key]:+.3g}" if key in one and key in other else "",
        )
        for key in {**one, **other}
        if json.dumps(one.get(key)) != json.dumps(other.get(key))
    ]


def _short(value: Any) -> str:
    """A value as text, a hash by its first twelve digits."""
    is_hash = isinstance(value, str) and len(value) in (40, 64) and not value.strip("0123456789abcdef")
    return value[:12] if is_hash else ABSENT if value is None else str(value) or "none"
