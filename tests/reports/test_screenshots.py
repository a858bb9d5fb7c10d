"""The page as a browser shows it: wide and narrow, light and dark, with its script and without."""

import functools
import html
import json
import os
import re
import shutil
import subprocess

import made_findings
import made_workdirs
import numpy as np
import pytest
from PIL import Image

from train.reports import page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = {"desktop": 1280, "phone": 390}
SCHEMES = {"dark": 0, "light": 1}  # of Blink's setting preferredColorScheme
HEIGHT = 17000
SECTIONS = ["curves", "evaluations", "samples", "data", "time", "operations", "sessions", "events", "config"]

# Before all else on the page: what goes wrong is kept. At its end: what lies where.
HOOK = """<script>
window.faults = [];
window.addEventListener("error", (event) => faults.push(String(event.message)), true);
window.addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
for (const name of ["error", "warn"]) console[name] = (...said) => faults.push(said.join(" "));
</script>"""
PROBE = """<script>
const box = (element) => {
  const { left, top, right, bottom } = element.getBoundingClientRect();
  return { left, top: top + scrollY, right, bottom: bottom + scrollY };
};
const boxes = (selector, root = document) => [...root.querySelectorAll(selector)].map(box);
const plot = document.querySelector(".plot");
const seen = {
  faults, innerWidth, scrollWidth: document.documentElement.scrollWidth,
  height: document.documentElement.scrollHeight,
  isDark: matchMedia("(prefers-color-scheme: dark)").matches,
  sections: Object.fromEntries([...document.querySelectorAll("section")].map((each) => [each.id, box(each)])),
  blocks: boxes("header > *, section, footer"),
  cells: boxes(".cells .ground"),
  images: [...document.querySelectorAll(".mistakes img")].map((each) => each.complete && each.naturalWidth),
  figures: boxes("figure"), cards: boxes(".mistakes li"),
  tiles: boxes(".tile"),
  labels: [...document.querySelectorAll(".chart")].map((each) => ["x", "y"].map((side) => boxes(`span.${side}`, each))),
  plots: boxes(".charts .plot"),
  inside: boxes("h1, h2, h3, p, li, summary, .tile, .plot span, pre, .scroll, .bar, .matrix, .mistakes img"),
  colours: [...document.querySelectorAll(".charts .chart")].map((each) =>
    [...each.querySelectorAll("path.line:not(.faint)")].map((line) => getComputedStyle(line).stroke)),
};
if (plot.tabIndex === 0) {
  const { left, top, width } = plot.getBoundingClientRect();
  plot.dispatchEvent(new PointerEvent("pointermove", { clientX: left + width, clientY: top + 5 }));
  seen.tip = document.querySelector(".tip").innerText;
  plot.dispatchEvent(new KeyboardEvent("keydown", { key: "Home" }));
  seen.first = document.querySelector(".tip").innerText;
  plot.dispatchEvent(new PointerEvent("pointerleave"));
  seen.left = document.querySelectorAll(".tip, .cross").length;
  const cells = document.querySelector(".cells");
  const [side, start] = [Number(cells.dataset.cell), cells.getBoundingClientRect()];
  const at = (name, index) => start[name] + Number(cells.dataset[name]) + (index + 0.5) * side;
  cells.dispatchEvent(new PointerEvent("pointermove", { clientX: at("left", 2), clientY: at("top", 1) }));
  seen.cell = cells.querySelector(".tip").innerText;
  cells.parentElement.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  seen.nextCell = cells.querySelector(".tip").innerText;
  cells.dispatchEvent(new PointerEvent("pointerleave"));
  const roc = [...document.querySelectorAll(".planes .chart")].find((each) => each.innerText.includes("ROC curve"));
  const [button, line] = [roc.querySelectorAll(".legend button")[1], roc.querySelector('path[data-curve="1"]')];
  seen.toggled = [button, button].map((each) => {
    each.click();
    return [each.ariaPressed, getComputedStyle(line).display];
  });
  seen.marks = document.querySelectorAll(".tip, .mark").length;
}
parent.postMessage(JSON.stringify(seen), "*");
</script>"""
# A window is never narrower than 500 pixels; a frame may be. What the page says comes out as a message.
FRAME = """<!doctype html><style>body {{ margin: 0 }} iframe {{ border: 0 }}</style>
<script>addEventListener("message", ({{ data }}) => {{ document.querySelector("#seen").textContent = data; }});</script>
<iframe src="{name}" width="{width}" height="{height}"></iframe><pre id="seen" hidden></pre>"""


def browser() -> str:
    """A Chromium; without one these tests are skipped, but not where everything is to be tested."""
    found = next(filter(None, map(shutil.which, BROWSERS)), "")
    if not found and os.environ.get("CI") != "true":
        pytest.skip("no Chromium: apt-get install chromium")
    assert found, "CI=true, and no Chromium to take screenshots with: apt-get install chromium"
    return found


@pytest.fixture(scope="module")
def look(tmp_path_factory):
    """`look(device, scheme)` -> (what the page says of itself in a browser, its picture)."""
    chromium = browser()
    home = tmp_path_factory.mktemp("browser")
    workdir = made_workdirs.write(home / "lm_tiny")
    made_findings.write(workdir, test=made_findings.classified(), val=made_findings.predicted())
    written = page.write(workdir).read_text()
    with_probe = written.replace("<head>", f"<head>{HOOK}", 1).replace("</body>", f"{PROBE}</body>", 1)
    opened = home / "lm_tiny" / "report" / "probed.html"
    opened.write_text(with_probe)
    still = home / "lm_tiny" / "report" / "still.html"
    assert page.SCRIPT in with_probe
    still.write_text(with_probe.replace(page.SCRIPT, ""))

    @functools.cache
    def take(device: str, scheme: str, has_script: bool = True):
        picture, frame = home / "picture.png", home / "frame.html"
        source = (opened if has_script else still).relative_to(home)
        frame.write_text(FRAME.format(name=source, width=WIDTHS[device], height=HEIGHT))
        done = subprocess.run(
            [
                *(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
                *(f"--user-data-dir={home / 'profile'}", "--enable-logging=stderr", "--force-device-scale-factor=1"),
                f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
                *(f"--window-size=1280,{HEIGHT}", "--virtual-time-budget=2000"),
                *(f"--screenshot={picture}", "--dump-dom", frame.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        assert ":CONSOLE" not in done.stderr, done.stderr
        [seen] = re.findall(r'<pre id="seen" hidden="">(.*?)</pre>', done.stdout, re.DOTALL)
        with Image.open(picture) as image:
            return json.loads(html.unescape(seen)), np.asarray(image.convert("RGB")).astype(int)[:, : WIDTHS[device]]

    return take


every_look = pytest.mark.parametrize(
    ("device", "scheme"), [("desktop", "light"), ("desktop", "dark"), ("phone", "light"), ("phone", "dark")]
)


@every_look
def test_it_opens_without_a_fault_in_the_scheme_that_was_asked_for(look, device, scheme):
    seen, picture = look(device, scheme)
    assert seen["faults"] == []
    assert seen["isDark"] == (scheme == "dark")
    assert seen["innerWidth"] == WIDTHS[device]
    assert seen["height"] <= HEIGHT, "the picture shows all of it"
    paper = picture[5, 5].mean()
    assert paper < 50 if scheme == "dark" else paper > 220


@every_look
def test_every_section_is_seen_and_nothing_is_too_wide(look, device, scheme):
    seen, _ = look(device, scheme)
    assert list(seen["sections"]) == SECTIONS
    assert all(found["bottom"] - found["top"] > 60 for found in seen["sections"].values())
    assert seen["scrollWidth"] <= seen["innerWidth"]
    for found in seen["inside"]:
        assert found["left"] >= 0, found
        assert found["right"] <= seen["innerWidth"], found


def overlaps(one: dict, other: dict) -> bool:
    return (
        one["left"] < other["right"] - 0.5
        and other["left"] < one["right"] - 0.5
        and one["top"] < other["bottom"] - 0.5
        and other["top"] < one["bottom"] - 0.5
    )


@every_look
def test_nothing_lies_on_top_of_anything_else(look, device, scheme):
    seen, _ = look(device, scheme)
    alone = [seen["blocks"], seen["figures"], seen["cards"], seen["tiles"], *(x + y for x, y in seen["labels"])]
    for group in alone:
        assert len(group) > 3
        for index, one in enumerate(group):
            assert not [other for other in group[index + 1 :] if overlaps(one, other)], one


@every_look
def test_every_curve_has_ink_in_its_plot(look, device, scheme):
    """Pixels of the curve's colour, from the left half of its plot to the right one, inside the plot alone."""
    seen, picture = look(device, scheme)
    assert len(seen["plots"]) == 9
    for place, colours in zip(seen["plots"], seen["colours"], strict=True):
        left, top, right, bottom = (round(place[side]) for side in ("left", "top", "right", "bottom"))
        plot = picture[top:bottom, left:right]
        assert colours
        for colour in dict.fromkeys(colours):
            wanted = [int(part) for part in re.findall(r"\d+", colour)[:3]]
            rows, columns = np.nonzero(np.abs(plot - wanted).sum(-1) < 40)
            assert len(columns) > 40, (colour, place)
            assert columns.max() > 0.9 * (right - left)
            if len(colours) == 1:
                assert columns.min() < 0.1 * (right - left)
                assert len(rows) < 0.5 * plot.shape[0] * plot.shape[1], "a line, not an area"


@pytest.mark.parametrize("device", WIDTHS)
def test_the_loss_falls_on_the_picture(look, device):
    seen, picture = look(device, "light")
    left, top, right, bottom = (round(seen["plots"][0][side]) for side in ("left", "top", "right", "bottom"))
    wanted = [int(part) for part in re.findall(r"\d+", seen["colours"][0][0])[:3]]
    rows, columns = np.nonzero(np.abs(picture[top:bottom, left:right] - wanted).sum(-1) < 40)
    width = right - left
    assert rows[columns < 0.1 * width].mean() < 0.2 * (bottom - top)
    assert rows[columns > 0.95 * width].mean() > 0.75 * (bottom - top)


def test_the_pointer_and_the_keys_show_the_numbers(look):
    seen, _ = look("desktop", "light")
    rows = made_workdirs.metrics(200)
    assert "step 2,000" in seen["tip"]
    assert f"{rows[-1]['val/loss']:.4g}" in seen["tip"]
    assert "step 10\n" in seen["first"]
    assert f"{rows[0]['train/loss']:.4g}" in seen["first"]
    assert "val/loss (step 250)" in seen["first"]
    assert seen["left"] == 0


@every_look
def test_the_confusion_matrix_is_blue_where_it_is_right_and_every_mistake_has_its_picture(look, device, scheme):
    seen, picture = look(device, scheme)
    assert seen["images"] == [112] * 8
    [place] = seen["cells"]
    left, top, side = round(place["left"]), round(place["top"]), (place["right"] - place["left"]) / 10
    counts = np.array(made_findings.classified()["confusion"])
    for row, column in ((0, 0), (0, 1)):
        x, y = left + round(side * column) + 6, top + round(side * row) + 6
        assert picture[y, x].argmax() == (2 if row == column else 0), (row, column, picture[y, x])
    assert counts[0, 0] > counts[0, 1] > 0


def test_a_cell_is_told_under_the_pointer_and_by_the_keys(look):
    seen, _ = look("desktop", "light")
    counts = np.array(made_findings.classified()["confusion"])
    words = f"{counts[1, 2]} of {counts[1].sum()} rows, {100 * counts[1, 2] / counts[1].sum():#.3g}%"
    assert seen["cell"].split("\n\n") == ["Trouser, taken for Pullover", words]
    assert seen["nextCell"].startswith("Trouser, and taken for it")
    assert seen["marks"] == 0


def test_a_legend_s_entry_hides_its_line_and_brings_it_back(look):
    seen, _ = look("desktop", "light")
    assert seen["toggled"] == [["false", "none"], ["true", "inline"]]


def test_without_its_script_it_looks_the_same(look):
    _, picture = look("desktop", "light")
    seen, still = look("desktop", "light", has_script=False)
    assert "tip" not in seen
    np.testing.assert_array_equal(still, picture)


def test_where_everything_is_tested_a_browser_must_be_there(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(AssertionError, match="apt-get install chromium"):
        browser()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        browser()
