"""Bad records are found before a run, told by name and reason, counted and left out."""

import io

import made_sources
import numpy as np
import pytest
from PIL import Image

from input_pipeline.labelled import quarantine
from input_pipeline.labelled.sources import open_source
from input_pipeline.transforms.image import Decode

pytestmark = pytest.mark.fast


def _large(side: int) -> bytes:
    packed = io.BytesIO()
    Image.new("L", (side, side)).save(packed, "PNG")
    return packed.getvalue()


PICTURES = {
    "empty.png": (b"", "empty"),
    "cut.png": (made_sources.png(7, size=64)[:-4000], "truncated picture"),
    "spoilt.png": (made_sources.png(8)[:40] + bytes(40), "picture"),
    "bomb.png": (_large(300), "300 x 300 are more than 5,000 pixels"),
    "notes.txt": (b"these are my pictures", "no picture in a known format"),
}
SOUNDS = {
    "empty.wav": (b"", "empty"),
    "cut.wav": (made_sources.wav(7)[:-20], "truncated"),
    "spoilt.wav": (b"RIFF" + bytes(60), "corrupt"),
    "fast.wav": (made_sources.wav(8, sample_rate=16000), "wrong sample rate: expected 8000, got 16000"),
    "nothing.wav": (made_sources.wav(9, num_samples=0), "no samples"),
}
SOUND = dict(modality="audio", source="folder", shape=(80,), num_classes=2, sample_rate=8000, transforms="decode")


@pytest.fixture
def pictures(tmp_path):
    fields = made_sources.folder(tmp_path / "made")
    for name, (raw, _) in PICTURES.items():
        (tmp_path / "made/class0" / name).write_bytes(raw)
    return dict(fields, files=(f"{tmp_path}/made/*/*",), transforms="decode(3, 5000)|normalize", max_bad=0.5)


@pytest.fixture
def sounds(tmp_path):
    for i in range(made_sources.NUM):
        (tmp_path / f"made/class{i % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"made/class{i % 2}/{i}.wav").write_bytes(made_sources.wav(i))
    for name, (raw, _) in SOUNDS.items():
        (tmp_path / "made/class1" / name).write_bytes(raw)
    return dict(SOUND, files=(f"{tmp_path}/made/*/*",), prepare_workers=0, max_bad=0.5)


def _check(found, kinds, folder):
    told = dict(line.split(": ", 1) for line in found.bad)
    assert set(told) == {f"{folder}/{name}" for name in kinds}
    for name, (_, reason) in kinds.items():
        assert reason in told[f"{folder}/{name}"], name
    assert len(found) == made_sources.NUM == len(found.reader.read(np.arange(len(found))))
    assert not set(told) & set(found.names)
    assert sorted(found.labels.tolist()) == [0, 0, 0, 1, 1, 1]


def test_pictures(pictures, tmp_path):
    _check(open_source(made_sources.data(pictures, tmp_path)), PICTURES, "class0")


def test_sounds(sounds, tmp_path):
    _check(open_source(made_sources.data(sounds, tmp_path)), SOUNDS, "class1")


def test_another_line_has_limits_of_its_own(pictures, tmp_path):
    with pytest.raises(ValueError, match="got 11 of 11"):
        open_source(made_sources.data(pictures, tmp_path), others=["decode(3, 10)|normalize"])


def test_too_many_stop_a_run(pictures, tmp_path):
    expected = (
        r"data.max_bad: expected at most 1% of the records to be bad, got 5 of 11: class0/bomb.png: 300 x 300 .*; "
        r"class0/cut.png: .*; class0/empty.png: empty; mend them, or leave them out with --config.data.max_bad=0.5$"
    )
    with pytest.raises(ValueError, match=expected):
        open_source(made_sources.data(pictures, tmp_path, max_bad=0.01))
    only_bad = made_sources.data(pictures, tmp_path, max_bad=1.0, files=(f"{tmp_path}/made/*/[!0-9]*",))
    with pytest.raises(ValueError, match=r"got 5 of 5: .* mend them$"):
        open_source(only_bad)


def test_a_second_opening_decodes_nothing(pictures, tmp_path, monkeypatch):
    data = made_sources.data(pictures, tmp_path)
    first = open_source(data)

    def decode(self, rows, keys_B):
        raise AssertionError("decoded again")

    with monkeypatch.context() as patch:
        patch.setattr(Decode, "__call__", decode)
        second = open_source(data)
        with pytest.raises(AssertionError, match="decoded again"):
            open_source(made_sources.data(pictures, tmp_path, transforms="decode(3, 6000)|normalize"))
    assert (second.bad, list(second.names)) == (first.bad, list(first.names))
    (tmp_path / "made/class0/cut.png").write_bytes(made_sources.png(7))
    assert len(open_source(data)) == len(first) + 1, "what was mended is looked at again"


def test_processes_find_what_one_does(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(quarantine, "_PIECE", 4)
    seen = []
    found = [
        open_source(
            made_sources.data(pictures, tmp_path, prepare_workers=count, cache=str(tmp_path / str(count))),
            progress=lambda *call: seen.append(call),
        )
        for count in (0, 2)
    ]
    assert found[0].bad == found[1].bad
    assert list(found[0].names) == list(found[1].names)
    assert [call for call in seen if call[0] == "decoding records"][-1] == ("decoding records", 11, 11)


def test_evaluation_may_read_less(pictures, tmp_path):
    data = made_sources.data(
        pictures, tmp_path, transforms="decode|normalize", eval_transforms="decode(1, 15)|normalize"
    )
    with pytest.raises(ValueError, match="got 11 of 11"):
        open_source(data)


def test_bad_records_leave_the_parts_as_they_were(tmp_path):
    fields = made_sources.tfds_set(tmp_path / "made")
    whole = open_source(made_sources.data(fields, tmp_path))
    without = whole.without({0: "empty", 5: "empty"})
    for part, members in whole.parts.items():
        expected = [whole.names[i] for i in members if i not in (0, 5)]
        assert [without.names[i] for i in without.parts[part]] == expected
    np.testing.assert_array_equal(without.labels, whole.labels[1:5])
    assert without.reader.read(np.array([0])) == whole.reader.read(np.array([1]))
