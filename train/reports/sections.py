"""The sections of a run's page. Each is a function of the record, and None where the run has nothing of the kind."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from train.reports import chart, curves, numbers
from train.reports.markup import Content, Markup, element, join
from train.reports.record import Record
from train.reports.tables import flat, in_words, table

MAX_EVENTS = 200
MAX_CHARTS = 12


def charts(record: Record) -> Markup | None:
    """A chart for each metric; those of the many that come after the first are folded away."""
    drawn = [chart.draw(panel) for panel in curves.panels(record.run)]
    first, rest = drawn[:MAX_CHARTS], drawn[MAX_CHARTS:]
    folded = element("div", *rest, class_="charts") if rest else None
    summary = f"{len(rest)} more chart{'s' * (len(rest) != 1)}"
    return join(
        element("div", *first, class_="charts") if first else None, _folded(summary, folded) if folded else None
    )


def samples(record: Record) -> Markup | None:
    """What the model wrote, the newest first, its prompt marked."""
    return join(*map(_sample, reversed(record.samples))) if record.samples else None


def _sample(sample: Mapping[str, Any]) -> Markup:
    known = ("prompt", "text", "step")
    told = [f"step {sample['step']:,}"] if isinstance(sample.get("step"), int) else []
    told += [
        f"{key.replace('_', ' ')} {numbers.plain(value)}" for key, value in sample.items() if key not in known and value
    ]
    prompt, text = str(sample.get("prompt", "")), str(sample.get("text", ""))
    shown = [element("mark", prompt), text.removeprefix(prompt)] if prompt.strip() else [text]
    return element("div", element("p", ", ".join(told), class_="soft"), element("pre", *shown), class_="sample")


def data(record: Record) -> Markup | None:
    """A row for each split; what is nested in one, such as the parts of a mixture, has a table of its own."""
    splits = {key.removeprefix("data."): facts for key, facts in record.run.derived.items() if key.startswith("data.")}
    splits = {name: facts for name, facts in splits.items() if isinstance(facts, Mapping)}
    if not splits:
        return None
    tables = [_mapping_table("Splits", "split", splits)]
    for name, facts in splits.items():
        for key, value in facts.items():
            if rows := _named_rows(value):
                tables.append(_mapping_table(f"{name}: {key.replace('_', ' ')}", "name", rows))
    return join(*tables)


def _named_rows(value: Any) -> dict[str, Mapping[str, Any]]:
    """Rows by name, of a dict of dicts, a list of dicts or a dict of numbers; {} of anything else."""
    if (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and value
        and all(isinstance(v, Mapping) for v in value)
    ):
        return {
            str(row.get("name", number)): {key: inner for key, inner in row.items() if key != "name"}
            for number, row in enumerate(value, start=1)
        }
    if isinstance(value, Mapping):
        return {str(key): row if isinstance(row, Mapping) else {"value": row} for key, row in value.items()}
    return {}


def _mapping_table(title: str, first: str, rows: Mapping[str, Mapping[str, Any]]) -> Markup:
    columns = list(dict.fromkeys(key for row in rows.values() for key, value in row.items() if not _named_rows(value)))
    body = [[name, *(_fact(key, row.get(key)) for key in columns)] for name, row in rows.items()]
    return table([first, *(column.replace("_", " ") for column in columns)], body, caption=title)


def _fact(key: str, value: Any) -> Content:
    """A cell: bytes with their unit, a long hash by its beginning."""
    if key.endswith("bytes") and isinstance(value, int):
        return numbers.size(value)
    if key.endswith("fingerprint") and isinstance(value, str):
        return element("code", value[:12], title=value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else in_words(value)


def timings(record: Record) -> Markup | None:
    """Where the seconds went, as a bar and a table."""
    parts = spent_s(record)
    whole_s = sum(parts.values())
    if not whole_s:
        return None
    named = {name: (index % curves.NUM_COLOURS, s) for index, (name, s) in enumerate(parts.items())}
    bar = [element("i", class_=f"series-{c}", style=f"flex:{s / whole_s:.5f}") for c, s in named.values() if s > 0]
    rows = [
        [join(element("i", class_=f"swatch series-{colour}"), name), numbers.duration(s), numbers.percent(s / whole_s)]
        for name, (colour, s) in named.items()
    ]
    rows.append([element("b", "all of it"), numbers.duration(whole_s), ""])
    return join(
        element("div", *bar, class_="bar", aria_hidden="true"),
        element(
            "div",
            table(["part", "time", "share"], rows, numeric=(1, 2)),
            table(["pace and memory", ""], _rates(record), numeric=(1,)),
            class_="pair",
        ),
    )


def spent_s(record: Record) -> dict[str, float]:
    """Seconds by what they were spent on, over all the steps that were measured and the starts of all sessions."""
    parts: dict[str, float] = {}

    def book(name: str, seconds: Any) -> None:
        if isinstance(seconds, int | float) and math.isfinite(seconds):
            parts[name] = parts.get(name, 0.0) + seconds

    before = min((int(session.get("start_step", 0)) for session in record.run.sessions), default=0)
    for row in record.run.metrics:
        if "train/step_time_s" not in row:
            continue
        train_s = row["train/step_time_s"] * (row["step"] - before)
        wait_s = train_s * row.get("train/data_wait_fraction", 0.0)
        before = int(row["step"])
        book("steps", train_s - wait_s)
        book("waiting for data", wait_s)
        for key, value in row.items():
            if key.startswith("train/") and key.endswith("_s") and key not in NO_PART:
                book(PARTS.get(key, key.removeprefix("train/").removesuffix("_s")), value)
    for session in record.run.sessions:
        for seconds in startup_s(session).values():
            book("start-up", seconds)
    return parts


def startup_s(session: Mapping[str, Any]) -> dict[str, float]:
    """The parts of a session's start-up that are numbers; it may have been measured as a whole."""
    kept = session.get("startup_s")
    parts = kept if isinstance(kept, Mapping) else {"all": kept}
    return {name: seconds for name, seconds in parts.items() if isinstance(seconds, int | float)}


def _started(parts: Mapping[str, float]) -> str:
    """ "9.35 s: imports 3.1 s, data 5.25 s, state 1 s"."""
    told = ", ".join(f"{name} {numbers.duration(seconds)}" for name, seconds in parts.items())
    return f"{numbers.duration(sum(parts.values()))}: {told}" if parts else ""


def _rates(record: Record) -> list[tuple[str, str]]:
    """Medians over the lines of metrics, which a slow beginning does not move."""
    values = lambda key: [value for _, value in record.run.series(key) if math.isfinite(value)]
    rates = [(name, show(statistics.median(found))) for name, key, show in RATES if (found := values(key))]
    return rates + [(name, numbers.size(max(found))) for name, key in PEAKS if (found := values(key))]


def operations(record: Record) -> Markup | None:
    """The costliest operations of the steps that were traced (train/profile.py)."""
    kept = record.operations
    rows = kept.get("operations")
    if not isinstance(rows, list):
        return None
    most = max((row.get("share", 0.0) for row in rows), default=0.0) or 1.0
    body = [
        [
            element("code", row.get("name")),
            row.get("kind"),
            element("code", row.get("source")),
            f"{row.get('ms_per_step', 0.0):.3f}",
            join(
                element("i", class_="share", style=f"width:{4 * row.get('share', 0.0) / most:.2f}rem"),
                " ",
                numbers.percent(row.get("share", 0.0)),
            ),
        ]
        for row in rows
        if isinstance(row, Mapping)
    ]
    head = ["operation", "kind", "from", "ms a step", "share"]
    return join(element("p", kept.get("told"), class_="soft"), table(head, body, numeric=(3,), wrap=(2,)))


def sessions(record: Record) -> Markup | None:
    """When the run was worked on, with which code and on what."""
    if not record.run.sessions:
        return None
    shown = [key for key in dict.fromkeys(k for s in record.run.sessions for k in s) if key != "startup_s"]
    rows = [
        [*(in_words(session.get(key)) for key in shown), _started(startup_s(session))]
        for session in record.run.sessions
    ]
    long = [i for i, key in enumerate(shown) if isinstance(record.run.sessions[-1].get(key), Mapping | list)]
    return table([*(key.replace("_", " ") for key in shown), "start-up"], rows, wrap=(*long, len(shown)))


def events(record: Record) -> Markup:
    """Skipped steps, warnings, changes, resumes and stops, as run.log tells of them."""
    told = record.telling()
    skipped = [value for _, value in record.run.series("train/skipped_steps")]
    number = int(skipped[-1]) if skipped and math.isfinite(skipped[-1]) else 0
    count = f"Skipped steps: {number:,}" if number else "No step was skipped"
    summary = f"{count}; {len(told):,} lines of run.log tell of warnings, changes, resumes or stops" if told else count
    damaged = [f"set aside as damaged: checkpoint {name}" for name in record.damaged]
    if len(told) > MAX_EVENTS:
        summary += f"; the last {MAX_EVENTS} are shown"
    rows = [[f"{entry.time:%Y-%m-%d %H:%M:%S %z}", entry.text.split("\n")[0]] for entry in told[-MAX_EVENTS:]]
    listed = [["", text] for text in damaged] + rows
    shown = table(["time", "what was said"], listed, wrap=(1,)) if listed else None
    return join(element("p", f"{summary}.", class_="soft"), shown)


def config(record: Record) -> Markup | None:
    """Every field, its value and where that came from; defaults are folded away where the run kept them apart."""
    fields = flat(record.run.config)
    if not fields:
        return None
    came_from = record.run.provenance
    given = {path: value for path, value in fields.items() if came_from.get(path, "") != "default"}
    rest = {path: value for path, value in fields.items() if path not in given}
    derived = {key: value for key, value in record.run.derived.items() if not key.startswith("data.")}
    unknown = element("p", "The run did not keep where the values came from.", class_="soft")
    return join(
        None if came_from else unknown,
        _fields(given, came_from),
        _folded(f"{len(rest)} fields at their default", _fields(rest, came_from)) if rest else None,
        _folded(f"{len(flat(derived))} numbers that follow from them", _fields(flat(derived), {})) if derived else None,
    )


def _folded(summary: str, content: Markup) -> Markup:
    return element("details", element("summary", summary), content)


def _fields(fields: Mapping[str, Any], came_from: Mapping[str, str]) -> Markup:
    """Fields under the name of their section, in the order of the config."""
    known = bool(came_from)
    bodies = []
    for section in dict.fromkeys(path.partition(".")[0] for path in fields):
        inside = {path: value for path, value in fields.items() if path.partition(".")[0] == section}
        rows = [element("tr", element("th", section, scope="rowgroup", colspan=3 if known else 2))]
        rows += [
            _field(path, value, came_from.get(path, "not kept") if known else None) for path, value in inside.items()
        ]
        bodies.append(element("tbody", *rows))
    head = [element("th", name, scope="col") for name in ("field", "value", *(["from"] if known else []))]
    return element("div", element("table", element("thead", element("tr", *head)), *bodies), class_="scroll fields")


def _field(path: str, value: Any, origin: str | None) -> Markup:
    given = " given" if origin in ("command line", "argument") else ""
    cells = [
        element("th", element("code", path.partition(".")[2] or path), scope="row"),
        element("td", element("code", numbers.plain(value)), class_="wrap"),
        element("td", origin, class_=f"from{given}") if origin is not None else None,
    ]
    return element("tr", *cells)


NO_PART = (
    *("train/step_time_s", "train/tokens_per_s", "train/examples_per_s"),
    *("train/model_flops_per_s", "train/eta_s"),
)
PARTS = {
    "train/eval_s": "evaluation",
    "train/checkpoint_s": "checkpoints",
    "train/compile_s": "compiling",
    "train/profile_s": "profile",
}
RATES = (
    ("median step", "train/step_time_s", numbers.duration),
    ("median tokens a second", "train/tokens_per_s", numbers.count),
    ("median examples a second", "train/examples_per_s", numbers.count),
    ("median model FLOP/s", "train/model_flops_per_s", numbers.count),
    ("median MFU", "train/mfu", numbers.percent),
)
PEAKS = (
    ("memory of the host, at most", "train/host_peak_bytes"),
    ("memory of a device, at most", "train/device_peak_bytes"),
)
