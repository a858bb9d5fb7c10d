"""Cleaned datasets written by hand: a manifest, a ledger and data, as scripts/clean_data.py leaves them."""

import functools
import hashlib
import json
import random
from pathlib import Path
from typing import Any

from input_pipeline.clean import record, summary
from input_pipeline.clean.record import Entry, Record
from input_pipeline.synthetic import stories

NUM = 600
CLEAN, NEAR = "clean", "near"


def records() -> list[Record]:
    """Stories of many lengths, from five domains that are not equally frequent, in two languages."""
    rng = random.Random(0)
    made = []
    for index in range(NUM):
        text = stories.text(index, num_bytes=int(2 ** rng.uniform(4, 12))).decode()
        domain = rng.choices(("a.org", "b.org", "c.net", "d.com", "e.io"), (16, 8, 4, 2, 1))[0]
        fields = dict(url=f"https://www.{domain}/{index}", language=rng.choice(("en", "de")), label=rng.choice("xyz"))
        made.append(Record(f"part-{index % 3}.jsonl#{index}", text, fields=fields | {"licence": "CC0-1.0"}))
    return made


def entries() -> list[tuple[str, Entry]]:
    """(stage, entry): two rules that remove, one that changes, and duplicates."""
    made = [
        (CLEAN, Entry(f"short-{i}", "gopher_quality.min_words", float(i), 50.0, excerpt=f"only {i} words"))
        for i in range(40)
    ]
    made += [
        (CLEAN, Entry(f"junk-{i}", "gopher_quality.mean_word_length", round(11 + i / 7, 6), 10.0, excerpt="xq" * 60))
        for i in range(25)
    ]
    made += [
        (CLEAN, Entry(f"mail-{i}", "mask_pii.email", 1.0, action=record.CHANGED, excerpt="to <EMAIL>"))
        for i in range(9)
    ]
    made += [(NEAR, Entry(f"copy-{i}", "near.duplicate", 0.8 + i / 100, 0.8, excerpt="again")) for i in range(12)]
    return made


@functools.cache
def told() -> dict[str, Any]:
    """What is told of all the records together."""
    return summary.of(records()).as_json()


def manifest(files: list[dict[str, Any]]) -> dict[str, Any]:
    """What the pipeline says of it all."""
    num_bytes = sum(len(each.text) for each in records())
    counts = {"gopher_quality.min_words": 40, "gopher_quality.mean_word_length": 25}
    stage = dict(key="0f3a" * 8)
    return {
        "format": 1,
        "config": {
            "modality": "text",
            "steps": "gopher_quality|mask_pii",
            "dedup": {"near": "minhash", "threshold": 0.8},
            "output": {"format": "jsonl"},
        },
        "fingerprint": "5ca1ab1e" * 8,
        "inputs": [{"name": f"part-{i}.jsonl", "bytes": 300_000 + i, "sha256": f"{i:064x}"} for i in range(3)],
        "stages": [
            dict(stage, name="collect", records_in=NUM + 77, records_out=NUM + 77, bytes_in=900_000, bytes_out=900_000)
            | {"removed": {}, "changed": {}},
            dict(stage, name=CLEAN, records_in=NUM + 77, records_out=NUM + 12, bytes_in=900_000, bytes_out=num_bytes)
            | {"removed": counts, "changed": {"mask_pii.email": 9}},
            dict(stage, name=NEAR, records_in=NUM + 12, records_out=NUM, bytes_in=num_bytes, bytes_out=num_bytes)
            | {"removed": {"near.duplicate": 12}, "changed": {}},
        ],
        "splits": {
            file["name"].partition("-")[0]: {"records": file["records"], "bytes": file["bytes"], "files": [file]}
            for file in files
        },
        "clusters": [
            {"survivor": f"part-0.jsonl#{i}", "removed": [[f"copy-{k}", 0.8 + k / 100] for k in range(i, 12, 4)]}
            for i in range(4)
        ],
        "versions": {"python": "3.11", "input_pipeline": "clean 1"},
        **told(),
    }


def write(folder: Path) -> Path:
    """The folder of a dataset that was cleaned to its end."""
    files = [_split(folder / "data", name, records()[start::3]) for start, name in enumerate(("train", "val", "test"))]
    (folder / "ledger").mkdir()
    for stage in (CLEAN, NEAR):
        lines = [json.dumps(record.as_json(entry, each)) for each, entry in entries() if each == stage]
        (folder / "ledger" / f"{stage}-00000.jsonl").write_text("\n".join([*lines, ""]))
    (folder / "manifest.json").write_text(json.dumps(manifest(files)))
    return folder


def _split(folder: Path, split: str, kept: list[Record]) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps({"id": each.id, "text": each.text}) + "\n" for each in kept)
    (folder / f"{split}-00000.jsonl").write_text(text)
    sha = hashlib.sha256(text.encode()).hexdigest()
    return {"name": f"{split}-00000.jsonl", "bytes": len(text.encode()), "sha256": sha, "records": len(kept)}
