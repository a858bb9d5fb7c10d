"""Our side of the benchmark runs and says what a line of operations says; datatrove is in no lock."""

import json
import pathlib
import sys

import pytest
from awkward_texts import PROSE, TEXTS, run

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import bench_clean

    yield bench_clean
    for name in ("bench_clean", "peers", "peers.contender", "peers.match"):
        sys.modules.pop(name, None)


def test_our_contender_judges_as_the_operations_do(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "BATCH", 7)
    texts = [text for text in TEXTS if text and text.isprintable()] + [PROSE]
    found = bench.judge(texts, list(bench.OPERATIONS))
    for column, operation in enumerate(bench.OPERATIONS.values()):
        removed = {int(entry.id) for entry in run(operation, texts).entries if entry.action == "removed"}
        assert {place for place, reasons in enumerate(found) if reasons[column]} == removed
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps(text) + "\n" for text in texts))
    names = ["gopher_quality", "fineweb"]
    assert bench.ours(str(file), names)(2) == sum(not any(reasons) for reasons in bench.judge(texts, names))


def test_texts_are_read_as_a_cleaning_reads_them(bench, tmp_path):
    (tmp_path / "a.html").write_text("<p>caf\u00e9 &amp; tea</p>")
    (tmp_path / "b.txt").write_text("plain\r\n")
    (tmp_path / "c.txt").write_text(" ")
    assert bench.read_texts(f"{tmp_path}/*", "auto", tmp_path / "cache") == ["caf\u00e9 & tea", "plain"]
