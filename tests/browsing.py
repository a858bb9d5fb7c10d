"""Pages as a browser shows them: what they say of themselves there, and their pictures."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = {"desktop": 1280, "phone": 390}
SCHEMES = {"dark": 0, "light": 1}  # of Blink's setting preferredColorScheme

# Before all else on the page: what goes wrong is kept. At its end: what lies where.
HOOK = """<script>
window.faults = [];
window.addEventListener("error", (event) => faults.push(String(event.message)), true);
window.addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
for (const name of ["error", "warn"]) console[name] = (...said) => faults.push(said.join(" "));
</script>"""
PROBE = """<script>
const box = (element) => {{
  const {{ left, top, right, bottom }} = element.getBoundingClientRect();
  return {{ left, top: top + scrollY, right, bottom: bottom + scrollY }};
}};
const boxes = (selector, root = document) => [...root.querySelectorAll(selector)].map(box);
const seen = {{
  faults, innerWidth, scrollWidth: document.documentElement.scrollWidth,
  height: document.documentElement.scrollHeight,
  isDark: matchMedia("(prefers-color-scheme: dark)").matches,
  sections: Object.fromEntries([...document.querySelectorAll("section")].map((each) => [each.id, box(each)])),
  blocks: boxes("header > *, section, footer"),
  figures: boxes("figure"), tiles: boxes(".tile"),
  labels: [...document.querySelectorAll(".chart")].map((each) =>
    ["x", "y"].map((side) => boxes(`span.${{side}}`, each))),
  inside: boxes("h1, h2, h3, p, li, summary, .tile, .plot span, pre, .scroll, .bar, .matrix, .mistakes img"),
}};
{script}
parent.postMessage(JSON.stringify(seen), "*");
</script>"""
# A window is never narrower than 500 pixels; a frame may be. What the page says comes out as a message.
FRAME = """<!doctype html><style>body {{ margin: 0 }} iframe {{ border: 0 }}</style>
<script>addEventListener("message", ({{ data }}) => {{ document.querySelector("#seen").textContent = data; }});</script>
<iframe src="{name}" width="{width}" height="{height}"></iframe><pre id="seen" hidden></pre>"""

every_look = pytest.mark.parametrize(
    ("device", "scheme"), [("desktop", "light"), ("desktop", "dark"), ("phone", "light"), ("phone", "dark")]
)


def browser() -> str:
    """A Chromium; without one these tests are skipped, but not where everything is to be tested."""
    found = next(filter(None, map(shutil.which, BROWSERS)), "")
    if not found and os.environ.get("CI") != "true":
        pytest.skip("no Chromium: apt-get install chromium")
    assert found, "CI=true, and no Chromium to take screenshots with: apt-get install chromium"
    return found


def probed(written: str, script: str = "") -> str:
    """A page that says what lies where on it; `script` adds to `seen`."""
    probe = PROBE.format(script=script)
    return written.replace("<head>", f"<head>{HOOK}", 1).replace("</body>", f"{probe}</body>", 1)


def take(page: Path, *, home: Path, device: str, scheme: str, height: int) -> tuple[dict[str, Any], np.ndarray]:
    """-> (what a probed page below `home` says of itself, its picture [height, width, 3])."""
    picture, frame = home / "picture.png", home / "frame.html"
    frame.write_text(FRAME.format(name=page.relative_to(home), width=WIDTHS[device], height=height))
    done = subprocess.run(
        [
            *(browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *(f"--user-data-dir={home / 'profile'}", "--enable-logging=stderr", "--force-device-scale-factor=1"),
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
            *(f"--window-size=1280,{height}", "--virtual-time-budget=2000"),
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


def overlaps(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether two boxes lie on top of one another."""
    return (
        one["left"] < other["right"] - 0.5
        and other["left"] < one["right"] - 0.5
        and one["top"] < other["bottom"] - 0.5
        and other["top"] < one["bottom"] - 0.5
    )


def assert_apart(group: list[dict[str, float]]) -> None:
    for index, one in enumerate(group):
        assert not [other for other in group[index + 1 :] if overlaps(one, other)], one
