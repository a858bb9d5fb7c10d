"""Every transform keeps shapes and its promises, and the same chance comes to a row wherever it is made."""

import numpy as np
import pytest
import scipy.stats

from input_pipeline import hashing, transforms
from input_pipeline.batch import DTYPES, check, text
from input_pipeline.transforms import TEXT
from input_pipeline.transforms.parse import parse
from input_pipeline.transforms.text import DropTokens, MaskSpans

LINES = {"drop_tokens": "drop_tokens(0.25)", "mask_spans": "mask_spans(0.25, 3)"}
EOD = 256
NUM_ROWS, SEQ_LEN = 60, 50


@pytest.fixture
def rows():
    """Two documents a row, and some padding at its end."""
    rng = np.random.default_rng(0)
    shape = (NUM_ROWS, SEQ_LEN)
    segment = np.broadcast_to(np.repeat([1, 2, 0], [20, 25, 5]), shape)
    made = {
        "tokens": rng.integers(0, EOD, shape) * (segment > 0),
        "targets": rng.integers(0, EOD, shape) * (segment > 0),
        "segment_ids": segment,
        "positions": np.broadcast_to(np.r_[:20, :25, :5], shape) * (segment > 0),
        "weights": segment > 0,
    }
    return {key: array.astype(DTYPES[key]) for key, array in made.items()}


def apply(line, rows, *, positions=None, seed=0):
    positions = np.arange(len(rows["tokens"])) if positions is None else np.array(positions)
    return transforms.apply(parse(line, separator=EOD).rows, rows, positions_B=positions, seed=seed)


def same(one, other):
    return all(one[key].tobytes() == other[key].tobytes() for key in DTYPES)


def test_every_transform_is_tried():
    assert LINES.keys() == TEXT.keys()


@pytest.mark.fast
@pytest.mark.parametrize("line", [*LINES.values(), "|".join(LINES.values())])
def test_the_contract(rows, line):
    before = {key: array.copy() for key, array in rows.items()}
    found = check(apply(line, rows), text(rows["tokens"].shape[1]))
    assert found["tokens"].shape == rows["tokens"].shape
    assert same(rows, before), "it wrote to what it was given"
    assert same(found, apply(line, rows))
    assert not same(found, rows)
    assert not same(found, apply(line, rows, seed=1))
    assert not same(found, apply(line, rows, positions=np.arange(NUM_ROWS) + NUM_ROWS))
    chosen = np.array([7, 3, 41])  # alone, or in other company: the same chances
    some = apply(line, {key: array[chosen] for key, array in rows.items()}, positions=chosen)
    assert same(some, {key: array[chosen] for key, array in found.items()})
    empty = apply(line, {key: array[:0] for key, array in rows.items()})
    assert empty["tokens"].shape == (0, SEQ_LEN)


@pytest.mark.fast
@pytest.mark.parametrize("line", LINES.values())
def test_text_is_blanked_and_nothing_else_touched(rows, line):
    found = apply(line, rows)
    blank = found["tokens"] != rows["tokens"]
    assert (found["tokens"][blank] == EOD).all()
    assert not blank[rows["segment_ids"] == 0].any()
    assert all(found[key] is rows[key] for key in DTYPES if key != "tokens")


def full_rows(num_rows, seq_len):
    return {key: np.ones((num_rows, seq_len), dtype) for key, dtype in DTYPES.items()}


@pytest.mark.fast
def test_tokens_are_dropped_independently():
    rows = full_rows(4000, 32)
    gone = apply("drop_tokens(0.3)", rows)["tokens"] == EOD
    counts = np.bincount(gone.sum(1), minlength=33)
    expected = scipy.stats.binom.pmf(np.arange(33), 32, 0.3) * 4000
    keep = expected > 5
    assert scipy.stats.chisquare(counts[keep], expected[keep] * counts[keep].sum() / expected[keep].sum()).pvalue > 1e-4
    both = (gone[:, 1:] & gone[:, :-1]).mean()
    assert both == pytest.approx(0.09, abs=0.005)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("rate", "mean_length", "seq_len", "num_masked", "num_spans"),
    [(0.15, 3, 128, 19, 6), (0.5, 1, 64, 32, 32), (0.15, 3.5, 512, 77, 22), (0.9, 2, 20, 18, 2), (0.01, 3, 8, 1, 1)],
)
def test_spans_are_as_many_and_as_long_as_stated(rate, mean_length, seq_len, num_masked, num_spans):
    rows = full_rows(3000, seq_len)
    masked = apply(f"mask_spans({rate}, {mean_length})", rows)["tokens"] == EOD
    assert (masked.sum(1) == num_masked).all()
    begins = masked & ~np.roll(masked, 1, axis=1)  # the row is a ring
    assert (begins.sum(1) == num_spans).all()
    np.testing.assert_allclose(masked.mean(0), num_masked / seq_len, atol=5 * np.sqrt(0.25 / 3000))


@pytest.mark.fast
def test_every_cutting_of_a_length_comes_equally_often():
    """4 = 1 + 1 + 2 = 1 + 2 + 1 = 2 + 1 + 1."""
    from input_pipeline.transforms.text import _compositions

    found = _compositions(hashing.fold(hashing.key(0), np.arange(3000)), 4, 3)
    kinds, counts = np.unique(found, axis=0, return_counts=True)
    assert kinds.tolist() == [[1, 1, 2], [1, 2, 1], [2, 1, 1]]
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.fast
def test_a_place_in_the_line_has_its_own_chances(rows):
    twice = apply("drop_tokens(0.5)|drop_tokens(0.5)", rows)["tokens"] == EOD
    assert twice[:, :45].mean() == pytest.approx(0.75, abs=0.04)


@pytest.mark.fast
def test_a_line_is_read_from_left_to_right():
    found = parse("mask_spans(0.15, mean_length=3) | drop_tokens(rate=0.1)", separator=9).rows
    assert found == (MaskSpans(0.15, 3, separator=9), DropTokens(0.1, separator=9))
    assert parse("", separator=9) == parse("  ", separator=9) == ((), ())


@pytest.mark.fast
@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "drop_token(0.1)",
            r"expected one of drop_tokens, mask_spans, got 'drop_token'; write drop_tokens\(rate: float\)",
        ),
        (
            "drop_tokens",
            r"expected drop_tokens\(rate: float\), got 'drop_tokens'?.*missing a required argument: 'rate'",
        ),
        ("drop_tokens(0.1, 2)", r"expected drop_tokens\(rate: float\), got .*too many positional arguments"),
        ("drop_tokens(rat=0.1)", r"expected drop_tokens\(rate: float\), got"),
        ("drop_tokens('x')", r"expected drop_tokens\(rate: float\), got .*rate is str 'x'"),
        ("drop_tokens(True)", r"rate is bool True"),
        ("drop_tokens(1.5)", r"rate: expected a number between 0 and 1, got 1.5"),
        ("mask_spans(0.1, 0.5)", r"mean_length: expected 1 or more tokens, got 0.5"),
        ("drop_tokens(0.1, separator=3)", r"expected drop_tokens\(rate: float\), got"),
        ("drop_tokens(**{'rate': 0.1})", r"expected drop_tokens\(rate: float\), got"),
        ("drop_tokens(open('x'))", r"expected drop_tokens\(rate: float\), got .*malformed node"),
        ("__import__('os').system('false')", r"expected operations such as 'mask_spans"),
        ("drop_tokens(0.1)|", r"expected operations such as 'mask_spans"),
        ("1 + 2", r"expected operations such as 'mask_spans"),
    ],
)
def test_mistakes_in_a_line(line, says):
    with pytest.raises(ValueError, match=f"^data.transforms: .*{says}"):
        parse(line, separator=0)


@pytest.mark.fast
def test_transforms_are_frozen():
    """What a run reads at a position never changes. Where it must, `transforms.FORMAT` changes too."""
    assert transforms.FORMAT == "transforms 1"
    rows = full_rows(2, 12)
    for line, blanked in (
        ("drop_tokens(0.3)", ["000011011101", "010000010000"]),
        ("mask_spans(0.4, 2)", ["111000011000", "100001100011"]),
    ):
        found = apply(line, rows, positions=[5, 10**11])["tokens"] == EOD
        assert ["".join(map(str, row)) for row in found.astype(int)] == blanked
