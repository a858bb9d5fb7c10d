"""Fitted operations against scikit-learn, scipy and numpy, to 1e-9, on tables with every kind of defect."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from sklearn import preprocessing
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, MissingIndicator, SimpleImputer

from input_pipeline.clean import tabular
from input_pipeline.clean.record import Record
from input_pipeline.clean.tabular import summaries

pytestmark = pytest.mark.fast

NUM_TRAIN = 150


def holes(x_NF, rate, seed):
    return np.where(np.random.default_rng(seed).random(x_NF.shape) < rate, np.nan, x_NF)


CANCER = holes(load_breast_cancer().data[:200, :8], 0.1, 0)
DIABETES = holes(load_diabetes(scaled=False).data[:200], 0.05, 1)
ROUND = holes(np.round(load_diabetes(scaled=False).data[:200, :6]), 0.05, 2)  # values that are met more than once
TABLES = {"cancer": CANCER, "diabetes": DIABETES, "round": ROUND}
COLOURS = np.random.default_rng(3).choice(["red", "green", "blue", "grey", "pink"], 200, p=[0.4, 0.3, 0.2, 0.07, 0.03])


def records(x_NF):
    return [
        Record(f"t#{i}", fields={f"f{j}": None if cell != cell else cell for j, cell in enumerate(row)})
        for i, row in enumerate(np.asarray(x_NF).tolist())
    ]


def numbers(found):
    return np.array([[np.nan if cell is None else cell for cell in each.fields.values()] for each in found.records])


def fitted(line, rows):
    return tabular.read(line).fit(lambda: [rows[:70], rows[70:]])


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    ("line", "reference"),
    [
        ("impute('mean')", SimpleImputer(strategy="mean")),
        ("impute('median')", SimpleImputer(strategy="median")),
        ("impute('mode')", SimpleImputer(strategy="most_frequent")),
        ("impute('constant', -1.5)", SimpleImputer(strategy="constant", fill_value=-1.5)),
        ("impute('median', indicator=True)", SimpleImputer(strategy="median", add_indicator=True)),
        ("impute('iterative')", IterativeImputer(random_state=0)),
        ("impute('iterative', max_iter=2)", IterativeImputer(random_state=0, max_iter=2)),
        ("standardize", preprocessing.StandardScaler()),
        ("standardize('robust')", preprocessing.RobustScaler()),
        ("standardize('minmax')", preprocessing.MinMaxScaler()),
    ],
)
def test_it_is_scikit_learns(name, line, reference):
    table = TABLES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rounds that do not converge
        expected = reference.fit(table[:NUM_TRAIN]).transform(table)
    found = fitted(line, records(table[:NUM_TRAIN]))
    np.testing.assert_allclose(numbers(found(records(table))), expected, rtol=1e-9, atol=1e-9)
    again = tabular.from_json(found.as_json())
    np.testing.assert_array_equal(numbers(again(records(table))), numbers(found(records(table))))


def test_operations_follow_one_another_as_in_a_pipeline():
    from sklearn.pipeline import make_pipeline

    reference = make_pipeline(
        SimpleImputer(strategy="median"), preprocessing.RobustScaler(), preprocessing.StandardScaler()
    )
    expected = reference.fit(CANCER[:NUM_TRAIN]).transform(CANCER)
    found = fitted("impute('median')|standardize('robust')|standardize", records(CANCER[:NUM_TRAIN]))
    np.testing.assert_allclose(numbers(found(records(CANCER))), expected, rtol=1e-9, atol=1e-9)


def test_indicators_are_of_columns_that_miss_values_in_training():
    table = np.array([[1.0, np.nan, 1], [2, 5, 1], [3, 6, 1], [np.nan, 7, np.nan]])
    found = fitted("impute('mean', indicator=True)", records(table[:3]))
    expected = MissingIndicator(error_on_new=False).fit(table[:3]).transform(table)
    names = list(found(records(table)).records[0].fields)
    assert names == ["f0", "f1", "f2", "f1_missing"]
    np.testing.assert_array_equal(numbers(found(records(table)))[:, 3:], expected)


@pytest.mark.parametrize("rare", [0.0, 0.05, 0.1])
def test_one_hot_is_scikit_learns(rare):
    rows = [Record(f"t#{i}", fields={"c": str(colour)}) for i, colour in enumerate(COLOURS)]
    found = fitted(f"one_hot(rare={rare})", rows[:NUM_TRAIN])
    new = [Record("n", fields={"c": "violet"})]
    reference = preprocessing.OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=rare or None, sparse_output=False
    )
    expected = reference.fit(COLOURS[:NUM_TRAIN, None]).transform(np.append(COLOURS, "violet")[:, None])
    np.testing.assert_array_equal(numbers(found([*rows, *new])), expected)
    assert [each.rule for each in found(new).entries] == ["one_hot.other"]
    assert found.operations[0].has_rare == {"c": bool(rare)}


def test_ordinal_is_scikit_learns():
    rows = [Record(f"t#{i}", fields={"c": str(colour)}) for i, colour in enumerate(COLOURS)]
    expected = preprocessing.OrdinalEncoder().fit(COLOURS[:NUM_TRAIN, None]).transform(COLOURS[:, None])
    found = fitted("ordinal", rows[:NUM_TRAIN])(rows)
    np.testing.assert_array_equal(numbers(found), expected)
    sizes = [Record(f"s#{i}", fields={"size": size}) for i, size in enumerate(["mid", "low", "high", "huge"])]
    found = fitted("ordinal(('low', 'mid', 'high'), 'size')", sizes[:3])(sizes)
    assert [each.fields["size"] for each in found.records] == [1, 0, 2, None]
    assert [(each.id, each.rule) for each in found.entries] == [("s#3", "ordinal.other")]


def limits(rule, column):
    """Slowly, by other means."""
    values = column[~np.isnan(column)]
    if rule == "zscore":
        return values.mean() - 3 * values.std(), values.mean() + 3 * values.std()
    if rule == "iqr":
        low, high = np.percentile(values, 25), np.percentile(values, 75)
        return low - 1.5 * stats.iqr(values), high + 1.5 * stats.iqr(values)
    spread = 3.5 * stats.median_abs_deviation(values) / 0.6745
    return np.median(values) - spread, np.median(values) + spread


@pytest.mark.parametrize("rule", ["zscore", "iqr", "mad"])
@pytest.mark.parametrize("name", TABLES)
def test_outliers(name, rule):
    table = TABLES[name]
    pairs = [limits(rule, column) for column in table[:NUM_TRAIN].T]
    low, high = np.array([pair if pair[0] < pair[1] else (-np.inf, np.inf) for pair in pairs]).T
    clipped = fitted(f"clip_outliers('{rule}')", records(table[:NUM_TRAIN]))(records(table))
    np.testing.assert_allclose(numbers(clipped), np.clip(table, low, high), rtol=1e-9)
    outside = (table < low) | (table > high)
    assert outside.any()
    rows = [f"t#{row}" for row in np.flatnonzero(outside.any(axis=1))]
    assert [each.id for each in clipped.entries] == rows
    removed = fitted(f"remove_outliers('{rule}')", records(table[:NUM_TRAIN]))(records(table))
    assert [each.id for each in removed.entries] == rows
    assert {(each.rule, each.action) for each in removed.entries} == {(f"remove_outliers.{rule}", "removed")}
    np.testing.assert_array_equal(numbers(removed), table[~outside.any(axis=1)])
    flagged = numbers(fitted(f"flag_outliers('{rule}')", records(table[:NUM_TRAIN]))(records(table)))
    np.testing.assert_array_equal(flagged[:, table.shape[1] :], outside[:, np.isfinite(low)])


def test_moments_are_exact_in_any_order():
    values = np.concatenate(
        [
            np.random.default_rng(0).lognormal(0, 20, 300),
            -np.random.default_rng(1).lognormal(0, 20, 300),
            [0.0, -0.0, 5e-324, 1e16, 1.0, -1e16],
        ]
    )
    whole = [Fraction(value) for value in values.tolist()]
    mean = sum(whole) / len(whole)
    variance = sum((value - mean) ** 2 for value in whole) / len(whole)
    for order in (slice(None), slice(None, None, -1)):
        moments = summaries.Moments(("f0",))
        for part in np.array_split(values[order], 7):
            block, _ = tabular.layout([records(part[:, None])], (), may_mix=False).block(records(part[:, None]))
            moments.add(block)
        assert moments.mean("f0") == float(mean)
        assert moments.std("f0") == pytest.approx(float(variance) ** 0.5, rel=1e-15)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_standard_deviations_beyond_the_square_root_of_a_float(scale):
    found = fitted("standardize", records(np.array([[1.0], [2], [3], [4]]) * scale))
    assert found.operations[0].scales["f0"][1] == pytest.approx(np.std([1, 2, 3, 4]) * scale, rel=1e-15)


def test_a_sample_is_the_rows_of_the_least_hashes(monkeypatch):
    monkeypatch.setattr(summaries, "LEAST_ROWS", 100)
    monkeypatch.setattr(summaries, "MAX_CELLS", 100)
    rows = records(np.arange(1000.0)[:, None])
    found = []
    for order in (rows, rows[::-1], sorted(rows, key=lambda each: each.id)):
        sample = summaries.Sample(("f0",))
        for start in range(0, 1000, 37):
            block, _ = tabular.layout([rows], (), may_mix=False).block(order[start : start + 37])
            sample.add(block)
        found.append(sample.values())
        assert len(sample) == 100
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert stats.kstest(found[0][:, 0] / 1000, "uniform").pvalue > 0.01
    assert fitted("impute('median')", rows).operations[0].num_sampled == 100
