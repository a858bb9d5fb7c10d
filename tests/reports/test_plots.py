"""The loss curve: what is drawn is what was measured."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from train.reports import plots


def write_metrics(workdir, lines):
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return workdir


def a_run(workdir, num_lines=100, every=10):
    """Losses that fall from 5 towards 2, with two evaluations."""
    steps = [every * (i + 1) for i in range(num_lines)]
    lines = [{"step": step, "train/loss": 2 + 30 / step, "train/tokens_per_s": 9e3} for step in steps]
    for line in lines[9::10]:
        line |= {
            "val/loss": line["train/loss"] + 0.1,
            "code/loss": line["train/loss"] + 0.2,
            "val/accuracy": 0.5,
        }
    return write_metrics(workdir, lines)


@pytest.fixture
def axes_of(monkeypatch):
    """The axes that `loss_curve` draws for a workdir, and the PNG as usual."""

    def draw(workdir):
        figures = []
        save = plots.save
        monkeypatch.setattr(plots, "save", lambda figure, path: figures.append(figure) or save(figure, path))
        plots.loss_curve(workdir)
        return figures[0].axes[0]

    return draw


def test_curves_hold_the_numbers_of_the_file(tmp_path, axes_of):
    axes = axes_of(a_run(tmp_path / "lm_tiny"))
    steps = np.arange(10, 1001, 10)
    raw, mean, val, code = axes.get_lines()
    np.testing.assert_array_equal(raw.get_xdata(), steps)
    np.testing.assert_allclose(raw.get_ydata(), 2 + 30 / steps)
    np.testing.assert_allclose(mean.get_ydata(), plots.smooth(list(2 + 30 / steps)))
    np.testing.assert_array_equal(val.get_xdata(), steps[9::10])
    np.testing.assert_allclose(val.get_ydata(), 2.1 + 30 / steps[9::10])
    np.testing.assert_allclose(code.get_ydata(), 2.2 + 30 / steps[9::10])
    assert raw.get_linewidth() < mean.get_linewidth()


def test_words_on_the_picture(tmp_path, axes_of):
    axes = axes_of(a_run(tmp_path / "lm_tiny"))
    assert axes.get_title(loc="left") == "lm_tiny"
    assert [text.get_text() for text in axes.texts] == ["train/loss 2.031,  val/loss 2.13,  code/loss 2.23"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps", "loss (nats per token)")
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["train/loss", "val/loss", "code/loss"]


@pytest.mark.parametrize(("num_lines", "scale"), [(99, "linear"), (100, "log")])
def test_long_runs_stand_on_a_log_axis(tmp_path, axes_of, num_lines, scale):
    assert axes_of(a_run(tmp_path, num_lines)).get_xscale() == scale


def test_a_step_zero_stays_on_a_linear_axis(tmp_path, axes_of):
    lines = [{"step": 0, "val/loss": 5.0}, {"step": 500, "train/loss": 2.0, "val/loss": 2.0}]
    assert axes_of(write_metrics(tmp_path, lines)).get_xscale() == "linear"


def rgb(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def pixels_of(path, colour):
    """Rows and columns of the pixels of exactly this colour."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return np.nonzero(np.abs(pixels - rgb(colour)).sum(-1) <= 6)


def test_the_png_shows_a_falling_curve_and_the_evaluations(tmp_path):
    path = plots.loss_curve(str(a_run(tmp_path / "lm_tiny")))
    assert path == tmp_path / "lm_tiny" / "report" / "loss.png"
    rows, columns = pixels_of(path, plots.TRAIN_COLOUR)
    left, right = rows[columns < 150].mean(), rows[columns > 1100].mean()
    assert right - left > 300, "rows count downwards, so a falling loss ends further down"
    for colour in plots.EVAL_COLOURS[:2]:
        assert len(pixels_of(path, colour)[0]) > 200
    assert len(pixels_of(path, plots.EVAL_COLOURS[2])[0]) == 0
    assert [p.name for p in path.parent.iterdir()] == ["loss.png"]


def test_a_failed_drawing_leaves_the_old_picture(tmp_path, monkeypatch):
    path = plots.loss_curve(a_run(tmp_path))
    before = path.read_bytes()

    def half_a_picture(figure, target, **_):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", half_a_picture)
    with pytest.raises(OSError, match="disk full"):
        plots.loss_curve(tmp_path)
    assert path.read_bytes() == before


def test_nulls_are_gaps_and_a_line_still_being_written_is_left_out(tmp_path, axes_of):
    lines = [{"step": 1, "train/loss": None}, {"step": 2, "train/loss": 3.0}, {"step": 3, "train/loss": None}]
    write_metrics(tmp_path, lines)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "train/lo')
    axes = axes_of(tmp_path)
    raw, mean = axes.get_lines()
    assert np.isnan(raw.get_ydata()).tolist() == [True, False, True]
    assert np.isnan(mean.get_ydata()).tolist() == [True, False, True]


def test_a_single_loss_is_a_dot(tmp_path, axes_of):
    _, mean = axes_of(write_metrics(tmp_path, [{"step": 1, "train/loss": 3.0}])).get_lines()
    assert (mean.get_marker(), mean.get_xydata().tolist()) == ("o", [[1, 3]])


@pytest.mark.parametrize("lines", [None, [], [{"step": 1, "val/accuracy": 0.5}]])
def test_nothing_to_draw_is_said(tmp_path, lines):
    if lines is not None:
        write_metrics(tmp_path, lines)
    with pytest.raises(ValueError, match=r"metrics.jsonl: expected lines with train/loss, found none"):
        plots.loss_curve(tmp_path)
    assert not (tmp_path / "report").exists()


def test_smooth_is_the_mean_of_the_last_few_values():
    rng = np.random.default_rng(0)
    values = rng.normal(size=500)
    values[[0, 7, 300]] = math.nan
    got = plots.smooth(values.tolist())
    assert math.isnan(got[0])
    for i in (1, 7, 10, 20, 100, 301, 499):
        width = 1 + min((i + 1) // 8, 500 // 25)
        assert got[i] == pytest.approx(np.nanmean(values[i + 1 - width : i + 1])), i
    assert np.std(got[200:]) < np.nanstd(values) / 3
    assert plots.smooth([]) == []


def test_drawing_touches_no_global_state_and_importing_is_light(tmp_path):
    a_run(tmp_path)
    code = f"""
import sys
from train.reports import plots
assert not {{"matplotlib", "numpy", "jax"}} & set(sys.modules)
plots.loss_curve({str(tmp_path)!r})
assert "matplotlib.pyplot" not in sys.modules
assert not [name for name in sys.modules if name.startswith(("train.", "models", "input_pipeline"))
            and not name.startswith("train.reports")]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
