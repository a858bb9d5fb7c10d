"""The page as a browser shows it: wide and narrow, light and dark, with its script and without."""

import functools
import re
import shutil

import browsing
import made_findings
import made_workdirs
import numpy as np
import pytest
from browsing import WIDTHS, every_look

from train.reports import page

HEIGHT = 17000
SECTIONS = ["curves", "evaluations", "samples", "data", "time", "operations", "sessions", "events", "config"]

# What this page has, and what its script does.
PROBE = """
const plot = document.querySelector(".plot");
Object.assign(seen, {
  cells: boxes(".cells .ground"),
  images: [...document.querySelectorAll(".mistakes img")].map((each) => each.complete && each.naturalWidth),
  cards: boxes(".mistakes li"),
  plots: boxes(".charts .plot"),
  colours: [...document.querySelectorAll(".charts .chart")].map((each) =>
    [...each.querySelectorAll("path.line:not(.faint)")].map((line) => getComputedStyle(line).stroke)),
});
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
"""


@pytest.fixture(scope="module")
def look(tmp_path_factory):
    """`look(device, scheme)` -> (what the page says of itself in a browser, its picture)."""
    browsing.browser()
    home = tmp_path_factory.mktemp("browser")
    workdir = made_workdirs.write(home / "lm_tiny")
    made_findings.write(workdir, test=made_findings.classified(), val=made_findings.predicted())
    written = page.write(workdir).read_text()
    with_probe = browsing.probed(written, PROBE)
    opened = home / "lm_tiny" / "report" / "probed.html"
    opened.write_text(with_probe)
    still = home / "lm_tiny" / "report" / "still.html"
    assert page.SCRIPT in with_probe
    still.write_text(with_probe.replace(page.SCRIPT, ""))

    @functools.cache
    def take(device: str, scheme: str, has_script: bool = True):
        source = opened if has_script else still
        return browsing.take(source, home=home, device=device, scheme=scheme, height=HEIGHT)

    return take


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


@every_look
def test_nothing_lies_on_top_of_anything_else(look, device, scheme):
    seen, _ = look(device, scheme)
    alone = [seen["blocks"], seen["figures"], seen["cards"], seen["tiles"], *(x + y for x, y in seen["labels"])]
    for group in alone:
        assert len(group) > 3
        browsing.assert_apart(group)


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
        browsing.browser()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        browsing.browser()
