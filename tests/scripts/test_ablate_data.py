"""Which data trains the better model: intervals against scipy, the table, mistakes of a config, real proxy runs."""

import json
import math
import pathlib

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from scripts import ablate_data
from train.reports import ablation, paired

CONFIG = str(pathlib.Path(__file__).parents[2] / "configs" / "ablate_text.py")


@pytest.mark.fast
@pytest.mark.parametrize("num_seeds", [2, 3, 7])
def test_the_interval_is_that_of_a_paired_t_test(num_seeds):
    rng = np.random.default_rng(num_seeds)
    base, other = rng.random(num_seeds), rng.random(num_seeds)
    found = paired.difference(other.tolist(), base.tolist())
    low, high = stats.ttest_rel(other, base).confidence_interval(0.95)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))


def losses(seed: int, **shifts: float) -> dict[str, dict[str, list[float]]]:
    """Of variants that differ from the baseline by so much; seeds move all alike, and each a little."""
    rng = np.random.default_rng(seed)
    common = 2 + 0.1 * rng.normal(size=5)
    draw = lambda shift: (common + shift + 0.01 * rng.normal(size=5)).tolist()
    return {name: {"heldout": draw(shift)} for name, shift in {"raw": 0.0, **shifts}.items()}


@pytest.mark.fast
def test_what_differs_is_told_and_what_is_alike_is_undecided_nineteen_times_of_twenty():
    undecided = 0
    for seed in range(200):
        found = ablation.differences(losses(seed, alike=0.0, junk=0.1, near=-0.1), baseline="raw")
        verdicts = {name: ablation.verdict(each["heldout"]) for name, each in found.items()}
        assert (verdicts["junk"], verdicts["near"]) == ("worse", "better")
        undecided += verdicts["alike"] == "undecided"
    assert stats.binomtest(undecided, 200, 0.95).pvalue > 0.01


@pytest.mark.fast
def test_one_seed_decides_nothing():
    found = paired.difference([1.0], [2.0])
    assert (found.mean, found.half, found.sign) == (-1.0, math.inf, 0)


@pytest.mark.fast
def test_the_table_has_the_best_at_the_top_and_the_picture_its_intervals(tmp_path):
    given = losses(0, alike=0.0, junk=0.1, near=-0.1)
    text = ablation.table(given, baseline="raw", unit="bits per byte")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == ["variant", "heldout, bits per byte", "difference, heldout", "verdict"]
    assert (rows[2][0], rows[2][-1]) == ("near", "better")
    assert {row[0]: row[-1] for row in rows[2:]} == {
        "near": "better",
        "raw": "baseline",
        "alike": "undecided",
        "junk": "worse",
    }
    found = ablation.differences(given, baseline="raw")["junk"]["heldout"]
    assert rows[5][2] == f"{found.mean:+.4f} ± {found.half:.4f}"
    path = ablation.draw(given, tmp_path / "ablation.png", baseline="raw", unit="bits per byte", title="stories")
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    for colour, expected in (((0x00, 0x9E, 0x73), True), ((0xD5, 0x5E, 0x00), True), ((0xE6, 0x9F, 0x00), False)):
        assert ((np.abs(pixels - colour).sum(-1) < 30).sum() > 50) == expected, colour


def test_real_proxy_runs_end_in_a_table_and_are_not_run_again(tmp_path, capsys):
    arguments = [f"--config={CONFIG}:tiny", f"--workdir={tmp_path}", "--seeds=1", "--run.train.num_steps=2"]
    assert ablate_data.main(arguments) == 0
    first = capsys.readouterr().out
    kept = json.loads((tmp_path / "results.json").read_text())["losses"]
    assert list(kept) == ["clean", "junk"]
    assert set(kept["junk"]) == {"heldout", "heldout_stories", "heldout_orders"}
    config = json.loads((tmp_path / "junk" / "0" / "config.json").read_text())
    assert config["config"]["data"]["mixture"]["junk"]["weight"] == 0.5
    assert config["derived"]["data.train"]["parts"].keys() == {"stories", "orders", "junk"}, "no held-out text"
    assert config["derived"]["data.val"]["parts"].keys() == {"heldout_stories", "heldout_orders"}
    assert (tmp_path / "table.md").read_text() in first
    assert (tmp_path / "ablation.png").exists()
    words = (tmp_path / "junk" / "0" / "output.txt").read_text()
    assert ablate_data.main(arguments) == 0
    assert (tmp_path / "junk" / "0" / "output.txt").read_text() == words
    assert capsys.readouterr().out == first
    assert ablate_data.main([*arguments[:-1], "--run.train.num_steps=3"]) == 2
    assert "expected the same proxy run, got another" in capsys.readouterr().err


CHANGES = {
    "judges": ({"judges": ["test"]}, "judges: expected names of run.eval, got test"),
    "baseline": ({"baseline": "none"}, "expected one of clean, junk, got 'none'"),
    "variant": ({"variants": {"clean": ["train.num_steps=3"]}}, "variants.clean: expected overrides such as data."),
    "more": ({"more": 1}, "expected baseline, judges, run, variants, got"),
    "epochs": ({"run": {"eval": {"heldout": {}}, "train": {"num_epochs": 1}}}, "expected num_steps or num_tokens"),
}


@pytest.mark.fast
@pytest.mark.parametrize("name", CHANGES)
def test_mistakes_of_a_config(name, tmp_path, capsys):
    change, says = CHANGES[name]
    whole = {
        "run": {"eval": {"heldout": {}}},
        "variants": {"clean": [], "junk": []},
        "baseline": "clean",
        "judges": ["heldout"],
    }
    path = tmp_path / "ablation.json"
    path.write_text(json.dumps({"config": whole | change}))
    assert ablate_data.main([f"--config={path}", f"--workdir={tmp_path}/runs"]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "expected --config and --workdir"),
        ([f"--config={CONFIG}:huge", "--workdir=x"], "expected the argument 'tiny' or one of planted or none"),
        ([f"--config={CONFIG}", "--workdir=x", "--variants=wrong"], "expected one of all, exact, near, raw, rules"),
        ([f"--config={CONFIG}", "--workdir=x", "--seeds=0"], "not a positive integer"),
    ],
)
def test_mistakes_of_a_command(arguments, says, capsys):
    assert ablate_data.main(arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_planted_junk_copies_and_a_starved_domain_are_found(tmp_path):
    """Fifteen runs of 400 steps: some minutes on two quiet cores."""
    assert ablate_data.main([f"--config={CONFIG}:planted", f"--workdir={tmp_path}", "--seeds=3"]) == 0
    kept = json.loads((tmp_path / "results.json").read_text())["losses"]
    found = ablation.differences(kept, baseline="clean")
    assert {name: ablation.verdict(each["heldout"]) for name, each in found.items()} == {
        "alike": "undecided",
        "copies": "worse",
        "junk": "worse",
        "starved": "worse",
    }
    assert ablation.verdict(found["starved"]["heldout_orders"]) == "worse"
