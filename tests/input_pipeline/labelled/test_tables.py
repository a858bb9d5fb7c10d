"""Tables: which columns are inputs, which labels, and which rows are bad."""

import made_sources
import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from input_pipeline.labelled.examples import Examples
from input_pipeline.labelled.sources import open_source

pytestmark = pytest.mark.fast


def opened(path, *lines: str, **fields) -> Examples:
    (path / "a.csv").write_text("\n".join(lines) + "\n")
    given = dict(made_sources.TABLES, source="csv", files=(f"{path}/*.csv",), max_bad=0.9)
    return open_source(made_sources.data({**given, **fields}, path))


def inputs(found: Examples) -> list:
    return found.reader.read(np.arange(len(found))).tolist()


def test_all_other_columns_are_inputs(tmp_path):
    found = opened(tmp_path, "a,label,b,who", "1,x,2.5,g", "3,y,4,h", group_field="who")
    assert inputs(found) == [[1, 2.5], [3, 4]]
    assert (found.classes, found.labels.tolist(), found.groups.tolist()) == (("x", "y"), [0, 1], ["g", "h"])
    assert inputs(opened(tmp_path, "id,a,b,label", "x.csv#0,1,2,x", "x.csv#1,3,4,y")) == [[1, 2], [3, 4]]
    assert inputs(opened(tmp_path, "id,a,label", "5,1,x", "6,3,y")) == [[5, 1], [6, 3]], "numbers may be an input"
    chosen = opened(tmp_path, "a,label,b,who", "1,x,2.5,g", "3,y,4,h", columns=("b", "a"))
    assert inputs(chosen) == [[2.5, 1], [4, 3]]


def test_rows_with_empty_cells_are_bad(tmp_path):
    lines = ("a,b,label,who", "1,1,x,g", ",2,x,g", "3,inf,y,g", "4,4,,g", "5,5,y,", "6,6,y,g")
    found = opened(tmp_path, *lines, group_field="who")
    assert inputs(found) == [[1, 1], [6, 6]]
    assert found.labels.tolist() == [0, 1]
    assert found.bad == (
        "a.csv#000000001: column 'a' is empty or not finite",
        "a.csv#000000002: column 'b' is empty or not finite",
        "a.csv#000000003: column 'label' is empty",
        "a.csv#000000004: column 'who' is empty",
    )
    with pytest.raises(
        ValueError, match=r"data.max_bad: expected at most 1% .* got 4 of 6: a.csv#000000001: column 'a'"
    ):
        opened(tmp_path, *lines, group_field="who", max_bad=0.01)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "2"], ("2", "9", "10")),
        (["b", "10", "a"], ("10", "a", "b")),
        (["True", "False", "True"], ("False", "True")),
        (["1.5", "-1.5", "0"], ("-1.5", "0.0", "1.5")),
    ],
)
def test_order_of_classes(tmp_path, labels, classes):
    rows = [f"{i},{i},{label}" for i, label in enumerate(labels)]
    found = opened(tmp_path, "a,b,label", *rows, num_classes=len(classes))
    assert found.classes == classes
    assert [found.classes[i] for i in found.labels] == [{"0": "0.0"}.get(label, label) for label in labels]


def test_written_numbers_in_parquet_are_in_order_too(tmp_path):
    parquet.write_table(pyarrow.table({"a": [1, 2, 3], "label": ["10", "9", None]}), tmp_path / "a.parquet")
    fields = dict(made_sources.TABLES, source="parquet", files=(f"{tmp_path}/*.parquet",), shape=(1,), max_bad=0.5)
    found = open_source(made_sources.data(fields, tmp_path))
    assert (found.classes, found.labels.tolist(), len(found.bad)) == (("9", "10"), [1, 0], 1)


def test_numbers_to_predict(tmp_path):
    lines = ("a,y,z", "1,0.5,7", "2,,8", "3,2.5,9")
    numbers = dict(labels="numbers", num_classes=0, shape=(1,))
    one = opened(tmp_path, *lines, **numbers, num_targets=1, label_fields=("y",), columns=("a",))
    assert (one.labels.dtype, one.labels.tolist(), one.classes) == (np.float32, [[0.5], [2.5]], ())
    two = opened(tmp_path, *lines, **numbers, num_targets=2, label_fields=("z", "y"))
    assert (inputs(two), two.labels.tolist()) == ([[1], [3]], [[7, 0.5], [9, 2.5]])
    assert two.bad == ("a.csv#000000001: column 'y' is empty or not finite",)


def test_several_classes_at_once(tmp_path):
    lines = ("a,rain,wind", "1,0,1", "2,1,1")
    several = dict(labels="classes", num_classes=2, label_fields=("rain", "wind"), shape=(1,))
    found = opened(tmp_path, *lines, **several)
    assert (found.classes, found.labels.tolist()) == (("rain", "wind"), [[0, 1], [1, 1]])
    with pytest.raises(ValueError, match=r"data.labels: expected 0 or 1 for each class, got \[0.0, 2.0\] in a.csv#0"):
        opened(tmp_path, "a,rain,wind", "1,0,2", "2,1,1", **several)


def test_files_follow_each_other(tmp_path):
    (tmp_path / "b.csv").write_text("a,b,label\n5,6,x\n")
    found = opened(tmp_path, "a,b,label", "1,2,x", "3.5,4,y")
    assert inputs(found) == [[1, 2], [3.5, 4], [5, 6]]
    assert list(found.names) == ["a.csv#000000000", "a.csv#000000001", "b.csv#000000000"]
    (tmp_path / "b.csv").write_text("a,c,label\n5,6,x\n")
    with pytest.raises(ValueError, match=r"expected the columns of .*a.csv in .*b.csv, got a, c, label"):
        opened(tmp_path, "a,b,label", "1,2,x")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"label_fields": ("kind",)}, "data: expected a column, one of a, b, label, got 'kind'; write another name in"),
        ({"columns": ("a", "label")}, "data.columns: expected numbers, but column 'label' holds string"),
        ({"num_classes": 3}, "data.num_classes: expected 2, the classes that there are: x, y; got 3"),
        ({"label_fields": ("a", "b")}, r"data.label_fields: expected 1 for labels='class' and source='csv', got \('a'"),
        (
            {"labels": "numbers", "num_targets": 1},
            "data.label_fields: expected numbers, but column 'label' holds string",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path, fields, expected):
    with pytest.raises(ValueError, match=expected):
        opened(tmp_path, "a,b,label", "1,2,x", "3,4,y", **fields)
