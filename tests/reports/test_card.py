"""The data card: what it says is what manifest, ledger and files say, however hostile their text is."""

import json
import re

import browsing
import made_datasets
import numpy as np
import pytest
from browsing import every_look
from parsed_page import Page

from input_pipeline.clean import record
from input_pipeline.clean.record import Entry
from scripts import write_report
from train.reports import bars, card, cleaned

SECTIONS = ["retention", "rules", "removed", "histograms", "diversity", "duplicates", "splits", "inputs", "config"]
HEIGHT = 9000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return made_datasets.write(tmp_path_factory.mktemp("datasets"))


@pytest.fixture(scope="module")
def shown(dataset):
    return Page(card.write(dataset).read_text(encoding="utf-8"))


@pytest.mark.fast
def test_every_section_of_a_whole_dataset(shown):
    assert [found["id"] for found in shown.all("section")] == SECTIONS
    for told in (
        "manifest, ledger and files agree",
        "data card: text, 3 inputs of 879 KiB, written as jsonl",
        "gopher_quality.mean_word_length: 25 removed",
        "mask_pii.email: 9 changed",
        "11 to 14.43",
        "0.800 to 0.880",
        "CC0-1.0",
        "a.org",
        "dedup.threshold",
        "5ca1ab1e5ca1",
    ):
        assert told in shown.text, told


@pytest.mark.fast
def test_the_numbers_of_retention_are_the_manifests(dataset, shown):
    stages = json.loads((dataset / "manifest.json").read_text())["stages"]
    tiles = {name: value for name, value, _ in card.tiles(cleaned.read(dataset))}
    assert tiles["collected"] == str(stages[0]["records_in"])
    assert tiles["kept"] == str(stages[-1]["records_out"])
    assert tiles["removed"] == str(40 + 25 + 12)
    assert tiles["changed"] == "9"
    assert "-65" in shown.text
    assert "-12" in shown.text


@pytest.mark.fast
def test_rules_are_those_of_the_ledger_and_their_examples_are_spread(dataset):
    found = {rule.name: rule for rule in cleaned.read(dataset).rules}
    assert {name: rule.count for name, rule in found.items()} == {
        "gopher_quality.min_words": 40,
        "gopher_quality.mean_word_length": 25,
        "mask_pii.email": 9,
        "near.duplicate": 12,
    }
    short = found["gopher_quality.min_words"]
    assert short.values == (0.0, 39.0)
    assert list(short.thresholds) == ["50.0"]
    assert len(short.examples) == cleaned.NUM_EXAMPLES
    assert np.std([entry["value"] for entry in short.examples]) > 4, "not the first ones"


@pytest.mark.fast
def test_what_does_not_agree_is_told(tmp_path):
    folder = made_datasets.write(tmp_path)
    with (folder / "ledger" / "clean-00000.jsonl").open("a") as file:
        file.write(json.dumps(record.as_json(Entry("x", "gopher_quality.min_words"), "clean")) + "\n{broken\n[1]\n")
    (folder / "data" / "test-00000.jsonl").unlink()
    with (folder / "data" / "val-00000.jsonl").open("a") as file:
        file.write("more")
    assert cleaned.read(folder).faults == [
        "ledger/clean-00000.jsonl: 2 lines are no entry",
        "clean: gopher_quality.min_words removed 40 records by the manifest, 41 by the ledger",
        f"data/val-00000.jsonl has {(folder / 'data' / 'val-00000.jsonl').stat().st_size:,} bytes, expected "
        f"{json.loads((folder / 'manifest.json').read_text())['splits']['val']['bytes']}",
        "data/test-00000.jsonl is not there",
    ]
    assert "incomplete" in Page(card.write(folder).read_text()).text


HOSTILE = '</pre></script><img src=x onerror="alert(1)"><script>alert(2)</script>\' & "\x00\x1b[31m\u202egnp.exe\ud800'


def poisoned(value):
    """Every string in it, names too, with markup at its end."""
    if isinstance(value, dict):
        names = ("en", "x", "a.org", "CC0-1.0")
        return {f"{key}{HOSTILE}" if key in names else key: poisoned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [poisoned(inner) for inner in value]
    return f"{value} {HOSTILE}" if isinstance(value, str) else value


@pytest.mark.fast
def test_no_text_becomes_markup_and_none_of_it_is_unseen(tmp_path, shown):
    folder = made_datasets.write(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(poisoned(manifest)))
    for file in (folder / "ledger").iterdir():
        lines = [json.dumps(poisoned(json.loads(line))) for line in file.read_text().splitlines()]
        file.write_text("\n".join([*lines, ""]))
    text = card.write(folder).read_text(encoding="utf-8")
    found = Page(text)
    assert {tag for tag, _ in found.elements} == {tag for tag, _ in shown.elements}
    assert not found.all("img")
    assert not found.all("script")
    assert not [name for _, given in found.elements for name in given if name.startswith("on")]
    assert found.text.count('<img src=x onerror="alert(1)"><script>alert(2)</script>\' & "') > 100
    assert "\\u202egnp.exe\\ud800" in found.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)


@pytest.mark.fast
def test_nothing_comes_from_elsewhere_and_the_same_dataset_has_the_same_card(dataset, shown):
    for _, found in shown.elements:
        for name in ("src", "href", "action", "data"):
            assert not found.get(name, "").startswith(("http", "//", "/")), found
    text = (dataset / "report" / "index.html").read_text()
    assert not re.search(r"@import|url\(|<script", text)
    assert card.write(dataset).read_text() == text


@pytest.mark.fast
@pytest.mark.parametrize("name", ["stages", "splits", "histograms", "diversity", "clusters", "inputs", "config"])
@pytest.mark.parametrize("instead", [None, {}, [], "text", [{}], {"a": {}}])
def test_a_part_of_the_manifest_that_is_missing_or_strange_leaves_the_others(tmp_path, name, instead):
    folder = made_datasets.write(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {name: instead}))
    assert len(Page(card.write(folder).read_text()).all("section")) >= len(SECTIONS) - 2


@pytest.mark.fast
@pytest.mark.parametrize(
    ("written", "says"),
    [
        (None, "expected a cleaned dataset with manifest.json, got none"),
        ("{", "expected JSON, got"),
        ("[]", "expected an object of format 1, got list"),
        ('{"format": 2}', "expected an object of format 1, got format 2"),
    ],
)
def test_a_folder_that_is_no_dataset(tmp_path, capsys, written, says):
    if written is not None:
        (tmp_path / "manifest.json").write_text(written)
    assert write_report.main([f"--dataset={tmp_path}"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert not (tmp_path / "report").exists()


@pytest.mark.fast
def test_the_command(tmp_path, capsys):
    folder = made_datasets.write(tmp_path)
    assert write_report.main([f"--dataset={folder}"]) == 0
    assert capsys.readouterr().out == f"{folder / 'report' / 'index.html'}\n"
    assert write_report.main([f"--dataset={folder}", f"--workdir={folder}"]) == 2


@pytest.mark.fast
def test_bars_are_as_high_as_their_counts():
    drawn = str(bars.histogram("Length", edges=[1, 2, 4, 8], counts=[10, 0, 5], unit="characters"))
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"', drawn)]
    assert heights[1] == 0
    assert heights[0] == pytest.approx(2 * heights[2])
    assert "1 to 2: 10; 4 to 8: 5" in drawn


PROBE = """
Object.assign(seen, {
  bars: boxes(".bins rect"),
  colour: getComputedStyle(document.querySelector(".bins rect")).fill,
  details: document.querySelectorAll("details").length,
});
for (const each of document.querySelectorAll("details")) each.open = true;
seen.opened = boxes("details li, details table");
seen.openedWidth = document.documentElement.scrollWidth;
for (const each of document.querySelectorAll("details")) each.open = false;
"""


@pytest.fixture(scope="module")
def look(tmp_path_factory):
    """`look(device, scheme)` -> (what the card says of itself in a browser, its picture)."""
    browsing.browser()
    home = tmp_path_factory.mktemp("browser")
    folder = made_datasets.write(home / "stories")
    opened = folder / "report" / "probed.html"
    opened.write_text(browsing.probed(card.write(folder).read_text(), PROBE))
    return lambda device, scheme: browsing.take(opened, home=home, device=device, scheme=scheme, height=HEIGHT)


@every_look
def test_a_browser_shows_it_whole(look, device, scheme):
    seen, picture = look(device, scheme)
    assert seen["faults"] == []
    assert seen["isDark"] == (scheme == "dark")
    assert seen["height"] <= HEIGHT
    assert list(seen["sections"]) == SECTIONS
    assert seen["scrollWidth"] <= seen["innerWidth"]
    assert seen["openedWidth"] <= seen["innerWidth"]
    assert seen["details"] >= 7
    assert len(seen["opened"]) > 30
    for found in seen["inside"]:
        assert found["left"] >= 0, found
        assert found["right"] <= seen["innerWidth"], found
    for group in (seen["blocks"], seen["tiles"], seen["bars"], *(x + y for x, y in seen["labels"])):
        assert len(group) > 3
        browsing.assert_apart(group)
    colour = [int(part) for part in re.findall(r"\d+", seen["colour"])[:3]]
    for place in seen["bars"]:
        middle = round((place["left"] + place["right"]) / 2)
        assert np.abs(picture[round(place["bottom"]) - 3, middle] - colour).sum() < 40
