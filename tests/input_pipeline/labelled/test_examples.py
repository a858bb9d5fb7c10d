"""Examples in memory, as a notebook gives them, and what names of files tell."""

import sys
import types

import made_sources
import numpy as np
import pytest

from input_pipeline.labelled import patterns
from input_pipeline.labelled.examples import Examples
from input_pipeline.labelled.labels import in_order, numbered
from input_pipeline.labelled.sources import open_source

pytestmark = pytest.mark.fast


@pytest.fixture
def module(monkeypatch):
    made = types.ModuleType("my_notebook")
    monkeypatch.setitem(sys.modules, "my_notebook", made)
    return made


def test_arrays_of_a_notebook(module, tmp_path):
    pictures = np.arange(4 * 12, dtype=np.uint8).reshape(4, 2, 2, 3)
    module.mine = Examples.of(pictures, [1, 0, 1, 0], classes=("cat", "dog"), parts={"test": [3]})
    fields = dict(made_sources.PICTURES, shape=(2, 2, 3), transforms="normalize")
    found = open_source(made_sources.data(fields, tmp_path, source="my_notebook:mine"))
    np.testing.assert_array_equal(found.reader.read(np.array([3, 1])), pictures[[3, 1]])
    assert (found.classes, found.labels.tolist(), found.labels.dtype) == (("cat", "dog"), [1, 0, 1, 0], np.int32)
    assert (found.names[2], found.parts["test"].tolist()) == ("example-000002", [3])
    module.made = lambda data, *, progress: Examples.of(pictures[:2], ["b", "a"])
    assert open_source(made_sources.data(fields, tmp_path, source="my_notebook:made")).classes == ("a", "b")


def test_labels_that_are_not_finite_are_told(module, tmp_path):
    pictures = np.zeros((3, 2, 2, 3), np.uint8)
    module.mine = Examples.of(pictures, [0.5, np.nan, np.inf])
    fields = dict(made_sources.PICTURES, shape=(2, 2, 3), transforms="normalize", labels="numbers", num_targets=1)
    with pytest.raises(ValueError, match=r"expected finite numbers, got \[nan\] in example-000001, and 2 such in all"):
        open_source(made_sources.data(fields, tmp_path, source="my_notebook:mine"))


def test_files_in_memory_are_looked_through(module, tmp_path):
    raws = [made_sources.png(i) for i in range(3)] + [b"", made_sources.png(4)[:50]]
    module.mine = Examples.of(raws, ["x", "y", "x", "y", "y"], groups=[*"aabbc"])
    found = open_source(made_sources.data(made_sources.PICTURES, tmp_path, source="my_notebook:mine", max_bad=0.5))
    assert found.reader.read(np.arange(3)) == raws[:3]
    assert found.groups.tolist() == ["a", "a", "b"]
    assert [line.split(":")[0] for line in found.bad] == ["example-000003", "example-000004"]


def test_kinds_of_labels():
    inputs = np.zeros((2, 3))
    assert Examples.of(inputs, [0.5, 1.5]).labels.tolist() == [[0.5], [1.5]]
    assert Examples.of(inputs, [[1, 0], [1, 1]]).labels.dtype == np.float32
    assert Examples.of(inputs, [True, False]).labels.tolist() == [1, 0]
    assert Examples.of(inputs, [0, 1]).reader.read(np.array([0])).dtype == np.float32
    for field, wrong in (("inputs", {"inputs": inputs[:1]}), ("names", {"names": ["a"]}), ("groups", {"groups": "a"})):
        with pytest.raises(ValueError, match=f"{field}: expected 2, as many as labels, got 1"):
            Examples.of(**{"inputs": inputs, "labels": [0, 1], **wrong})


def test_contents_tell_examples_apart():
    members = np.arange(2)
    prints = {
        Examples.of(inputs, [0, 1]).fingerprint(members)
        for inputs in (np.zeros((2, 3)), np.eye(2, 3), [b"a", b"b"], [b"a", b"c"], [np.zeros(2), np.zeros(3)])
    }
    assert len(prints) == 5


def test_order_of_classes():
    assert in_order({"10", "9", "2"}) == ["2", "9", "10"]
    assert in_order({"01", "1", "0"}) == ["0", "01", "1"]
    assert in_order({"a", "B", "10", "9"}) == ["10", "9", "B", "a"]
    assert in_order({"²", "1"}) == ["1", "²"], "a digit that is no number"
    assert in_order({10, 9, 2.5}) == [2.5, 9, 10]
    numbers, names = numbered(["b", None, "a", "", "b"])
    assert (numbers.tolist(), names) == ([1, 0, 0, 0, 1], ("a", "b"))


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("{label}/{name}", "pets/cats/a.b.jpg", {"label": "cats", "name": "a.b.jpg"}),
        ("{label}_{group}_{number}.wav", "x/7_theo_3.wav", {"label": "7", "group": "theo", "number": "3"}),
        ("{label}_{group}_{number}.wav", "7_theo_3_b.wav", {"label": "7", "group": "theo", "number": "3_b"}),
        ("{group}/{label}-{n}.png", "ana/up (1)-2.png", {"group": "ana", "label": "up (1)", "n": "2"}),
        ("a+b.{label}", "a+b.c", {"label": "c"}),
    ],
)
def test_patterns(pattern, name, expected):
    assert patterns.reader(pattern, wanted="label")(name) == expected


@pytest.mark.parametrize("name", ["theo_3.wav", "7_theo_3.mp3", "7_theo_.wav", "7_theo_3.wav/x"])
def test_a_name_that_does_not_fit(name):
    with pytest.raises(ValueError, match=r"data.pattern: expected names such as '\{label\}_.*wav', got '.*'; write a"):
        patterns.reader("{label}_{group}_{number}.wav", wanted="label")(name)


@pytest.mark.parametrize("pattern", ["{name}.wav", "{label}_{label}.wav", "label.wav"])
def test_a_pattern_that_tells_no_class(pattern):
    with pytest.raises(ValueError, match=r"data.pattern: expected \{label\} in it, and no place twice, got"):
        patterns.reader(pattern, wanted="label")


@pytest.mark.fast
@pytest.mark.parametrize(
    "parts", [{"val": [0, 1], "test": [1, 2]}, {"test": [3]}, {"test": [-1]}, {"test": [True, False]}]
)
def test_parts_that_are_none(parts):
    with pytest.raises(ValueError, match="parts: expected numbers of examples from 0 to 2, none of them twice"):
        Examples.of(np.zeros((3, 2)), [0, 1, 0], parts=parts)


@pytest.mark.fast
def test_labels_of_every_kind():
    for names in (["cat", "dog", "cat"], np.array(["cat", "dog", "cat"], object), np.array([b"cat", b"dog", b"cat"])):
        found = Examples.of(np.zeros((3, 2)), names)
        assert found.classes == ("cat", "dog")
        assert found.labels.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="labels: expected numbers of classes, got 4294967297"):
        Examples.of(np.zeros((2, 2)), np.array([0, 2**32 + 1]))
    with pytest.raises(ValueError, match="classes: expected none beside labels that are names"):
        Examples.of(np.zeros((2, 2)), ["cat", "dog"], classes=("dog", "cat"))
