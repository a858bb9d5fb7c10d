"""All hostile files in one folder, through the whole chain: everything is in the dataset or in the ledger."""

import json

import pytest
from hostile_files.table import HOSTILE

from input_pipeline.clean.collect.content import spelt
from scripts import clean_data

CASES = [name for name, case in HOSTILE.items() if not (case.spec or case.is_large)]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "raw"
    folder.mkdir()
    for name in CASES:
        HOSTILE[name].write(folder / name)
    return folder


@pytest.mark.parametrize("output", ["jsonl", "array_record"])
def test_the_chain_runs_to_the_end(raw, tmp_path, output, capsys):
    assert len(CASES) >= 120
    line = [
        "--config=configs/clean_text.py",
        f"--input={raw}/*",
        f"--output={tmp_path}/out",
        f"--config.cache={tmp_path}/cache",
        f"--config.output.format={output}",
        "--config.steps=html|fix_text|normalize|mask_pii",
        "--config.block_records=20",
        "--workers=2",
    ]
    assert clean_data.main(line) == 0, capsys.readouterr().err
    ledger = [
        json.loads(each)
        for path in sorted((tmp_path / "out/ledger").iterdir())
        for each in path.read_text().splitlines()
    ]
    told = {entry["id"] for entry in ledger}
    for name in [name for name in CASES if not (raw / name).is_dir()]:  # folders are gone through, not read
        expected = {f"collect.{rule}" for rule in HOSTILE[name].rules}
        collected = (entry for entry in ledger if entry["stage"] == "collect")
        found = {entry["rule"] for entry in collected if entry["id"].startswith(spelt(name))}
        assert expected <= found, name
    removed = {entry["id"] for entry in ledger if entry["action"] == "removed"}
    manifest = json.loads((tmp_path / "out/manifest.json").read_bytes())
    collected = {spelt(name) + id for name in CASES for id in HOSTILE[name].sound}
    kept = sum(split["records"] for split in manifest["splits"].values())
    assert kept == len(collected - removed)
    if output == "jsonl":
        written = [
            json.loads(each)["id"]
            for path in sorted((tmp_path / "out/data").iterdir())
            for each in path.read_text().splitlines()
        ]
        assert sorted(written) == sorted(collected - removed)
    assert told
    assert (tmp_path / "out/report/index.html").is_file()
