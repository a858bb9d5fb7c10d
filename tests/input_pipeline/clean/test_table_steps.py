"""Steps of tables: what cells mean, which rows and columns stay, and an entry for whatever is lost."""

import datetime
import math

import pytest

from input_pipeline.clean.record import CHANGED, REMOVED, Record
from input_pipeline.clean.steps import cells
from input_pipeline.clean.steps.table import TABLE
from input_pipeline.transforms.parse import read

pytestmark = pytest.mark.fast

ROWS = (
    {"age": "31", "pay": "1,200", "sex": " male ", "label": "x"},
    {"age": "?", "pay": "$3.5k", "sex": "NA", "label": "y"},
    {"age": "", "pay": " n/a ", "sex": None, "label": None},
    {"age": math.inf, "pay": math.nan, "sex": 'a "b"\n c', "label": "  "},
)


def rows(*fields):
    return [Record(f"t.csv#{i}", fields=each) for i, each in enumerate(fields)]


def done(line, *fields):
    """The cells that are left of each row, and (row, rule, action) of each entry."""
    records, entries = rows(*fields), []
    for step in read(line, TABLE, field="steps"):
        records, more = step(records)
        entries += more
    return [dict(record.fields) for record in records], [(each.id[6:], each.rule, each.action) for each in entries]


@pytest.mark.parametrize(
    ("cell", "decimal", "number"),
    [
        ("12", ".", 12),
        (" -1.5e3 ", ".", -1500),
        ("\u22127", ".", -7),
        ("+.5", ".", 0.5),
        ("5.", ".", 5),
        ("1,234,567.5", ".", 1234567.5),
        ("1 234\u00a0567", ".", None),  # one separator alone
        ("1\u202f234\u202f567", ".", 1234567),
        ("1'234", ".", 1234),
        ("1_234", ".", 1234),
        ("12,34", ".", None),
        ("1,2345", ".", None),
        ("0,123", ".", None),
        ("1.234.567,5", ",", 1234567.5),
        ("1.5", ",", None),
        ("1,5", ",", 1.5),
        ("(1,200)", ".", -1200),
        ("(1,200", ".", None),
        ("-$3.5k", ".", -3500),
        ("€ 12 M", ".", 12_000_000),
        ("0.1%", ".", 0.001),
        ("2.3bn", ".", 2.3e9),
        ("1.1k", ".", 1100.0),
        ("12 apples", ".", None),
        ("", ".", None),
        ("nan", ".", None),
        ("inf", ".", None),
        ("1e999", ".", None),
        ("0x10", ".", None),
        ("9" * 500, ".", None),
        ("\u0661\u0662", ".", None),  # digits of another script
        (True, ".", 1),
        (3, ".", 3),
        (10**400, ".", None),
        (math.nan, ".", None),
        (None, ".", None),
        (str(2**63), ".", float(2**63)),
    ],
)
def test_numbers(cell, decimal, number):
    assert cells.number(cell, decimal) == number


def test_dates_are_days():
    assert cells.days("1970-01-02") == 1
    assert cells.days("1969-12-31T12:00:00") == -0.5
    assert cells.days("1970-01-01T02:00:00+02:00") == 0
    assert (
        cells.days("31/12/1999", ("%Y-%m-%d", "%d/%m/%Y"))
        == (datetime.date(1999, 12, 31) - datetime.date(1970, 1, 1)).days
    )
    assert cells.days("31/12/1999") is None
    assert cells.days("30/02/1999", ("%d/%m/%Y",)) is None
    assert cells.days("0001-01-01T00:00:00+14:00") < -719_000
    assert cells.days("1" * 10_000) is None
    assert cells.days(None) is None


def test_booleans():
    assert [cells.boolean(each) for each in ("Yes", "T", 1, 1.0, True, "on")] == [True] * 6
    assert [cells.boolean(each) for each in ("no", "F", 0, "off", False)] == [False] * 5
    assert [cells.boolean(each) for each in ("maybe", "", None, 2)] == [None] * 4


def test_missing_values_have_many_spellings():
    found, entries = done("missing", *ROWS)
    assert [list(each.values()) for each in found] == [
        ["31", "1,200", " male ", "x"],
        [None, "$3.5k", None, "y"],
        [None, None, None, None],
        [None, None, 'a "b"\n c', None],
    ]
    assert entries == [(row, "missing.spelling", CHANGED) for row in ("1", "2", "3")]
    assert done("missing(('none at all',))", {"a": "none at all", "b": "NA"})[0] == [{"a": None, "b": "NA"}]


def test_types_as_declared():
    line = "trim|missing|types(number=('age', 'pay'), boolean='ok', date='born', category='zip')"
    found, entries = done(
        line,
        {"age": "31", "pay": "1,200", "ok": "yes", "born": "1970-01-11", "zip": 1234, "other": "7"},
        {"age": "old", "pay": "?", "ok": "perhaps", "born": "soon", "zip": 1234.0, "other": "8"},
    )
    assert found == [
        {"age": 31.0, "pay": 1200.0, "ok": True, "born": 10.0, "zip": "1234", "other": "7"},
        {"age": None, "pay": None, "ok": None, "born": None, "zip": "1234", "other": "8"},
    ]
    assert entries == [("1", "missing.spelling", CHANGED), ("1", "types.unreadable", CHANGED)]
    (step,) = read("types(number='a')", TABLE, field="steps")
    (entry,) = step(rows({"a": "old\nman", "b": 1})).entries
    assert (entry.value, entry.excerpt) == (1, "a: 'old\\nman'")


def test_rows_without_a_label_go():
    found, entries = done("missing|drop_rows('label')", *ROWS, {"age": 3})
    assert [each["label"] for each in found] == ["x", "y"]
    assert [entry for entry in entries if entry[2] == REMOVED] == [
        ("2", "drop_rows.missing", REMOVED),
        ("3", "drop_rows.missing", REMOVED),
        ("4", "drop_rows.no_column", REMOVED),
    ]
    found, entries = done("drop_rows(max_missing=0.5)", {"a": 1, "b": None}, {"a": None, "b": ""}, {})
    assert found == [{"a": 1, "b": None}, {}]
    assert entries == [("1", "drop_rows.max_missing", REMOVED)]


def test_columns_are_kept_dropped_and_renamed():
    row = {"a": 1, "b": 2, "c": 3}
    assert list(done("keep(('c', 'a', 'z'))", row)[0][0].items()) == [("c", 3), ("a", 1), ("z", None)]
    assert done("drop(('a', 'z'))", row) == ([{"b": 2, "c": 3}], [])
    assert list(done("rename('a', 'x')", row)[0][0].items()) == [("x", 1), ("b", 2), ("c", 3)]
    assert done("rename('a', 'b')", row, {"a": 5}) == ([{"b": 5}], [("0", "rename.taken", REMOVED)])


def test_impossible_numbers_are_missing():
    found, entries = done("within('age', 0, 120)", {"age": -1}, {"age": 120}, {"age": 999.0}, {"age": "?"}, {})
    assert found == [{"age": None}, {"age": 120}, {"age": None}, {"age": "?"}, {}]
    assert entries == [("0", "within.low", CHANGED), ("2", "within.high", CHANGED)]


LINES = (
    *("trim", "missing", "types(number=('age', 'pay'))", "types(boolean='age', date='pay')", "within('age', 0, 30)"),
    *("drop_rows('label')", "drop_rows(max_missing=0.2)", "keep('age')", "drop('age')", "rename('age', 'sex')"),
)


@pytest.mark.parametrize("line", LINES)
def test_a_row_depends_on_itself_alone(line):
    (step,) = read(line, TABLE, field="steps")
    records = rows(*ROWS, {}, {"age": 10**30, "sex": True}, {"sex": "x" * 10_000})
    whole, ones = step(records), [step([record]) for record in records]
    assert repr(whole.records) == repr([each for one in ones for each in one.records])
    assert repr(whole.entries) == repr([each for one in ones for each in one.entries])
    assert step([]) == ([], [])
    assert all(len(entry.excerpt) <= 200 and "\n" not in entry.excerpt for entry in whole.entries)
    assert {line.split("(")[0] for line in LINES} == set(TABLE)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("types(number='a', date=('b', 'a'))", "several for 'a'"),
        ("types(decimal=';')", "decimal: expected one of"),
        ("drop_rows(max_missing=2.0)", "max_missing: expected a share from 0 to 1, got 2.0"),
        ("within('a', 3, 2)", "expected low <= high"),
        ("missing(3)", "spellings is int 3"),
        ("type", "expected one of trim, missing, types"),
    ],
)
def test_mistakes_are_told(line, message):
    with pytest.raises(ValueError, match=message):
        read(line, TABLE, field="steps")
