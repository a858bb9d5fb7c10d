"""Splits of labelled examples: nothing twice, nothing lost, groups held out."""

import numpy as np
import pytest

from input_pipeline.labelled import splits
from input_pipeline.labelled.examples import Examples, InMemory, digests_of

pytestmark = pytest.mark.fast


def examples(count=1000, *, groups=("a", "b", "c", "d"), parts=None) -> Examples:
    inputs = np.arange(count, dtype=np.float32)[:, None]
    return Examples(
        reader=InMemory(inputs),
        labels=np.zeros(count, np.int32),
        names=[f"example-{i}" for i in range(count)],
        digests=digests_of(inputs),
        groups=np.array([groups[i % len(groups)] for i in range(count)]) if groups else None,
        parts=parts or {},
    )


def members(found: Examples, expression: str, *, by="example", held_out=()) -> set[int]:
    split = splits.parse_split(expression, field="train_split")
    return set(splits.members(found, split, by=by, held_out=held_out).tolist())


def test_ranges_share_out_a_part():
    found = examples()
    pieces = [members(found, f"train[{low}%:{high}%]") for low, high in ((0, 70), (70, 85.5), (85.5, 100))]
    assert [len(piece) for piece in pieces] == pytest.approx([700, 155, 145], abs=45)
    assert set().union(*pieces) == set(range(1000))
    assert sum(map(len, pieces)) == 1000
    assert members(found, "train") == set(range(1000))


def test_a_place_depends_on_the_name_alone():
    few, many = members(examples(500), "train[:30%]"), members(examples(1000), "train[:30%]")
    assert few == {i for i in many if i < 500}


def test_parts_of_the_source():
    found = examples(parts={"test": np.arange(900, 1000), "extra": np.arange(0, 10)})
    assert members(found, "test") == set(range(900, 1000))
    assert members(found, "train") == set(range(10, 900)), "all that is in no part"
    assert members(found, "test[:50%]") | members(found, "test[50%:]") == set(range(900, 1000))
    with pytest.raises(ValueError, match="expected a part of the source, one of 'train', 'test', 'extra', got 'tset'"):
        members(found, "tset")


def test_groups_are_held_out_and_not_cut():
    found = examples()
    assert members(found, "groups(b, d)") == {i for i in range(1000) if i % 4 in (1, 3)}
    assert members(found, "train", held_out=("b", "d")) == {i for i in range(1000) if i % 4 in (0, 2)}
    many = examples(groups=[f"g{i}" for i in range(50)])
    low, high = members(many, "train[:50%]", by="group"), members(many, "train[50%:]", by="group")
    assert not {i % 50 for i in low} & {i % 50 for i in high}
    assert low
    assert high
    assert len(low) + len(high) == 1000
    with pytest.raises(ValueError, match="expected a group, one of a, b, c, d, got 'e'"):
        members(found, "groups(e)")
    with pytest.raises(ValueError, match=r"expected a source that knows groups; write data.pattern with \{group\}"):
        members(examples(groups=None), "groups(a)")


@pytest.mark.parametrize(
    "expression", ["", "train[90%:10%]", "train[:101%]", "groups()", "train[0.5]", "groups(a", "a b"]
)
def test_malformed(expression):
    with pytest.raises(ValueError, match=r"data.val_split: expected a part such as 'train', .* got"):
        splits.parse_split(expression, field="val_split")


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("train[:90%]", "train[89%:]", "a range of 'train'"),
        ("test", "test[:1%]", "a range of 'test'"),
        ("groups(a, b)", "groups(b)", "the group 'b'"),
    ],
)
def test_overlaps_are_refused(one, other, shared):
    parsed = {name: splits.parse_split(text, field=name) for name, text in (("train_split", one), ("val_split", other))}
    with pytest.raises(ValueError, match=f"data.val_split: .* no example of data.train_split, but both have {shared}"):
        splits.check_disjoint(parsed)


def test_disjoint_splits_are_fine():
    texts = dict(train_split="train[:90%]", val_split="train[90%:]", test_split="test")
    splits.check_disjoint({name: splits.parse_split(text, field=name) for name, text in texts.items()})
