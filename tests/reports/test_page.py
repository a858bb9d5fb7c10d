"""The page about a run: what it says is what the files say, whatever they hold and whichever are missing."""

import datetime
import json
import math
import re
import shutil
import subprocess
import sys

import made_workdirs
import numpy as np
import pytest
from parsed_page import Page

from scripts import write_report
from train.reports import chart, curves, numbers, page, record, sections, tables
from train.reports.curves import Curve, Panel


def page_of(folder) -> Page:
    return Page(page.write(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = made_workdirs.write(tmp_path_factory.mktemp("runs") / "lm_tiny")
    return folder, page_of(folder)


@pytest.mark.fast
def test_every_section_of_a_whole_run(whole):
    _, shown = whole
    names = ["curves", "evaluations", "samples", "data", "time", "operations", "sessions", "events", "config"]
    assert [found["id"] for found in shown.all("section")] == names
    assert [found["href"] for found in shown.all("a")][: len(names)] == [f"#{name}" for name in names]
    for told in ("finished", "all 2,000 steps", "transformer, lm, adamw, 1.05M parameters", "8 devices"):
        assert told in shown.text
    assert "Not on this page" not in shown.text


@pytest.mark.fast
def test_the_first_numbers_are_those_of_the_metrics(whole):
    folder, _ = whole
    tiles = {name: (value, told) for name, value, told in page.tiles(record.read(str(folder)))}
    rows = made_workdirs.metrics(200)
    last = [row["train/loss"] for row in rows[-9:]]  # an eighth of 200 is more than 4 % of them, so 8 before the last
    assert tiles["train/loss"][0] == f"{np.mean(last):.4g}"
    least = min(rows, key=lambda row: row["train/loss"])
    assert f"least {least['train/loss']:.4g} at step {least['step']:,}" in tiles["train/loss"][1]
    evaluated = [row for row in rows if "val/loss" in row]
    assert tiles["val/loss"][0] == f"{evaluated[-1]['val/loss']:.4g}"
    assert tiles["MFU"][0] == f"{rows[-1]['train/mfu'] * 100:.2g}%"
    assert tiles["steps"] == ("2,000", "of 2,000; 4.1M tokens seen")


@pytest.mark.fast
def test_where_the_time_went(whole):
    """Against the same sums, taken with numpy."""
    folder, _ = whole
    rows = made_workdirs.metrics(200)
    get = lambda key: np.array([row.get(f"train/{key}", 0.0) for row in rows])
    train_s, wait = get("step_time_s") * 10, get("data_wait_fraction")
    expected = {
        "steps": (train_s * (1 - wait)).sum(),
        "waiting for data": (train_s * wait).sum(),
        "evaluation": get("eval_s").sum(),
        "checkpoints": get("checkpoint_s").sum(),
        "compiling": 9.0,
        "start-up": 3.1 + 5.25 + 1.0 + 2.9 + 0.5 + 2.0,
    }
    assert sections.spent_s(record.read(str(folder))) == pytest.approx(expected)


@pytest.mark.fast
def test_samples_data_sessions_operations_and_events_are_told(whole):
    _, shown = whole
    for told in (
        "def write(self, text: str) -> None:",  # the prompt is told once, whether the text begins with it or not
        "def read(path):",
        "step 2,000, temperature 0.8",
        "56,284",
        "18.4 MiB",
        "fd22f19fe46e",
        "books/0017.txt",
        "revision 81a8029, difference a3c0, jax 0.10.2",
        "9.35 s: imports 3.1 s, data 5.25 s, state 1 s",
        "Skipped steps: 1",
        "changed since step 1000: optimizer.learning_rate: 0.002 -> 0.004",
        "models/layers/mlp.py:31",
        "97% of it in 505 operations",
    ):
        assert told in shown.text, told
    assert "def def" not in shown.text


@pytest.mark.fast
def test_defaults_are_folded_and_every_field_stands_once_with_its_origin(whole):
    folder, shown = whole
    markup = str(sections.config(record.read(str(folder))))
    open_part, folded, _ = markup.split("<details>")
    field = re.compile(r'<th scope="row"><code>([^<]*)</code></th><td class="wrap"><code>([^<]*)</code></td>')
    fields = tables.flat(made_workdirs.CONFIG)
    assert len(field.findall(open_part)) + len(field.findall(folded)) == len(fields)
    assert "4 fields at their default" in shown.text
    assert ("warmup_steps", "50") not in field.findall(open_part)
    assert ("schedule.warmup_steps", "50") in field.findall(folded)
    assert ("learning_rate", "0.004") in field.findall(open_part)
    assert '<td class="from given">command line</td>' in open_part


HOSTILE = '</script><img src=x onerror="alert(1)"><script>alert(2)</script>\' & "'


def poisoned(value):
    """Every string in it, names too, with markup at its end."""
    if isinstance(value, dict):
        return {
            f"{key}{HOSTILE}" if key in ("parts", "books") else key: poisoned(inner) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [poisoned(inner) for inner in value]
    return f"{value} {HOSTILE}" if isinstance(value, str) else value


@pytest.mark.fast
def test_no_text_becomes_markup(tmp_path, whole):
    _, tame = whole
    rows = made_workdirs.metrics(200)
    for row in rows:
        row[f"val{HOSTILE}/loss"] = row["train/loss"]
    config = {
        "config": poisoned(made_workdirs.CONFIG) | {f"section{HOSTILE}": {f"field{HOSTILE}": HOSTILE}},
        "derived": poisoned(made_workdirs.DERIVED),
        "provenance": poisoned(made_workdirs.PROVENANCE),
    }
    folder = made_workdirs.write(
        tmp_path / "a<b>&'\"",
        config=config,
        metrics=rows,
        sessions=poisoned(made_workdirs.SESSIONS),
        samples=poisoned(made_workdirs.SAMPLES),
        operations=poisoned(made_workdirs.OPERATIONS),
        log=made_workdirs.LOG + f"2026-11-22 11:06:00+0000  warning: {HOSTILE}\n",
    )
    shown = page_of(folder)
    assert {tag for tag, _ in shown.elements} == {tag for tag, _ in tame.elements}
    assert not shown.all("img")
    assert not [name for _, found in shown.elements for name in found if name.startswith("on")]
    assert len(shown.scripts) == len(shown.all("script")) == len(shown.all("figure")) + 1
    for script in shown.scripts[:-1]:
        json.loads(script)
    assert shown.scripts[-1] == tame.scripts[-1], "our own script, and nothing after it"
    assert shown.text.count(HOSTILE) > 40, "it is shown as it was written"


@pytest.mark.fast
def test_nothing_comes_from_elsewhere(whole):
    folder, shown = whole
    text = (folder / "report" / "index.html").read_text()
    for _, found in shown.elements:
        for name in ("src", "href", "action", "data"):
            assert not found.get(name, "").startswith(("http", "//", "/")), found
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|import\(", text)


@pytest.mark.fast
@pytest.mark.parametrize(
    "name", ["config.json", "metrics.jsonl", "run.log", "sessions.jsonl", "samples.jsonl", "checkpoints", "profile"]
)
def test_a_missing_file_is_stated(tmp_path, name):
    folder = made_workdirs.write(tmp_path / "run")
    path = folder / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    shown = page_of(folder)
    assert (f"Not on this page: {name} is not there." in shown.text) == ("." in name)
    assert len(shown.all("section")) >= 6


@pytest.mark.fast
def test_texts_that_were_not_asked_for_are_not_missed(tmp_path):
    folder = made_workdirs.write(tmp_path / "run")
    kept = json.loads((folder / "config.json").read_text())
    kept["config"]["sample"] = {"num_tokens": 0}
    (folder / "config.json").write_text(json.dumps(kept))
    (folder / "samples.jsonl").unlink()
    assert "is not there" not in page_of(folder).text


@pytest.mark.fast
def test_an_empty_folder_has_a_page(tmp_path):
    shown = page_of(tmp_path)
    assert "nothing was measured yet" in shown.text
    assert shown.text.count("is not there") == 5


@pytest.mark.fast
@pytest.mark.parametrize(
    "name", ["config.json", "metrics.jsonl", "sessions.jsonl", "samples.jsonl", "profile/ops.json"]
)
@pytest.mark.parametrize("broken", ["{\n", "[1]\n", '"text"\n', "null\n"])
def test_a_broken_file_is_named(tmp_path, name, broken):
    folder = made_workdirs.write(tmp_path / "run")
    (folder / name).write_text(broken)
    assert f"{name} cannot be read: " in page_of(folder).text


@pytest.mark.fast
def test_a_line_that_is_being_written_is_left_out(tmp_path):
    folder = made_workdirs.write(tmp_path / "run")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2010, "train/lo')
    shown = page_of(folder)
    assert "all 2,000 steps" in shown.text
    assert "cannot be read" not in shown.text


@pytest.mark.fast
def test_a_run_whose_loss_was_never_finite(tmp_path):
    rows = [{"step": step, "train/loss": None, "train/grad_norm": None, "val/loss": None} for step in (10, 20)]
    shown = page_of(made_workdirs.write(tmp_path / "run", metrics=rows, operations=None))
    assert "never finite" in shown.text
    assert not shown.all("figure")


@pytest.mark.fast
def test_the_command(tmp_path, capsys):
    folder = made_workdirs.write(tmp_path / "run")
    assert write_report.main([f"--workdir={folder}"]) == 0
    assert capsys.readouterr().out == f"{folder / 'report' / 'index.html'}\n"
    for arguments in ([f"--workdir={tmp_path / 'none'}"], [], ["--workdir=x", "y"], ["--wrong=1"]):
        assert write_report.main(arguments) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("error: ")
    assert not (tmp_path / "none").exists()


STOPPED = "2026-11-22 10:05:00+0000  SIGTERM: saved step 990 of 2000; run the same line again to go on\n"
NOT_FINITE = "2026-11-22 10:05:00+0000  step 990: the loss or its gradient is not finite; skipped (51 so far)\n"


@pytest.mark.fast
@pytest.mark.parametrize(
    ("num_lines", "log", "exits", "minutes", "expected"),
    [
        (200, made_workdirs.LOG, None, 0, "finished"),
        (99, "", None, 0, "running"),
        (99, "", None, 30, "interrupted"),
        (99, STOPPED, None, 0, "stopped"),
        (99, "", "SIGTERM", 30, "stopped"),
        (99, NOT_FINITE, None, 30, "failed"),
        (99, NOT_FINITE, None, 0, "running"),
        (99, "", "NotFinite: 51 steps in a row", 0, "failed"),
    ],
)
def test_how_a_run_stands(tmp_path, num_lines, log, exits, minutes, expected):
    sessions_ = [{"session": "a", "start_step": 0} | ({} if exits is None else {"exit": exits})]
    folder = made_workdirs.write(tmp_path / "run", num_lines=num_lines, log=log, sessions=sessions_)
    if num_lines < 200:
        shutil.rmtree(folder / "checkpoints")
    found = record.state(record.read(str(folder)), now=made_workdirs.later(folder, minutes=minutes))
    assert found.name == expected


def test_a_slow_run_is_given_five_lines_of_time(tmp_path):
    """Ten steps of 40 s between lines: silent for half an hour, it is still taken to be running."""
    rows = made_workdirs.metrics(99)
    for row in rows:
        row["train/step_time_s"] = 40.0
    folder = made_workdirs.write(tmp_path / "run", metrics=rows, sessions=[{"session": "a"}], log="")
    shutil.rmtree(folder / "checkpoints")
    found = record.read(str(folder))
    assert record.state(found, now=made_workdirs.later(folder, minutes=30)).name == "running"
    assert record.state(found, now=made_workdirs.later(folder, minutes=40)).name == "interrupted"


@pytest.mark.fast
@pytest.mark.parametrize("num_points", [999, 1000, 1001, 12_345])
def test_thinned_curves_keep_the_least_and_the_greatest_of_each_part(num_points):
    rng = np.random.default_rng(num_points)
    values = rng.normal(size=num_points)
    values[num_points // 3] = 1e6  # a spike
    values[: num_points // 10] = math.nan  # a long gap
    points = list(zip(range(1, num_points + 1), values.tolist(), strict=True))
    kept = curves.thinned(points, max_buckets=500)
    if num_points <= 1000:
        assert kept == points
        return
    assert len(kept) <= 1000
    assert [step for step, _ in kept] == sorted({step for step, _ in kept})
    bounds = np.arange(501) * num_points // 500
    finite = [part[np.isfinite(part)] for part in np.split(values, bounds[1:-1])]
    expected = sorted(value for part in finite if len(part) for value in {part.min(), part.max()})
    assert sorted(value for _, value in kept if math.isfinite(value)) == expected
    assert sum(math.isnan(value) for _, value in kept) == sum(not len(part) for part in finite)


def test_a_hundred_thousand_lines_make_a_small_page(tmp_path):
    folder = made_workdirs.write(tmp_path / "run", num_lines=100_000)
    path = page.write(folder)
    assert path.stat().st_size < 2_000_000
    assert "100,000 points, drawn by the least and greatest of equal parts" in path.read_text()


@pytest.mark.fast
def test_a_drawn_line_goes_through_its_points():
    points = [(10, 3.0), (20, math.nan), (30, 1.0), (40, 2.0)]
    curve = Curve(name="train/loss", points=points, num_measured=4, colour=0)
    drawn = str(chart.draw(Panel(title="Loss", curves=[curve])))
    [path] = re.findall(r'<path d="([^"]*)" class="line series-0" data-curve="0">', drawn)
    found = [(pen, float(x), float(y)) for pen, x, y in re.findall(r"([ML])([\d.]+) ([\d.]+)", path)]
    assert [pen for pen, _, _ in found] == ["M", "M", "L"], "a gap begins a new stroke"
    low, high = 1 - 0.06 * 2, 3 + 0.06 * 2
    for (_, x, y), (step, value) in zip(found, [(10, 3), (30, 1), (40, 2)], strict=True):
        assert x == pytest.approx(1000 * (step - 10) / 30, abs=0.06)
        assert y == pytest.approx(1000 * (high - value) / (high - low), abs=0.06)
    assert "gaps: 1 not finite" in drawn
    assert "train/loss: 3 at step 10, 2 at step 40, between 1 and 3" in drawn


@pytest.mark.fast
@pytest.mark.parametrize(
    ("values", "is_log"), [([1, 99], False), ([1, 100], True), ([0, 100], False), ([-1, 1e6], False), ([1e-9, 1], True)]
)
def test_axes_that_span_two_decades_are_logarithmic(values, is_log):
    assert chart.axis(values).is_log == is_log
    assert not chart.axis(values, from_zero=True).is_log or min(values) < 0


@pytest.mark.fast
def test_ticks_are_round_few_and_inside():
    rng = np.random.default_rng(0)
    for _ in range(500):
        values = rng.normal() * 10 ** rng.uniform(-9, 9) + rng.normal(size=5) * 10 ** rng.uniform(-9, 9)
        if rng.random() < 0.5:
            values = np.exp(rng.uniform(-20, 20, 5))
        axis = chart.axis(values.tolist(), margin=0.06)
        assert all(0 <= axis(value) <= 1 for value in values)
        ticks = axis.ticks(6)
        assert 1 <= len(ticks) <= 6, (axis, ticks)
        assert all(-1e-6 <= axis(tick) <= 1 + 1e-6 for tick in ticks)
        if not axis.is_log:
            steps = np.diff(ticks)
            assert np.allclose(steps, steps[:1], rtol=1e-3)
    flat = chart.axis([2.0, 2.0])
    assert (flat.low, flat.high) == (1.0, 3.0)
    assert chart.axis([0.0]).ticks(6)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (numbers.number, 3.51749, "3.517"),
        (numbers.number, 12345.6, "12,346"),
        (numbers.number, 2000, "2,000"),
        (numbers.number, 1e-5, "1e-05"),
        (numbers.number, math.nan, "not finite"),
        (numbers.count, 850, "850"),
        (numbers.count, 12_345, "12.3k"),
        (numbers.count, 999_999, "1M"),
        (numbers.count, 3.6e14, "360T"),
        (numbers.duration, 0.0031, "3.1 ms"),
        (numbers.duration, 9.2, "9.2 s"),
        (numbers.duration, 59.97, "1 min 00 s"),
        (numbers.duration, 80, "1 min 20 s"),
        (numbers.duration, 7500, "2 h 05 min"),
        (numbers.duration, 273_600, "3 d 04 h"),
        (numbers.size, 1000, "1000 B"),
        (numbers.size, 1023, "1023 B"),
        (numbers.size, 19_311_787, "18.4 MiB"),
        (numbers.percent, 0.4123, "41%"),
        (numbers.percent, 0.0031, "0.31%"),
        (numbers.percent, 1.0, "100%"),
        (numbers.percent, 0.0, "0%"),
        (numbers.plain, "", "''"),
        (numbers.plain, True, "true"),
        (numbers.plain, 1e-4, "0.0001"),
    ],
)
def test_numbers_for_people(show, value, text):
    assert show(value) == text


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.fast
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_have_contrast_in_both_schemes(scheme):
    """WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text."""
    css = (page.HERE / "page.css").read_text()
    colours = dict(
        re.findall(
            r"--([\w-]+): (#[0-9a-f]{6});", css.split("@media (prefers-color-scheme: dark)")[scheme].split("* {")[0]
        )
    )
    for text in ("ink", "soft", "accent", "good", "bad", "warm"):
        for ground in ("paper", "card"):
            bright, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


@pytest.mark.fast
def test_what_cannot_be_seen_can_be_heard(whole):
    _, shown = whole
    assert shown.all("html", lang="en")
    plots = shown.all("div", role="img")
    assert len(plots) == len(shown.all("figure"))
    assert all("at step 2,000" in found["aria-label"] for found in plots)
    assert all("scope" in found for found in shown.all("th"))
    titles = {found["id"] for found in shown.all("h2")}
    assert titles == {found["aria-labelledby"] for found in shown.all("section")}


def test_it_needs_no_engine_and_draws_without_one(tmp_path):
    made_workdirs.write(tmp_path / "run")
    script = (
        "import sys\nfrom train.reports import page\n"
        f"page.write({str(tmp_path / 'run')!r})\n"
        "assert not {'jax', 'flax', 'numpy', 'matplotlib'} & set(sys.modules), sorted(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.fast
def test_a_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = made_workdirs.write(tmp_path / "run")
    before = page.write(folder).read_bytes()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(page.Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        page.write(folder)
    assert (folder / "report" / "index.html").read_bytes() == before


@pytest.mark.fast
def test_the_time_it_was_written_is_told(whole):
    folder, _ = whole
    now = datetime.datetime(2026, 11, 22, 12, 30, tzinfo=datetime.UTC)
    assert "Written 2026-11-22 12:30 UTC" in page.render(record.read(str(folder)), now=now)


@pytest.mark.fast
def test_the_last_session_says_how_long_a_run_is(tmp_path):
    """Where a duration was given in tokens, the config has no number of steps."""
    config = {"config": made_workdirs.CONFIG | {"train": {"num_tokens": 4_096_000}}, "derived": made_workdirs.DERIVED}
    planned = [{"session": 1, "num_steps": 500}, {"session": 2, "num_steps": 4000}]
    folder = made_workdirs.write(tmp_path / "run", config=config, sessions=planned)
    assert record.read(str(folder)).num_steps == 4000
