import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import made_corpus
import pytest

from input_pipeline.clean import pipeline
from input_pipeline.clean.collect import Collect
from input_pipeline.clean.engine.local import Local
from input_pipeline.clean.spec import Clean, Dedup, Output, Split
from input_pipeline.synthetic import stories

ROOT = pathlib.Path(__file__).parents[3]
COMMAND = """
import sys, pathlib, pickle
from input_pipeline.clean import pipeline
from input_pipeline.clean.collect import Collect
spec, engine = pickle.loads(bytes.fromhex(sys.argv[1]))
pipeline.run(spec, pathlib.Path(sys.argv[2]), engine=engine)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "raw"
    return folder, made_corpus.write(folder)


def spec_of(corpus, tmp_path, **fields):
    return Clean(
        files=(f"{corpus[0]}/*.jsonl",),
        cache=str(tmp_path / "cache"),
        block_records=7,
        **{
            "dedup": Dedup(near="minhash(ngram=5)"),
            "split": Split(train=0.8, val=0.1, test=0.1),
            "output": Output(format="jsonl", shard_bytes=40_000),
            **fields,
        },
    )


def run(spec, output, **engine):
    with Local(**engine) as local:
        return pipeline.run(spec, output, engine=local)


def tree(folder):
    """Everything that a person gets, byte by byte."""
    names = ("data", "ledger")
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes() for name in names for path in (folder / name).iterdir()
    }
    return found | {"manifest.json": (folder / "manifest.json").read_bytes()}


def records(folder, split="*"):
    paths = sorted((folder / "data").glob(f"{split}-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def ledger(folder):
    return [
        json.loads(line) for path in sorted((folder / "ledger").iterdir()) for line in path.read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    manifest = run(spec_of(corpus, output), output / "out")
    return output / "out", manifest


def test_every_record_is_written_or_in_the_ledger(corpus, whole):
    output, manifest = whole
    kept = [row["id"] for row in records(output)]
    gone = {line["id"]: line for line in ledger(output) if line["action"] == "removed"}
    assert sorted([*kept, *gone]) == sorted(corpus[1]), "nothing is lost, and nothing is there twice"
    copies = {id: kind for id, kind in corpus[1].items() if kind}
    assert {id: line["rule"] for id, line in gone.items()} == copies
    assert all(line["like"] not in copies and line["value"] >= line["threshold"] for line in gone.values())
    stages = {stage["name"]: stage for stage in manifest["stages"]}
    assert stages["collect"]["records_out"] == len(corpus[1])
    assert stages["exact"]["removed"] == {"exact": 12}
    assert stages["near"]["removed"] == {"near": 12}
    assert stages["split"]["records_out"] == len(kept) == sum(s["records"] for s in manifest["splits"].values())
    assert {name for name, split in manifest["splits"].items() if split["records"]} == {"train", "val", "test"}


def test_workers_change_nothing(corpus, whole, tmp_path):
    run(spec_of(corpus, whole[0].parent), tmp_path / "out", num_workers=2)
    assert tree(tmp_path / "out") == tree(whole[0])


def start(spec, output, **engine):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    what = pickle.dumps((spec, Local(**engine))).hex()
    return subprocess.Popen([sys.executable, "-c", COMMAND, what, str(output)], env=environment)


def test_two_machines_share_one_folder(corpus, whole, tmp_path):
    spec = spec_of(corpus, whole[0].parent)
    machines = [start(spec, tmp_path / "out", machine=i, num_machines=2) for i in range(2)]
    assert [machine.wait(60) for machine in machines] == [0, 0]
    assert tree(tmp_path / "out") == tree(whole[0])


def test_killed_at_any_time_it_goes_on(corpus, whole, tmp_path):
    spec = spec_of(corpus, whole[0].parent)
    output = tmp_path / "out"
    kills = 0
    while True:
        before = number_of_files(output)
        process = start(spec, output)
        killer = threading.Thread(target=kill_after, args=(process, output, before + 60))
        killer.start()
        code = process.wait(60)
        killer.join()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
    assert kills >= 3
    assert tree(output) == tree(whole[0])


def number_of_files(output):
    return sum(len(files) for _, _, files in os.walk(output / "stages"))


def kill_after(process, output, num_files):
    while process.poll() is None and number_of_files(output) < num_files:
        time.sleep(0.002)
    process.kill()


def test_only_what_depends_on_a_change_runs_again(corpus, whole, tmp_path):
    told = []
    output = tmp_path / "out"
    spec = spec_of(corpus, whole[0].parent)
    run(spec, output, progress=lambda label, done, total: told.append(label))
    ran = lambda: set(told)
    assert {"reading files", "cleaning", "sketching", "comparing near-duplicates", "writing"} <= ran()
    told.clear()
    run(spec, output, progress=lambda label, done, total: told.append(label))
    assert ran() == set()
    told.clear()
    changed = spec_of(corpus, whole[0].parent, split=Split(train=0.5, val=0.25, test=0.25))
    run(changed, output, progress=lambda label, done, total: told.append(label))
    assert ran() == {"writing", "describing the dataset", "publishing"}


def test_a_lost_file_is_put_back(corpus, whole, tmp_path):
    output = tmp_path / "out"
    spec = spec_of(corpus, whole[0].parent)
    run(spec, output)
    before = tree(output)
    next((output / "data").iterdir()).unlink()
    run(spec, output)
    assert tree(output) == before


def test_what_an_earlier_release_has_is_left_out(tmp_path):
    made_corpus.write(tmp_path / "old", num_files=4)
    made_corpus.write(tmp_path / "new", num_files=1)
    (tmp_path / "new/part-0.jsonl").rename(tmp_path / "new/again.jsonl")
    fresh = [{"text": stories.text(1000 + i, num_bytes=1200).decode()} for i in range(10)]
    (tmp_path / "new/fresh.jsonl").write_text("".join(json.dumps(row) + "\n" for row in fresh))
    base = Clean(block_records=50, cache=str(tmp_path / "cache"), output=Output(format="jsonl"))
    dedup = Dedup(near="minhash(ngram=5)", index=True)
    old = replace(base, files=(f"{tmp_path}/old/*",), dedup=dedup, split=Split(val=0.1))
    run(old, tmp_path / "first")
    new = replace(base, files=(f"{tmp_path}/new/*",), dedup=replace(dedup, against=(f"{tmp_path}/first",)))
    manifest = run(new, tmp_path / "second")
    assert {row["id"] for row in records(tmp_path / "second")} == {f"fresh.jsonl#{i}" for i in range(10)}
    removed = {line["id"]: line for line in ledger(tmp_path / "second")}
    assert len(removed) == made_corpus.NUM_STORIES * 6 // 5
    old_ids = {row["id"] for row in records(tmp_path / "first")}
    firsts = {line["like"] for line in removed.values() if line["rule"] == "near"}
    assert firsts <= old_ids
    assert manifest["clusters"] == []
    with pytest.raises(ValueError, match=r"dedup.against: expected an index of MinHash\(.*ngram=4"):
        run(replace(new, dedup=replace(new.dedup, near="minhash(ngram=4)")), tmp_path / "third")
    with pytest.raises(ValueError, match=r"dedup.against: expected the output of a cleaning with dedup.index=True"):
        run(replace(new, dedup=replace(new.dedup, against=(f"{tmp_path}/nothing",))), tmp_path / "third")


def test_spans_that_stand_before_are_cut(tmp_path):
    (tmp_path / "raw").mkdir()
    texts = [stories.text(i, num_bytes=1200).decode() for i in range(9)]
    shared = " ".join(f"word{i}" for i in range(60))
    rows = [f"{text}\n{shared}" if i % 3 == 0 else text for i, text in enumerate(texts)]
    (tmp_path / "raw/all.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in rows))
    spec = Clean(
        files=(f"{tmp_path}/raw/*",),
        block_records=2,
        cache=str(tmp_path / "cache"),
        dedup=Dedup(near="minhash(ngram=5)", substring_words=50),
        split=Split(val=0, test=0),
        output=Output(format="jsonl"),
    )
    manifest = run(spec, tmp_path / "out")
    assert [row["text"].strip() for row in records(tmp_path / "out")] == [
        text.strip() for text in (rows[0], *texts[1:])
    ]
    assert {line["id"]: line["value"] for line in ledger(tmp_path / "out")} == {"all.jsonl#3": 60, "all.jsonl#6": 60}
    spans = next(stage for stage in manifest["stages"] if stage["name"] == "spans")
    assert spans["changed"] == {"substrings.repeat": 2}
    assert spans["records_out"] == 9


def test_two_records_of_one_id_are_an_error(tmp_path):
    (tmp_path / "raw").mkdir()
    rows = [{"text": f"number {i % 4} and {i}", "key": f"k{i % 4}"} for i in range(6)]
    (tmp_path / "raw/all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = Clean(files=(f"{tmp_path}/raw/*",), cache=str(tmp_path / "cache"), source=Collect(id_field="key"))
    with pytest.raises(ValueError, match=r"source.id_field: expected .* but 2 have one that another has, such as 'k0'"):
        run(spec, tmp_path / "out")
