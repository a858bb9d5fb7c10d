"""Before a run a few rows go through the transforms: what does not suit them is told by its field and its record."""

import sys
import types

import made_sources
import numpy as np
import pytest

from input_pipeline.labelled.examples import Examples
from input_pipeline.labelled.rows import Rows
from input_pipeline.labelled.sources import open_source

pytestmark = pytest.mark.fast


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """21 pictures of 4 x 4, but for the last of 3 x 3 -> a function from a line of transforms to (rows, operations)."""
    module = types.ModuleType("my_pictures")
    module.mine = Examples.of([made_sources.png(i, size=3 if i == 20 else 4) for i in range(21)], [0, 1, 1] * 7)
    monkeypatch.setitem(sys.modules, "my_pictures", module)

    def made(line):
        given = made_sources.PICTURES | dict(transforms=line, source="my_pictures:mine")
        data = made_sources.data(given, tmp_path)
        return Rows(open_source(data), np.arange(21), data.shape), data.operations("transforms").rows

    return made


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "decode|random_crop(4)|normalize",
            r"data.transforms: .*expected pictures of 4 or more pixels a side, got 3 x 3.*\(tried on example-000020\)",
        ),
        ("decode|normalize", r"data.shape: expected \(3, 3, 3\), the shape of example-000020 after data.transforms"),
        ("decode|resize(4)", r"data.transforms: expected numbers \(float32\) at its end, got uint8; write norm"),
        ("decode|resize(8)|normalize", r"data.shape: expected \(8, 8, 3\), the shape of example-000000 after"),
    ],
)
def test_what_does_not_suit_a_row(pictures, line, says):
    rows, operations = pictures(line)
    with pytest.raises(ValueError, match=says):
        rows.try_out(operations, field="data.transforms")
