"""scripts/show_batch.py: the picture is of the batch that trains."""

import numpy as np
import pytest
from PIL import Image

from input_pipeline.progress import quiet
from scripts import show_batch
from train import command_line, feeds, mixing, preview, spec


def feed_of(*argv):
    return feeds.prepare(spec.read(command_line.command(argv).config), progress=quiet)


def test_pictures_are_of_the_step_s_own_rows_and_stand_there_mixed():
    plain = feed_of("--config=configs/cnn_fashion.py:tiny", "--config.data.transforms=normalize(0.5, 0.25)")
    mixed = feed_of(
        "--config=configs/cnn_fashion.py:tiny", "--config.data.transforms=normalize(0.5, 0.25)|batch|mixup(0.4)"
    )
    first, later = preview.batch(plain, 0), preview.batch(plain, 3)
    assert not np.array_equal(first["inputs"], later["inputs"])
    alone, both = preview.batch(plain, 3), preview.batch(mixed, 3)
    np.testing.assert_array_equal(alone["inputs"], later["inputs"])
    own = np.asarray(mixing.shares(alone["labels"], 6))
    kept = np.einsum("bc,bc->b", both["labels"], own)
    neighbours = np.roll(alone["inputs"], -1, axis=0)
    share = np.where(own.argmax(1) == np.roll(own.argmax(1), -1), np.nan, kept)[:, None, None, None]
    told = ~np.isnan(share[:, 0, 0, 0])
    expected = share * alone["inputs"] + (1 - share) * neighbours
    np.testing.assert_allclose(both["inputs"][told], expected[told], atol=1e-4)
    assert told.sum() > 8
    assert preview.draw(mixed, both).shape[2] == 3


@pytest.mark.fast
@pytest.mark.parametrize(
    ("label", "classes", "expected"),
    [
        (np.int32(1), ("cat", "dog"), "dog"),
        (np.int32(1), (), "1"),
        (np.array([0.25, 0.75]), ("cat", "dog"), "0.75 dog + 0.25 cat"),
        (np.array([0.0, 1.0]), ("cat", "dog"), "dog"),
        (np.array([0.0, 0.0]), ("cat", "dog"), "none"),
        (np.float32(2.5), (), "2.5"),
    ],
)
def test_labels_in_words(label, classes, expected):
    assert preview.told(label, classes) == expected


@pytest.mark.fast
def test_text_stands_token_by_token_on_the_colours_of_its_segments():
    from input_pipeline.tokenizer import Bytes

    letters = [*b"ab\nc"]
    tokenizer = Bytes()
    rows = {
        "tokens": np.array([[tokenizer.eod_id, *letters, 0]]),
        "segment_ids": np.array([[1, 1, 1, 2, 2, 0]]),
        "weights": np.array([[1, 1, 1, 1, 0, 0]], np.float32),
    }
    title, line, empty = preview._lines(rows, 0, tokenizer)
    assert title[0][0] == "row 0: 2 segments, 1 padded"
    assert [piece for piece, _, _ in line][:5] == ["■", "a", "b", "↵", "c"]
    assert [is_counted for _, _, is_counted in line] == [True] * 4 + [False] * 2
    assert empty == []
    colours = preview.text(rows, tokenizer)[preview.MARGIN + preview.LINE + 1, preview.MARGIN + 1 :: preview.LETTER][:6]
    assert tuple(colours[1]) == preview.SEGMENTS[0]
    assert tuple(colours[3]) == preview.SEGMENTS[1]
    assert tuple(colours[5]) == preview.PADDING


def test_the_command(tmp_path, capsys):
    out = tmp_path / "batch.png"
    assert show_batch.main(["--config=configs/lm_tiny.py:tiny", f"--out={out}", "--step=2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    with Image.open(out) as image:
        assert image.width > 500
    for wrong in (["--step=-1"], ["--step=x"], [f"--out={tmp_path / 'none' / 'b.png'}"], ["--config.data.wrong=1"]):
        assert show_batch.main(["--config=configs/lm_tiny.py:tiny", f"--out={out}", *wrong]) == 2
        assert capsys.readouterr().err.startswith("error: ")
