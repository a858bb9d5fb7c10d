"""What tables learn from training rows: from them alone, the same however they come, and clear about bad ones."""

import csv
import json
import math

import made_sources
import numpy as np
import pytest
from pyarrow import parquet

from input_pipeline.clean import pipeline, tabular
from input_pipeline.clean.collect.spec import Collect
from input_pipeline.clean.engine.local import Local
from input_pipeline.clean.record import CHANGED, REMOVED, Record
from input_pipeline.clean.spec import Clean, Output, Split
from input_pipeline.clean.tabular import blocks, summaries
from input_pipeline.labelled.sources import open_source

pytestmark = pytest.mark.fast

NUM = 60
# A line for each operation, and what has to stand before it for the rows below.
LINES = {
    "infer_types": "infer_types",
    "drop_columns": "infer_types|drop_columns(0.4)",
    "impute": "infer_types|impute('iterative', indicator=True)|impute('mode', indicator=True)",
    "clip_outliers": "infer_types|clip_outliers('mad')",
    "remove_outliers": "infer_types|remove_outliers",
    "flag_outliers": "infer_types|flag_outliers('zscore')",
    "one_hot": "infer_types|one_hot(rare=0.1)",
    "ordinal": "infer_types|ordinal(rare=0.1)",
    "standardize": "infer_types|standardize('robust')",
}
WHOLE = "infer_types|drop_columns|impute('median', indicator=True)|impute('mode')|clip_outliers|one_hot(rare=0.1)"


def row(i, **others):
    """Cells as CSV has them, with holes, outliers, rare categories and a column that is all but empty."""
    draw = np.random.default_rng(i)
    cells = {
        "age": None if draw.random() < 0.2 else str(draw.integers(18, 80)),
        "pay": "1,000,000" if draw.random() < 0.1 else f"{draw.normal(3000, 400):.2f}",
        "born": f"19{draw.integers(50, 99)}-05-{draw.integers(1, 28):02d}",
        "member": draw.choice(["yes", "no"]),
        "town": draw.choice(["Ulm", "Bonn", "Köln", None, "Trier"], p=[0.4, 0.3, 0.15, 0.1, 0.05]),
        "note": "seldom" if draw.random() < 0.05 else None,
        "same": "7",
        "label": draw.choice(["good", "bad"]),
    }
    return Record(f"people.csv#{i}", fields={**cells, **others})


ROWS = [row(i) for i in range(NUM)]
TEST = [row(i) for i in range(NUM, 2 * NUM)]


def fit(line, *parts, untouched=("label",)):
    return tabular.read(line, untouched=untouched).fit(lambda: iter(parts))


def simple(*cells, name="a"):
    """Rows of one column."""
    return [Record(f"t#{i}", fields={name: cell}) for i, cell in enumerate(cells)]


@pytest.mark.parametrize("name", LINES)
def test_every_operation(name):
    assert set(LINES) == set(tabular.OPERATIONS)
    found = fit(LINES[name], ROWS)
    assert found == fit(LINES[name], *([each] for each in ROWS)), "where blocks are cut"
    assert found == fit(LINES[name], [ROWS[0], *ROWS[:0:-1]]), "the order of rows"
    text = found.as_json()
    assert tabular.from_json(text) == found
    assert tabular.from_json(text).as_json() == text
    kept, entries = found(TEST)
    ones = [found([each]) for each in TEST]
    assert [each for one in ones for each in one.records] == kept, "a row depends on itself alone"
    by_row = sorted((each for one in ones for each in one.entries), key=str)
    assert by_row == sorted(entries, key=str)
    assert found([]) == ([], [])
    removed = {each.id for each in entries if each.action == REMOVED}
    assert [each.id for each in kept] == [each.id for each in TEST if each.id not in removed]
    labels = {each.id: each.fields["label"] for each in TEST}
    assert all(each.fields["label"] == labels[each.id] for each in kept)
    assert all(len(each.excerpt) <= 200 for each in entries)
    json.dumps([each.fields for each in kept], allow_nan=False)


def test_rows_of_other_splits_change_nothing():
    everything = f"{WHOLE}|standardize"
    found = fit(everything, ROWS).as_json()
    strange = [row(i, age="1e300", pay="x", town="Rome", extra="!", same="8") for i in range(500)]
    fitted = tabular.read(everything, untouched=("label",)).fit(lambda: [ROWS])
    kept, entries = fitted(strange)
    assert len(kept) == 500
    assert fitted.as_json() == found
    rules = {entry.rule for entry in entries}
    assert {"columns.unknown", "infer_types.unreadable", "one_hot.other", "clip_outliers.iqr"} <= rules
    assert fit(everything, [*ROWS, strange[0]]).as_json() != found, "a test that cannot fail"


def test_a_whole_line():
    found = fit(f"{WHOLE}|standardize", ROWS)
    kept, entries = found(ROWS)
    assert list(kept[0].fields) == [
        *("age", "pay", "born", "member", "age_missing", "town=Bonn", "town=Köln", "town=Ulm", "town=(rare)", "label")
    ]
    table = np.array([[cell for name, cell in each.fields.items() if name != "label"] for each in kept], float)
    assert np.isfinite(table).all()
    np.testing.assert_allclose(table[:, [0, 1, 2]].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(table[:, [0, 1, 2]].std(axis=0), 1)
    assert set(np.unique(table[:, 3:]).tolist()) == {0.0, 1.0}, "what says yes or no is not scaled"
    assert [(each.id, each.rule, each.value) for each in found.entries] == [
        ("column 'note'", "drop_columns.missing", pytest.approx(0.95, abs=0.05)),
        ("column 'same'", "drop_columns.constant", ""),
    ]
    holes = [each.id for each in ROWS if each.fields["age"] is None]
    filled = [each for each in entries if each.rule == "impute.median"]
    assert [each.id for each in filled] == holes
    assert all((each.action, each.value) == (CHANGED, 1) for each in filled)
    clipped = [each for each in entries if each.rule == "clip_outliers.iqr"]
    assert all(each.value == 1e6 and 3000 < each.threshold < 6000 for each in clipped)
    assert len(clipped) == sum(each.fields["pay"] == "1,000,000" for each in ROWS) > 2


def test_rows_can_be_dropped_for_missing_cells():
    (kept, entries) = fit("infer_types|impute('drop', columns=('age', 'town'))", ROWS)(ROWS)
    gone = [each for each in ROWS if each.fields["age"] is None or each.fields["town"] is None]
    assert [each.id for each in entries] == [each.id for each in gone]
    assert len(kept) + len(gone) == NUM
    assert {(each.rule, each.action) for each in entries} == {("impute.drop", REMOVED)}
    assert entries[0].excerpt.startswith("missing: ")


def test_types_are_inferred_from_most_values():
    cells = {
        "number": ["1", "2.5", "1,000", "12%"],
        "boolean": ["yes", "No", "TRUE", "f"],
        "date": ["2020-01-01", "2021-12-31T10:00", "1999-01-01", "2000-02-29"],
        "category": ["a", "b", "2020-01-01", "7"],
        "zeros": ["0", "1", "0", "1"],
        "id": ["12345678901234567891", "12345678901234567892", "12345678901234567893", "12345678901234567894"],
        "zip": [10115, 10117, None, 80331],
    }
    rows = [Record(f"t#{i}", fields={name: column[i] for name, column in cells.items()}) for i in range(4)]
    found = fit("infer_types(category='zip')", rows, untouched=()).operations[0]
    assert (found.number, found.boolean, found.date) == (("number", "zeros"), ("boolean",), ("date",))
    assert found.category == ("zip", "category", "id")
    fields = fit("infer_types(category='zip')", rows, untouched=())(rows).records[2].fields
    assert fields["id"] == cells["id"][2]
    assert (fields["number"], fields["boolean"], fields["zip"]) == (1000.0, 1.0, None)
    most = simple(*map(str, range(20)), "many")
    kept, entries = fit("infer_types", most, untouched=())(most)
    assert kept[-1].fields == {"a": None}
    assert [(each.id, each.rule, each.excerpt) for each in entries] == [("t#20", "infer_types.unreadable", "a: 'many'")]
    assert fit("infer_types(share=1.0)", most, untouched=())(most).records[3].fields == {"a": "3"}


@pytest.mark.parametrize(
    ("line", "rows", "message"),
    [
        ("standardize", [], "expected training rows to fit, got none"),
        ("impute('mean')", simple(None, math.nan), r"fitted: Impute\(.*column 'a' has no value in the training rows"),
        ("impute('mode')", simple(None, math.nan), "so it has no mode; write drop_columns before impute"),
        ("impute('drop')|standardize", simple(None, None), "the operations before removed all of them"),
        ("standardize", simple(3, "x"), r"one type in column 'a', got text in t#1 and a number in t#0"),
        ("one_hot(columns='b')", simple("x"), "columns: expected columns of text, of which there are 'a'; got 'b'"),
        ("standardize(columns='a')", simple("x"), "of which there are none; got 'a'"),
        ("impute('mean', columns='a')", simple("x"), "expected columns of numbers"),
        ("one_hot(max_categories=2)", simple("x", "y", "z"), "at most 2 categories in column 'a', got 3"),
        ("one_hot", simple("x y", "x\ny"), r"expected a new column, but 'a=x y' is there already"),
        ("best", simple(1), "expected one of infer_types, drop_columns, impute"),
        ("impute('modus')", simple(1), "strategy: expected one of drop, constant"),
        ("impute('iterative', max_iter=0)", simple(1), "max_iter: expected 1 or more, got 0"),
        ("clip_outliers('sigma')", simple(1), "rule: expected one of zscore, iqr, mad"),
        ("clip_outliers('iqr', -1)", simple(1), "limit: expected a number above 0"),
        ("standardize('z')", simple(1), "rule: expected one of std, robust, minmax"),
        ("one_hot(rare=1)", simple(1), "rare: expected a share"),
        ("one_hot(max_categories=0)", simple(1), "max_categories: expected 1 or more, got 0"),
        ("ordinal(('low', 'high'))", simple("low"), "order: expected columns with it"),
        ("drop_columns(2.0)", simple(1), "max_missing: expected a share from 0 to 1"),
        ("infer_types(share=0.0)", simple(1), "share: expected a share above 0"),
        ("infer_types(number='a', date='a')", simple(1), "several for 'a'"),
    ],
)
def test_mistakes_are_told_in_one_line(line, rows, message):
    with pytest.raises(ValueError, match=message) as caught:
        fit(line, rows, untouched=())
    assert "\n" not in str(caught.value)


def test_a_label_that_no_row_has():
    with pytest.raises(ValueError, match="untouched: expected a column, one of 'a', got 'label'"):
        fit("standardize", simple(1, 2))


def test_a_category_is_not_every_text(monkeypatch):
    monkeypatch.setattr(summaries, "MAX_DISTINCT", 10)
    with pytest.raises(ValueError, match="at most 10 values in column 'a', got more: it is no category"):
        fit("one_hot", simple(*map("t{}".format, range(11))), untouched=())


def test_new_columns_take_no_others_name():
    rows = [Record("t#0", fields={"a": "x", "a=x": 1.0})]
    with pytest.raises(ValueError, match="expected a new column, but 'a=x' is there already; write rename"):
        fit("one_hot", rows, untouched=())
    rows = [Record("t#0", fields={"a": "x", "a=x": "a label"})]
    with pytest.raises(ValueError, match="'a=x' is there already"):
        fit("one_hot", rows, untouched=("a=x",))
    rows = [Record("t#0", fields={"a": None, "a_missing": 1.0}), Record("t#1", fields={"a": 1.0})]
    with pytest.raises(ValueError, match="'a_missing' is there already"):
        fit("impute('mean', indicator=True)", rows, untouched=())


EVERYTHING = "drop_columns|impute('iterative')|impute('mode')|clip_outliers('mad')|one_hot|standardize"


@pytest.mark.parametrize("line", [EVERYTHING, EVERYTHING.replace("one_hot", "ordinal").replace("'mad'", "'zscore'")])
def test_one_row_and_columns_without_values(line):
    one = [Record("t#0", fields={"a": 1.5, "b": "x", "none": None, "nan": math.nan, "label": "y"})]
    found = fit(line.replace("drop_columns", "drop_columns(0.5, constant=False)"), one)
    cells = found(one).records[0].fields
    assert cells == {"a": 0.0, ("b=x" if "one_hot" in line else "b"): pytest.approx(0, abs=1), "label": "y"}
    assert [each.id for each in found.entries] == ["column 'none'", "column 'nan'"]
    assert list(fit(line, one)(one).records[0].fields) == ["label"], "one row is constant"


def test_constant_columns_are_not_divided_by_nothing():
    same = simple(*[0.1] * 50, 0.1)
    for rule in ("std", "robust", "minmax"):
        found = fit(f"standardize('{rule}')", same, untouched=())
        assert {each.fields["a"] for each in found(same).records} == {0.0}
        assert found(simple(5.1)).records[0].fields == {"a": 5.0}
    for rule in ("zscore", "iqr", "mad"):
        new = simple(5.0)
        assert fit(f"clip_outliers('{rule}')", same, untouched=())(new) == (new, [])


def test_cells_that_are_not_as_in_training():
    found = fit("impute('mean')", simple(1, 2, 3), untouched=())
    odd = simple(10**400, "many", math.inf, True, 2**60 + 1, "2", None, -math.inf)
    kept, entries = found(odd)
    assert [each.fields["a"] for each in kept] == [2, 2, 2, 1, 2.0**60, 2, 2, 2]
    lost = [each for each in entries if each.rule == "columns.not_a_float64"]
    assert [each.id for each in lost] == ["t#0", "t#1", "t#2", "t#4", "t#5", "t#7"]
    texts = fit("one_hot", simple("7", "x"), untouched=())
    assert texts(simple(7.0)).records[0].fields == {"a=7": 1.0, "a=x": 0.0}
    assert texts([Record("t#0", fields={})]).records[0].fields == {"a=7": 0.0, "a=x": 0.0}


def test_numbers_at_the_ends_of_float64():
    rows = simple(1e308, -1e308, 1.7e308, 5e-324, 0.0)
    found = fit("standardize", rows, untouched=())
    assert all(abs(each.fields["a"]) < 2 for each in found(rows).records)
    small = fit("standardize", simple(0.0, 1e-300), untouched=())
    kept, entries = small(simple(1e300))
    assert kept[0].fields == {"a": None}
    assert [each.rule for each in entries] == ["standardize.overflow"]
    line = [Record(f"t#{i}", fields={"a": float(i), "b": 2.0 * i}) for i in range(20)]
    predicted = fit("impute('iterative')", line, untouched=())
    far = [Record("t#0", fields={"a": 1e308, "b": None})]
    assert predicted(far).records[0].fields == {"a": 1e308, "b": 19.0}, "twice 1e308 is no float64"
    with pytest.raises(ValueError, match=r"fitted: Impute.*: expected numbers up to 1e\+100 for regression"):
        fit("impute('iterative')", [*line, *far], untouched=())


def test_ten_thousand_columns():
    draw = np.random.default_rng(0)
    table = np.where(draw.random((4, 10_000)) < 0.05, np.nan, draw.normal(size=(4, 10_000)))
    names = [f"f{i}" for i in range(10_000)]
    rows = [Record(f"t#{i}", fields=dict(zip(names, each, strict=True))) for i, each in enumerate(table.tolist())]
    found = fit("impute('constant', 1, True)|standardize", rows, untouched=())
    kept, entries = found(rows)
    assert len(kept[0].fields) == 10_000 + np.isnan(table).any(axis=0).sum()
    assert max(len(each.excerpt) for each in entries) <= 200
    with pytest.raises(ValueError, match=r"fitted: Impute.*: expected at most 200 columns of numbers, got 10000"):
        fit("impute('iterative')", rows, untouched=())


def test_bounded_memory_of_a_block():
    """Blocks come and go: no more than one is held while a mean is found."""
    alive = []

    def rows():
        for start in range(0, 1000, 100):
            part = simple(*range(start, start + 100))
            alive.append(part)
            yield part
            alive.remove(part)

    assert tabular.read("impute('mean')").fit(rows).operations[0].numbers == {"a": 499.5}
    assert not alive


STRANGE = [row(900, town='the "Old"\nTown, 1'), row(901, age="?", label=""), row(902, pay="n/a"), row(902, pay="n/a")]
PREPARED = "infer_types|drop_columns|impute('median')|impute('mode')|one_hot|standardize"


def write_csv(path, records):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([[*records[0].fields], *([*each.fields.values()] for each in records)])


def opened(path, source, files, num_features):
    given = dict(source=source, files=(str(files),), shape=(num_features,))
    return open_source(made_sources.data({**made_sources.TABLES, **given}, path))


def test_a_source_of_tables_opens_csv(tmp_path):
    found = fit(PREPARED, ROWS)(ROWS).records
    write_csv(tmp_path / "a.csv", found)
    examples = opened(tmp_path, "csv", tmp_path / "a.csv", len(found[0].fields) - 1)
    assert not examples.bad
    assert (len(examples), examples.classes) == (NUM, ("bad", "good"))


def test_a_whole_cleaning_gives_rows_to_train_on(tmp_path):
    write_csv(tmp_path / "people.csv", [*ROWS, *STRANGE, *TEST])
    spec = Clean(
        modality="table",
        files=(str(tmp_path / "people.csv"),),
        source=Collect(field=""),
        steps="missing|drop_rows('label')",
        fitted=PREPARED,
        untouched=("label",),
        split=Split(train=0.7, val=0.0, test=0.3),
        output=Output(format="parquet"),
        block_records=17,
        cache=str(tmp_path / "cache"),
    )
    with Local() as engine:
        manifest = pipeline.run(spec, tmp_path / "out", engine=engine)
    entries = [
        json.loads(line) for path in (tmp_path / "out/ledger").iterdir() for line in path.read_text().splitlines()
    ]
    rules = {(entry["id"].split("#")[-1], entry["rule"]) for entry in entries}
    assert {("61", "drop_rows.missing"), ("62", "missing.spelling"), ("column 'note'", "drop_columns.missing")} <= rules
    counts = {name: split["records"] for name, split in manifest["splits"].items()}
    assert sum(counts.values()) == 2 * NUM + 2, "one without a label, one that is there twice"
    train = parquet.read_table(tmp_path / "out/data").to_pylist()
    names = [name for name in train[0] if name not in ("id", "label")]
    examples = opened(tmp_path, "parquet", tmp_path / "out/data/train-*.parquet", len(names))
    assert not examples.bad
    assert (len(examples), examples.classes) == (counts["train"], ("bad", "good"))
    inputs_NF = examples.reader.read(np.arange(len(examples)))
    np.testing.assert_allclose(inputs_NF[:, :3].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(inputs_NF[:, :3].std(axis=0), 1, atol=1e-6)
    tested = opened(tmp_path, "parquet", tmp_path / "out/data/test-*.parquet", len(names))
    assert not tested.bad
    assert abs(tested.reader.read(np.arange(len(tested)))[:, :3].mean(axis=0)).min() > 1e-3, "fitted on others"


def test_a_file_of_another_format():
    with pytest.raises(ValueError, match="expected a fitted file of format 'tabular 1', got 'tabular 0'"):
        tabular.from_json('{"format": "tabular 0"}')


def test_columns_of_a_layout():
    rows = [Record("t#0", fields={"b": None, "a": True, "t": "x"}), Record("t#1", fields={"c": 1, "a": False})]
    assert blocks.layout([rows], ("t",), may_mix=False) == blocks.Layout(("b", "a", "c"), ("a",), (), ("t",))
