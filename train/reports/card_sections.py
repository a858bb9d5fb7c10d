"""The sections of a data card. Each is a function of the dataset's files, None where there is nothing of the kind."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from train.reports import bars, numbers
from train.reports.cleaned import Cleaned, Rule, mapping, rows
from train.reports.markup import Content, Markup, element, join
from train.reports.tables import flat, in_words, table

MOST_ROWS = 100
MOST_WORDS = 8
CHARTS = {"length": "Length", "size": "Size", "width": "Width", "height": "Height", "duration": "Duration"}


class Amount(NamedTuple):
    """Records and their bytes, before or after a stage."""

    records: int
    bytes: int

    def of(self, whole: "Amount") -> str:
        """Its share of a whole, in words."""
        return f"{numbers.percent(_part(self.records, whole.records))} of the records"


def ends(stages: Sequence[Mapping[str, Any]]) -> tuple[Amount, Amount]:
    """What came into the first stage, and what the last one let through."""
    return _amount(stages[0], "in"), _amount(stages[-1], "out")


def members(cluster: Mapping[str, Any]) -> list[tuple[str, float]]:
    """(id, similarity) of what a cluster lost."""
    pairs = cluster.get("removed")
    return [(str(pair[0]), float(pair[1])) for pair in pairs] if isinstance(pairs, list) else []


def num_removed(cluster: Mapping[str, Any]) -> int:
    """How many; of a large cluster the manifest lists only some."""
    return int(cluster.get("size") or len(members(cluster)))


def retention(found: Cleaned) -> Markup | None:
    """What is left after each stage, of records and of bytes."""
    stages = found.rows("stages")
    if not stages:
        return None
    whole, _ = ends(stages)
    body = [
        ["collected", "", f"{whole.records:,}", bars.share(1.0), numbers.size(whole.bytes), bars.share(1.0, colour=2)]
    ]
    for stage in stages:
        after = _amount(stage, "out")
        removed = sum(mapping(stage.get("removed")).values())
        body.append(
            [
                str(stage.get("name")),
                f"{-removed:,}" if removed else "0",
                f"{after.records:,}",
                bars.share(_part(after.records, whole.records)),
                numbers.size(after.bytes),
                bars.share(_part(after.bytes, whole.bytes), colour=2),
            ]
        )
    return table(["after", "removed", "records", "of all", "bytes", "of all"], body, numeric=(1, 2, 4))


def rules(found: Cleaned) -> Markup | None:
    """Every rule that removed or changed a record: how many, their bytes where they are known, what it measured."""
    stages = {str(stage.get("name")): stage for stage in found.rows("stages")}
    body = [_rule(rule, stages.get(rule.stage, {})) for rule in found.rules]
    head = ("rule", "stage", "", "records", "of the stage's", "bytes", "measured", "threshold")
    has_bytes = any(row[5] for row in body)
    kept = [place for place in range(len(head)) if has_bytes or place != 5]
    body = [[row[place] for place in kept] for row in body]
    return table([head[place] for place in kept], body, numeric=(3, 5) if has_bytes else (3,)) if body else None


def _rule(rule: Rule, stage: Mapping[str, Any]) -> list[Content]:
    num_bytes = mapping(stage.get(f"{rule.action}_bytes")).get(rule.name)
    measured = " to ".join(dict.fromkeys(f"{value:.4g}" for value in rule.values)) if rule.values else ""
    return [
        element("code", rule.name),
        rule.stage,
        rule.action,
        f"{rule.count:,}",
        bars.share(_part(rule.count, _amount(stage, "in").records), colour=1 if rule.action == "removed" else 0),
        numbers.size(num_bytes) if isinstance(num_bytes, int) else "",
        measured,
        ", ".join(rule.thresholds),
    ]


def examples(found: Cleaned) -> Markup | None:
    """For each rule a few of its records, folded away."""
    return join(*map(_examples, found.rules)) if found.rules else None


def _examples(rule: Rule) -> Markup:
    summary = join(element("code", rule.name), f": {rule.count:,} {rule.action}")
    listed = element("ul", *map(_example, rule.examples), class_="excerpts")
    return element("details", element("summary", summary), listed)


def _example(entry: Mapping[str, Any]) -> Markup:
    value, threshold = (in_words(entry.get(name)) for name in ("value", "threshold"))
    told = ", ".join(f"{name} {text}" for name, text in (("measured", value), ("threshold", threshold)) if text.strip())
    text = str(entry.get("excerpt") or "")
    id = element("code", str(entry.get("id")))
    return element("li", id, " ", element("span", told, class_="soft"), element("pre", text) if text else None)


def histograms(found: Cleaned) -> Markup | None:
    """Charts of sizes, tables of names."""
    kept = found.part("histograms")
    charts = [_sizes(title, mapping(kept.get(name))) for name, title in CHARTS.items() if mapping(kept.get(name))]
    charts = [chart for chart in charts if chart]
    total = ends(found.rows("stages"))[1].records if found.rows("stages") else 0
    tables = [
        bars.counted(name, counts, total=total or sum(counts.values()))
        for name, names in kept.items()
        if name not in CHARTS and (counts := _counts(names))
    ]
    shown = [_kept(example) for example in found.rows("examples")]
    listed = element("ul", *shown, class_="excerpts")
    drawn = element("div", *charts, class_="charts") if charts else None
    folded = element("details", element("summary", "Some of the records"), listed) if shown else None
    return join(drawn, element("div", *tables, class_="pair below") if tables else None, folded) or None


def _sizes(title: str, found: Mapping[str, Any]) -> Markup | None:
    edges, counts = found.get("edges"), found.get("counts")
    if not (isinstance(edges, list) and isinstance(counts, list) and counts and len(edges) == len(counts) + 1):
        return None
    least, greatest, zeros = (found.get(name) for name in ("least", "greatest", "zeros"))
    told = (
        f"From {numbers.count(least)} to {numbers.count(greatest)}."
        if least is not None and greatest is not None
        else ""
    )
    told += f" {zeros:,} records of none." if zeros else ""
    return bars.histogram(title, edges=edges, counts=counts, unit=str(found.get("unit")), told=told)


def _counts(counts: Any) -> dict[str, int]:
    return {name: count for name, count in mapping(counts).items() if isinstance(count, int)}


def _kept(example: Mapping[str, Any]) -> Markup:
    return element("li", element("code", example.get("id")), element("pre", example.get("excerpt")))


def diversity(found: Cleaned) -> Markup | None:
    """Of names their entropy and effective number; of a sample of the texts their n-grams and clusters."""
    measured = found.part("diversity")
    named = {name: each for name, each in measured.items() if isinstance(each, Mapping) and "effective" in each}
    body = [
        [
            name,
            f"{each.get('records', 0):,}",
            f"{each.get('distinct', 0):,}",
            f"{each.get('entropy', 0.0):.3f}",
            f"{each.get('effective', 0.0):,.1f}",
            bars.share(each.get("greatest", 0.0)),
        ]
        for name, each in named.items()
    ]
    head = ["field", "records that have it", "names", "entropy, bits", "effective names", "the greatest"]
    balance = table(head, body, caption="Balance", numeric=(1, 2, 3, 4)) if body else None
    return join(balance, *_text_diversity(mapping(measured.get("text")))) or None


def _text_diversity(text: Mapping[str, Any]) -> list[Markup]:
    grams = {n: mapping(each) for n, each in mapping(text.get("ngrams")).items()}
    body: list[list[Content]] = [
        [n, *(f"{each.get(key, 0):,}" for key in ("total", "distinct")), _rate(each), f"{each.get('entropy', 0.0):.2f}"]
        for n, each in grams.items()
    ]
    head = ["words", "n-grams", "distinct", "distinct of all", "entropy, bits"]
    caption = f"n-grams of {text.get('texts', 0):,} sampled records"
    made = [table(head, body, caption=caption, numeric=(1, 2, 3, 4))] if body else []
    clusters = mapping(text.get("clusters"))
    if listed := rows(clusters.get("clusters")):
        total = sum(int(each.get("texts", 0)) for each in listed)
        told = f"{len(listed)} clusters of their embeddings, {clusters.get('effective', 0.0):.1f} in effect"
        body = [_cluster(number, each, total) for number, each in enumerate(listed, start=1)]
        head = ["", "records", "of the sample", "words", "one of them"]
        made.append(table(head, body, caption=told, numeric=(1,), wrap=(3, 4)))
    return made


def _rate(each: Mapping[str, Any]) -> str:
    return f"{each.get('share', 0.0):.4g}"


def _cluster(number: int, each: Mapping[str, Any], total: int) -> list[Content]:
    words = each.get("words")
    named = ", ".join(map(str, words[:MOST_WORDS])) if isinstance(words, list) else ""
    count = int(each.get("texts", 0))
    return [str(number), f"{count:,}", bars.share(_part(count, total)), named, str(each.get("example") or "")]


def clusters(found: Cleaned) -> Markup | None:
    """The largest clusters of near-duplicates: who stays, who went, how like they were."""
    body = []
    for cluster in found.rows("clusters"):
        gone = members(cluster)
        scores = [score for _, score in gone]
        ids = ", ".join(id for id, _ in gone[:MOST_WORDS]) + (", ..." if len(gone) > MOST_WORDS else "")
        body.append(
            [
                element("code", cluster.get("survivor")),
                f"{num_removed(cluster):,}",
                _span(scores),
                element("code", ids),
            ],
        )
    if not body:
        return None
    return table(["stays", "removed", "similarity to it", "which"], body, numeric=(1,), wrap=(3,))


def _span(values: Sequence[float]) -> str:
    return " to ".join(dict.fromkeys(f"{value:.3f}" for value in (min(values), max(values)))) if values else ""


def splits(found: Cleaned) -> Markup | None:
    """Records and bytes of each split, and its files."""
    kept = {name: mapping(split) for name, split in found.part("splits").items()}
    if not kept:
        return None
    total = sum(int(split.get("records", 0)) for split in kept.values())
    body = [
        [
            name,
            f"{split.get('records', 0):,}",
            bars.share(_part(split.get("records", 0), total)),
            numbers.size(split.get("bytes", 0)),
            f"{len(rows(split.get('files'))):,}",
        ]
        for name, split in kept.items()
    ]
    files = [file for split in kept.values() for file in rows(split.get("files"))]
    shown = table(["split", "records", "of all", "bytes", "files"], body, numeric=(1, 3, 4))
    return join(shown, _files(f"{len(files):,} files", files))


def inputs(found: Cleaned) -> Markup | None:
    """What was read."""
    given = found.rows("inputs")
    return _files(f"{len(given):,} files", given) if given else None


def _files(summary: str, files: Sequence[Mapping[str, Any]]) -> Markup:
    """Name, bytes and hash of files, folded away; of very many the first."""
    body = [
        [
            str(file.get("name")),
            f"{file['records']:,}" if isinstance(file.get("records"), int) else "",
            numbers.size(file.get("bytes") or 0),
            element("code", str(file.get("sha256"))[:16], title=file.get("sha256")),
        ]
        for file in files[:MOST_ROWS]
    ]
    more = element("p", f"The first {MOST_ROWS} of them.", class_="note") if len(files) > MOST_ROWS else None
    listed = table(["file", "records", "bytes", "SHA-256"], body, numeric=(1, 2))
    return element("details", element("summary", summary), listed, more)


def config(found: Cleaned) -> Markup | None:
    """Every field, the versions of what ran, and the keys of the stages."""
    fields = [[element("code", path), numbers.plain(value)] for path, value in flat(found.part("config")).items()]
    versions = [[name, in_words(version)] for name, version in found.part("versions").items()]
    keys = [[stage.get("name"), element("code", stage.get("key"))] for stage in found.rows("stages")]
    whole = found.manifest.get("fingerprint")
    keys += [["dataset", element("code", whole)]] if whole else []
    made = [
        table(["field", "value"], fields, wrap=(1,)) if fields else None,
        table(["package", "version"], versions) if versions else None,
        table(["fingerprint of", ""], keys, wrap=(1,)) if keys else None,
    ]
    return join(*made) or None


def _amount(stage: Mapping[str, Any], side: str) -> Amount:
    """What a stage took "in" or let "out"."""
    return Amount(int(stage.get(f"records_{side}") or 0), int(stage.get(f"bytes_{side}") or 0))


def _part(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
