import random

import numpy as np
import pytest

from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import NEAR, exact

pytestmark = pytest.mark.fast


def test_repeats_are_those_of_a_dictionary():
    texts = random.Random(0).choices(["a", "b", "c ", "c", "é", "e\u0301", "\ud800", "", *"fghijklm"], k=60)
    records = [Record(str(i), text) for i, text in enumerate(texts)]
    numbers = np.random.default_rng(1).permutation(60)
    is_repeat, first = exact.repeats(exact.digests(records, part="text")[numbers], numbers)
    seen: dict[str, int] = {}
    expected = [seen.setdefault(text, i) for i, text in enumerate(texts)]
    np.testing.assert_array_equal(first, np.array(expected)[numbers])
    np.testing.assert_array_equal(is_repeat, first != numbers)
    assert is_repeat.sum() == 60 - len(set(texts))


def test_digests_that_share_one_half_differ():
    numbers = np.arange(4)
    is_repeat, _ = exact.repeats(np.array([[1, 2], [1, 3], [2, 2], [1, 2]], np.uint64), numbers)
    assert is_repeat.tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("part", "same", "other"),
    [
        ("text", Record("1", "a", b"x", dict(b=1)), Record("2", "A", b"", dict(a=1))),
        ("payload", Record("1", "b", b"", dict(b=1)), Record("2", "a", b"x", dict(a=1))),
        ("cells", Record("1", "b", b"x", dict(a=1)), Record("2", "a", b"", dict(a=1.5))),
    ],
)
def test_one_part_alone_counts(part, same, other):
    digests = exact.digests([Record("0", "a", b"", dict(a=1)), same, other], part=part)
    assert (digests[0] == digests[1]).all()
    assert (digests[0] != digests[2]).any()


def test_every_modality_has_a_part():
    assert set(exact.PART_OF) == set(NEAR)
    assert set(exact.PART_OF.values()) == set(exact.PARTS)


def test_the_order_of_cells_does_not_count():
    digests = exact.digests([Record("0", fields=dict(a=1, b=2)), Record("1", fields=dict(b=2, a=1))], part="cells")
    assert (digests[0] == digests[1]).all()
