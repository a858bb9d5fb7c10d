"""Cleaning's filters beside datatrove's, on files of yours: their speed, and whether they decide alike.

    python -m venv peers && peers/bin/pip install 'datatrove[processing]' spacy
    python scripts/bench_clean.py --input='mails/**/*.txt' --format=mail --peer_python=peers/bin/python [--rounds=5]

Speed: documents for each second of one core's time, of the same documents in the same order, in interleaved rounds,
each contender in a process of its own. Every filter sees every document as it came; both sides find the words of a
document once for all of its filters. "datatrove" finds words with its default tokenizer for English, spaCy;
"datatrove_split" between white space as ours does, which costs next to nothing: what is left are the filters.

Decisions: the share of documents on which a filter of ours and one of theirs decide alike, and what stands against
most of the others. C4 has datatrove's thresholds there.
"""

import collections
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from absl import flags
from peers import contender, match
from peers.contender import Contender, RunSteps

OPERATIONS = {
    "gopher_quality": "gopher_quality",
    "gopher_repetition": "gopher_repetition",
    "fineweb": "fineweb",
    "c4": "c4(min_words=3, min_sentences=5, end_marks='.?!\"\\'')",
}
PEERS = {"datatrove": "default", "datatrove_split": "split"}  # and how they find words
PEER = str(pathlib.Path(__file__).parent / "peers" / "datatrove_filters.py")
BATCH = 1_000  # records, as the blocks of a cleaning


def read_texts(pattern: str, format: str, folder: pathlib.Path) -> list[str]:
    """The texts of all records, HTML as text, in one form; empty ones are left out."""
    from input_pipeline.clean import collect, inputs, steps
    from input_pipeline.clean.collect.spec import Collect
    from input_pipeline.clean.record import Record

    files = inputs.find([pattern], cache_dir=folder)
    found = (each for file in files for each in collect.read(file.path, file.name, spec=Collect(format=format)))
    records: Sequence[Record] = [each for each in found if isinstance(each, Record)]
    for step in steps.line("html|fix_text|normalize", modality="text"):
        records = step(records).records
    return [record.text for record in records if record.text]


def judge(texts: Sequence[str], names: Sequence[str]) -> list[list[str]]:
    """For each document what each operation has against it, "" for nothing. All see the document as it came."""
    from input_pipeline.clean import steps
    from input_pipeline.clean.record import REMOVED, Record

    found = [[""] * len(names) for _ in texts]
    line = steps.line("|".join(OPERATIONS[name] for name in names), modality="text")
    for start in range(0, len(texts), BATCH):
        block = [Record(str(place), texts[place]) for place in range(start, min(start + BATCH, len(texts)))]
        for column, step in enumerate(line):
            for entry in step(block).entries:
                if entry.action == REMOVED:
                    found[int(entry.id)][column] = entry.rule.split(".")[1]
    return found


def ours(file: str, names: Sequence[str]) -> RunSteps:
    """All documents through all operations. Each pass has strings of its own, as if they were read anew."""
    encoded = [text.encode() for text in _load(file)]

    def run_steps(num_passes: int) -> float:
        found = [judge([text.decode() for text in encoded], names) for _ in range(num_passes)]
        return float(sum(not any(reasons) for reasons in found[-1]))

    return run_steps


def _load(file: str) -> list[str]:
    return [json.loads(line) for line in pathlib.Path(file).read_text().splitlines()]


def race(file: str, names: Sequence[str], *, rounds: int, python: str) -> dict[str, Any]:
    """Documents a second of these operations, ours and theirs, and the ratios with their spread."""
    num_documents = len(_load(file))
    contenders = {"ours": Contender([__file__, "--worker", file, *names])}
    contenders |= {
        name: Contender([PEER, "serve", file, words, *names], python=python) for name, words in PEERS.items()
    }
    spent_s: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, each in contenders.items():
            spent_s[name].append(each.run(1)["cpu_s"])
    for each in contenders.values():
        each.close()
    found: dict[str, Any] = {"operations": list(names), "documents": num_documents}
    for name, times in spent_s.items():
        found[f"{name}_documents_per_s"] = num_documents / statistics.median(times)
        if name != "ours":
            found |= match.spread(f"ratio_{name}", times, spent_s["ours"])
    return found


def compare(file: str, *, python: str) -> dict[str, Any]:
    """The share of documents on which each pair of filters decides alike, and the commonest reasons of the others."""
    mine, found = judge(_load(file), list(OPERATIONS)), {}
    for peer, words in PEERS.items():
        arguments = [python, PEER, "judge", file, words, *OPERATIONS]
        theirs = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
        for column, name in enumerate(OPERATIONS):
            pairs = [(our[column], their[column]) for our, their in zip(mine, theirs, strict=True)]
            others = collections.Counter(pair for pair in pairs if bool(pair[0]) != bool(pair[1]))
            found[f"{name} and {peer}"] = {
                "alike": 1 - sum(others.values()) / len(pairs),
                "kept_by_ours": sum(not our for our, _ in pairs) / len(pairs),
                "differences": {f"{our or 'kept'}/{their or 'kept'}": n for (our, their), n in others.most_common(4)},
            }
    return found


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["--worker"]:
        contender.serve(lambda: ours(argv[1], argv[2:]), warm_up=1)
        return 0
    values = flags.FlagValues()
    flags.DEFINE_string("input", None, "a glob of files", flag_values=values, required=True)
    flags.DEFINE_string("format", "auto", "as in a cleaning's config", flag_values=values)
    flags.DEFINE_string("peer_python", None, "a Python with datatrove", flag_values=values, required=True)
    flags.DEFINE_integer("documents", 500, "how many are timed, evenly spaced", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("rounds", 5, "interleaved rounds", lower_bound=3, flag_values=values)
    flags.DEFINE_bool("singly", True, "also time each filter by itself", flag_values=values)
    flags.DEFINE_string("json", "", "write the figures to this file", flag_values=values)
    values(["bench_clean", *argv])
    with tempfile.TemporaryDirectory() as folder:
        texts = read_texts(values.input, values.format, pathlib.Path(folder))
        sample = texts[:: max(1, len(texts) // values.documents)]
        file = str(pathlib.Path(folder, "texts.jsonl"))
        pathlib.Path(file).write_text("".join(json.dumps(text) + "\n" for text in sample))
        print(f"{len(sample)} of {len(texts)} documents, {sum(map(len, sample)) / len(sample):,.0f} characters each")
        decisions = compare(file, python=values.peer_python)
        print(*map(_decision_line, decisions.items()), sep="\n")
        lines = [list(OPERATIONS), *([name] for name in OPERATIONS if values.singly)]
        races = []
        for names in lines:
            races.append(race(file, names, rounds=values.rounds, python=values.peer_python))
            print(_race_line(races[-1]), flush=True)
    if values.json:
        report = {"races": races, "decisions": decisions}
        pathlib.Path(values.json).write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _race_line(found: dict[str, Any]) -> str:
    rows = [f"{', '.join(found['operations'])}: ours {found['ours_documents_per_s']:,.0f} documents/s"]
    for name in PEERS:
        least, greatest = found[f"ratio_{name}_spread"]
        ratio = f"ours by this {found[f'ratio_{name}']:.1f} ({least:.1f} to {greatest:.1f})"
        rows.append(f"  {name:<16} {found[f'{name}_documents_per_s']:>8,.1f} documents/s; {ratio}")
    return "\n".join(rows)


def _decision_line(item: tuple[str, dict[str, Any]]) -> str:
    name, found = item
    differences = ", ".join(f"{pair} {count}" for pair, count in found["differences"].items())
    return f"{name}: alike on {found['alike']:.2%}, ours keep {found['kept_by_ours']:.1%}; ours/theirs: {differences}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
