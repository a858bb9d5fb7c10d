"""What every operation on pictures and clips keeps to, and that a line decodes each payload once."""

import dataclasses
import io

import numpy as np
import pytest
import scipy.io.wavfile
from PIL import Image

from input_pipeline.clean.record import CHANGED, REMOVED, Record
from input_pipeline.clean.steps import STEPS, line
from input_pipeline.clean.steps.clip import Clip
from input_pipeline.clean.steps.media import Line
from input_pipeline.clean.steps.picture import Picture

pytestmark = pytest.mark.fast
OPERATIONS = [(modality, name) for modality in ("image", "audio") for name in STEPS[modality]]
LINES = {
    "image": "decodable|first_frame|upright|min_size(8)|max_aspect(3.0)|mode('L')|not_blank|shrink_to(20)"
    "|encode('png')",
    "audio": "decodable|mono|not_silent|trim_silence(40.0, 0.0)|resample(16_000)|loudness|duration(0.1)|encode('wav')",
}


def saved(image, format="PNG", **how):
    file = io.BytesIO()
    image.save(file, format, **how)
    return file.getvalue()


def wav(samples, rate=8000):
    file = io.BytesIO()
    scipy.io.wavfile.write(file, rate, np.asarray(samples))
    return file.getvalue()


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def payloads(modality):
    """Good ones of several kinds, then bad ones."""
    if modality == "image":
        rgba = Image.fromarray(noise(40, 30, 4))
        exif = Image.Exif()
        exif[0x0112] = 6
        frames = [Image.fromarray(noise(12, 12, 3, seed=n)) for n in range(3)]
        return [
            saved(Image.fromarray(noise(40, 30, 3))),
            saved(Image.fromarray(noise(40, 30, 3)), "JPEG", exif=exif),
            saved(rgba),
            saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
            saved(Image.new("RGB", (30, 30), "red")),
            saved(rgba)[:900],
            b"\x89PNG\r\n\x1a\n",
            b"no picture",
            b"",
        ]
    wave = (np.random.default_rng(0).normal(size=(4000, 2)) / 8).astype(np.float32)
    wave[:1000] = 0
    return [
        wav(wave),
        wav(wave[:, 0], rate=16_000),
        wav(np.rint(wave * 2**15).astype(np.int16), rate=44_100),
        wav(np.zeros(4000, np.int16)),
        wav(np.zeros(0, np.int16)),
        wav(np.full(100, np.nan, np.float32)),
        wav(wave)[:2000],
        b"RIFF",
        b"",
    ]


def records(modality):
    return [Record(f"{n}", payload=payload, fields={"n": n}) for n, payload in enumerate(payloads(modality))]


@pytest.mark.parametrize(("modality", "name"), OPERATIONS)
def test_an_operation_is_pure_frozen_and_keeps_order(modality, name):
    step = STEPS[modality][name]()
    with pytest.raises(dataclasses.FrozenInstanceError):
        step.anything = 1
    assert step == STEPS[modality][name]()
    given = records(modality)
    whole = step(given)
    assert step(given) == whole
    assert [record.id for record in whole.records] == sorted(record.id for record in whole.records)
    alone = [step([record]) for record in given]  # neighbours in a batch change nothing
    assert [record for outcome in alone for record in outcome.records] == list(whole.records)
    assert [entry for outcome in alone for entry in outcome.entries] == list(whole.entries)
    assert all(entry.rule.startswith((f"{name}.", "decodable.")) for entry in whole.entries)
    gone = {entry.id for entry in whole.entries if entry.action == REMOVED}
    assert gone.isdisjoint(record.id for record in whole.records)
    assert len(gone) + len(whole.records) == len(given)
    changed = {entry.id for entry in whole.entries if entry.action == CHANGED}
    for record in whole.records:
        before = given[int(record.id)]
        assert record.fields == before.fields
        assert (record.payload != before.payload) == (record.id in changed)


@pytest.mark.parametrize("modality", LINES)
def test_a_line_does_what_its_operations_do_one_after_the_other(modality):
    (joined,) = line(LINES[modality], modality=modality)
    assert isinstance(joined, Line)
    whole = joined(records(modality))
    left, entries = records(modality), []
    for operation in joined.operations:
        left, found = operation(left)
        entries += found
    assert [(record.id, record.payload) for record in whole.records] == [(record.id, record.payload) for record in left]
    assert len(left) >= 2
    # But that between them a changed picture is written as PNG, so the last finds less to say.
    strip = lambda found: sorted((e.id, e.rule, e.value, e.action) for e in found if not e.rule.startswith("encode."))
    assert strip(whole.entries) == strip(entries)
    again = joined(whole.records)  # what is clean stays as it is
    assert (list(again.records), list(again.entries)) == (list(whole.records), [])


@pytest.mark.parametrize(("modality", "held"), [("image", Picture), ("audio", Clip)])
def test_a_line_decodes_once(modality, held, monkeypatch):
    from input_pipeline import audio, images

    decoded = []
    upright, read = images.upright, audio.read
    monkeypatch.setattr(images, "upright", lambda image: decoded.append(1) or upright(image))
    monkeypatch.setattr(audio, "read", lambda *args, **how: decoded.append(1) or read(*args, **how))
    (joined,) = line(LINES[modality].rpartition("|")[0], modality=modality)
    assert joined.operations[0].hold is held
    joined(records(modality)[:1])
    assert len(decoded) == 1


@pytest.mark.parametrize("modality", LINES)
def test_what_cannot_be_decoded_falls_to_a_rule_whether_or_not_it_is_named(modality):
    rules = {
        "image": ["truncated", "format", "format", "empty"],
        "audio": ["empty", "corrupt", "truncated", "truncated", "empty"],
    }
    step = {"image": "not_blank", "audio": "mono"}[modality]
    outcome = STEPS[modality][step]()(records(modality))
    found = [entry.rule for entry in outcome.entries if entry.rule.startswith("decodable.")]
    assert found[-len(rules[modality]) :] == [f"decodable.{rule}" for rule in rules[modality]]


@pytest.mark.parametrize(
    ("modality", "wrong", "says"),
    [
        ("image", "decodable(0)", "max_pixels: expected 1 to 178,956,970"),
        ("image", "min_size(0)", "side: expected 1 or more pixels, got 0"),
        ("image", "max_aspect(0.5)", "ratio: expected 1 or more"),
        ("image", "mode('CMYK')", "mode: expected 'L' or 'RGB', got 'CMYK'"),
        ("image", "not_blank(0)", "min_std: expected a number above 0"),
        ("image", "not_blurred(-1)", "min_variance: expected a number above 0"),
        ("image", "not_blurred(1.0, 2)", "side: expected 3 or more"),
        ("image", "shrink_to(0)", "side: expected 1 or more"),
        ("image", "encode('gif')", "format: expected one of 'png', 'jpeg', 'webp', got 'gif'"),
        ("image", "encode('jpeg', 101)", "quality: expected 1 to 100"),
        ("audio", "decodable(0)", "max_samples: expected 1 to"),
        ("audio", "duration(2, 1)", "expected 0 <= min_s <= max_s, got 2 and 1"),
        ("audio", "resample(10)", "rate: expected 4,000 to 768,000"),
        ("audio", "min_rate(10)", "rate: expected 4,000 to 768,000"),
        ("audio", "not_silent(1.0)", "min_peak: expected a level below 0 dBFS"),
        ("audio", "not_clipped(2.0)", "max_share: expected 0 or more, below 1"),
        ("audio", "not_clipped(0.1, 0.0)", "level: expected a number above 0"),
        ("audio", "trim_silence(0.0)", "below_db and margin_s: expected one above 0"),
        ("audio", "loudness(3.0)", "target: expected -70 to 0 LUFS, got 3.0"),
        ("audio", "loudness(-23.0, 1.0)", "max_peak: expected -70 to 0 dB"),
        ("audio", "encode('mp3')", "format: expected 'wav' or 'flac', got 'mp3'"),
        ("audio", "encode('wav', 8)", "bits: expected 16 or 24, got 8"),
    ],
)
def test_a_wrong_argument_is_one_line(modality, wrong, says):
    with pytest.raises(ValueError, match=r"^steps: ") as error:
        line(wrong, modality=modality)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
