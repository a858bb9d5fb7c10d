"""Places of records: what they follow from, what moves them, and that nothing leaks from one split to another."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline import hashing
from input_pipeline.clean import pipeline, splits
from input_pipeline.clean.engine.local import Local
from input_pipeline.clean.record import Record
from input_pipeline.clean.spec import Clean, Dedup, Output, Split
from input_pipeline.clean.stages import describing
from input_pipeline.synthetic import stories

pytestmark = pytest.mark.fast
SHARES = (0.8, 0.15, 0.05)


def groups(count, seed=0):
    return hashing.fold(hashing.key("test", seed), np.arange(count))


def shares_of(places):
    return [float((places == split).mean()) for split in range(3)]


# --- where a record goes ---


def test_by_hash_the_shares_are_those_asked_for():
    places = splits.by_hash(groups(20_000), SHARES, seed=0)
    assert np.allclose(shares_of(places), SHARES, atol=4 * math.sqrt(0.25 / 20_000))
    rest = splits.by_hash(groups(20_000), (0.5, 0.1, 0.1), seed=0)
    assert abs((rest == splits.NOWHERE).mean() - 0.3) < 0.015
    assert (splits.by_hash(groups(500), (0.0, 1.0, 0.0), seed=0) == 1).all()
    assert (splits.by_hash(groups(500), (1.0, 0.0, 0.0), seed=0) == 0).all()


def test_by_hash_a_place_follows_from_group_and_seed_alone():
    """Frozen: a dataset that was split once is split so for ever."""
    places = splits.by_hash(groups(40), (0.5, 0.3, 0.2), seed=0)
    alone = [splits.by_hash(groups(40)[i : i + 1], (0.5, 0.3, 0.2), seed=0)[0] for i in range(40)]
    assert places.tolist() == alone
    assert "".join(map(str, places.tolist())) == "0010012000120110000010010021012101010002"
    assert (splits.by_hash(groups(400), SHARES, seed=1) != splits.by_hash(groups(400), SHARES, seed=0)).any()


@pytest.mark.parametrize("sizes", [[10, 10, 10], [100, 7, 3, 1], [1] * 30])
def test_by_stratum_every_stratum_has_its_shares_to_the_record(sizes):
    strata = np.repeat(np.arange(len(sizes), dtype=np.uint64), sizes)
    places = splits.by_stratum(groups(len(strata)), strata, SHARES, seed=3)
    for stratum, size in enumerate(sizes):
        counts = np.bincount(places[strata == stratum], minlength=3)
        assert np.abs(counts - np.array(SHARES) * size).max() <= 1
    assert (places != splits.NOWHERE).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=60),
    st.permutations(range(60)),
)
def test_by_stratum_no_group_is_torn_and_the_order_of_records_is_nothing(members, order):
    group, stratum = (np.array(each, np.uint64) for each in zip(*members, strict=True))
    group = hashing.mix(group)
    stratum = hashing.mix(group) % np.uint64(3)  # of the group, as the first of its records would have it
    places = splits.by_stratum(group, stratum, SHARES, seed=0)
    assert all(len(set(places[group == each].tolist())) == 1 for each in np.unique(group))
    moved = np.array([i for i in order if i < len(group)])
    assert np.array_equal(splits.by_stratum(group[moved], stratum[moved], SHARES, seed=0), places[moved])


def test_by_time_the_latest_are_the_test_split_and_equal_times_stay_together():
    times = np.array([5.0, 1, 9, 3, 7, 2, 8, 4, 6, 10])
    places = splits.by_time(times, (0.6, 0.2, 0.2))
    assert places[np.argsort(times)].tolist() == [0] * 6 + [1] * 2 + [2] * 2
    same = splits.by_time(np.array([1.0, 2, 2, 2, 2, 2, 2, 3]), (0.5, 0.25, 0.25))
    assert len(set(same[1:7].tolist())) == 1
    lost = splits.by_time(np.array([-math.inf, 1, 2, -math.inf]), (0.5, 0.0, 0.5))
    assert lost.tolist() == [0, 2, 2, 0]


def test_straddling_pairs():
    places = np.array([0, 0, 1, splits.NOWHERE, 2], np.int8)
    pairs = np.array([[0, 1], [0, 2], [2, 3], [2, 4]])
    assert splits.straddling(places, pairs).tolist() == [False, True, False, True]
    assert splits.straddling(places, np.zeros((0, 2), np.int64)).tolist() == []


def test_the_least_group_of_a_family():
    found = splits.least(np.array([5, 3, 9, 1, 7], np.uint64), np.array([0, 0, 2, 2, 4]))
    assert found.tolist() == [3, 3, 1, 1, 7]


# --- what a record tells of itself ---


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (12, 12.0),
        (1.5, 1.5),
        ("1999", 1999.0),
        ("2020-01-02", 1577923200.0),
        ("2020-01-02T03:04:05Z", 1577934245.0),
        ("2020-01-02T04:04:05+01:00", 1577934245.0),
        ("Thu, 02 Jan 2020 04:04:05 +0100", 1577934245.0),
        ("soon", -math.inf),
        ("", -math.inf),
        (None, -math.inf),
        (math.nan, -math.inf),
        ("nan", -math.inf),
        ("Thu, 99 Foo 20200 99:99:99 +9999", -math.inf),
    ],
)
def test_the_time_of_a_record(value, seconds):
    [found] = describing.facts([Record("a", "t", fields={"date": value})], Split(time="date"), part="text")["time"]
    assert found == seconds


def test_a_record_without_the_field_is_a_group_of_its_own():
    records = [Record(str(n), f"text {n}", fields={"site": s}) for n, s in enumerate(["x", "x", None, None])]
    found = describing.facts([*records, Record("4", "text 4")], Split(by="site"), part="text")["group"]
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 4
    other = describing.facts([Record("z", "other", fields={"site": "x"})], Split(by="site"), part="text")["group"]
    assert found[0] == other[0]


def test_equal_records_are_one_group():
    one, other = (describing.facts([Record(name, "t")], Split(), part="text")["group"] for name in "ab")
    assert one == other


# --- through the whole of a cleaning ---

NUM = 150


def story(number, *, changed=0):
    words = stories.text(number, num_bytes=900).decode().split(" ")
    for place in range(changed):
        words[20 + 30 * place] = f"otherwise{number}"
    return " ".join(words)


def rows(count=NUM, **fields):
    return [
        {"text": story(i), "site": f"site{i % 12}", "kind": "ab"[i % 5 == 0], "date": f"2020-01-{i % 28 + 1:02d}"}
        | fields
        for i in range(count)
    ]


def clean(tmp_path, rows, *, name="out", **fields):
    """-> {id: (its split, its row)}, of the dataset that comes of these rows."""
    raw = tmp_path / f"raw-{name}"
    raw.mkdir(parents=True)
    for number in range(0, len(rows), 40):
        lines = [json.dumps({"own": number + i} | row) for i, row in enumerate(rows[number : number + 40])]
        (raw / f"part-{number:04d}.jsonl").write_text("\n".join(lines) + "\n")
    defaults = {"split": Split(val=0.2, test=0.2), "output": Output(format="jsonl"), "block_records": 16}
    spec = Clean(files=(f"{raw}/*.jsonl",), cache=str(tmp_path / "cache"), **defaults | fields)
    with Local() as engine:
        pipeline.run(spec, tmp_path / name, engine=engine)
    found = {}
    for path in (tmp_path / name / "data").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            assert row["own"] not in found
            found[row["own"]] = (path.name.split("-")[0], row)
    return found


def places(found):
    return {own: split for own, (split, _) in found.items()}


def values_by_split(found, field):
    return [{row[field] for split, row in found.values() if split == name} for name in splits.NAMES]


def ledger(tmp_path, name="out"):
    lines = [line for path in (tmp_path / name / "ledger").iterdir() for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_new_records_move_no_old_one(tmp_path):
    """In other files, in other blocks, under other numbers and ids: the content decides."""
    before = clean(tmp_path, rows(), name="before")
    more = [
        {"text": story(1000 + i), "site": "new", "kind": "a", "date": "2021-01-01", "own": -1 - i} for i in range(90)
    ]
    mixed = [each for i, row in enumerate(rows()) for each in (*more[i : i + 1], {"own": i} | row)]
    after = clean(tmp_path, mixed, name="after", split=Split(val=0.2, test=0.2))
    assert len(before) == NUM
    assert len(after) == NUM + 90
    assert {own: split for own, split in places(after).items() if own >= 0} == places(before)
    assert set(places(before).values()) == set(splits.NAMES)


def test_new_records_move_no_old_group(tmp_path):
    by_site = Split(val=0.2, test=0.2, by="site")
    before = clean(tmp_path, rows(), name="before", split=by_site)
    more = [row | {"text": story(1000 + i), "own": -1 - i} for i, row in enumerate(rows(60))]
    after = clean(tmp_path, [*more, *rows()], name="after", split=by_site)
    of_site = {row["site"]: split for split, row in before.values()}
    assert {row["site"]: split for split, row in after.values()} == of_site
    assert all(of_site[row["site"]] == split for split, row in after.values())


def test_no_group_lies_in_two_splits(tmp_path):
    found = clean(tmp_path, rows(), split=Split(val=0.3, test=0.3, by="site"))
    train, val, test = values_by_split(found, "site")
    assert train | val | test == {f"site{i}" for i in range(12)}
    assert not (train & val | train & test | val & test)
    assert min(map(len, (train, val, test))) > 0


def test_every_stratum_has_its_shares(tmp_path):
    found = clean(tmp_path, rows(), split=Split(val=0.2, test=0.1, stratify="kind"))
    for kind, size in (("a", 120), ("b", 30)):
        counts = [sum(1 for s, row in found.values() if (s, row["kind"]) == (name, kind)) for name in splits.NAMES]
        assert np.abs(np.array(counts) - np.array([0.7, 0.2, 0.1]) * size).max() <= 1


def test_the_latest_go_to_test(tmp_path):
    found = clean(
        tmp_path, [*rows(), {"text": story(999), "date": "some day"}], split=Split(val=0.2, test=0.2, time="date")
    )
    days = values_by_split(dict(list(found.items())), "date")
    assert max(days[0] - {"some day"}) < min(days[1])
    assert max(days[1]) < min(days[2])
    assert found[NUM][0] == "train"
    [entry] = [entry for entry in ledger(tmp_path) if entry["rule"] == "split.no_time"]
    assert (entry["action"], entry["stage"]) == ("changed", "split")


def test_what_is_in_no_split_is_in_the_ledger(tmp_path):
    found = clean(tmp_path, rows(), split=Split(train=0.3, val=0.1, test=0.1))
    rest = [entry for entry in ledger(tmp_path) if entry["rule"] == "split.rest"]
    assert len(found) + len(rest) == NUM
    assert 0.3 * NUM < len(rest) < 0.7 * NUM
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    [stage] = [stage for stage in manifest["stages"] if stage["name"] == "split"]
    assert (stage["records_in"], stage["records_out"]) == (NUM, len(found))


def similar_rows():
    """Each of the first 40 stories four times: as it is, twice changed a little, and once more as it is."""
    copies = [row | {"text": story(i, changed=c)} for i, row in enumerate(rows(40)) for c in (0, 1, 2)]
    return [row | {"family": i // 3} for i, row in enumerate(copies)] + [
        row | {"family": i} for i, row in enumerate(rows(40))
    ]


@pytest.mark.parametrize("split", [Split(val=0.3, test=0.3), Split(val=0.3, test=0.3, stratify="kind")])
def test_near_duplicates_that_stay_never_straddle(tmp_path, split):
    kept = Dedup(near="minhash(ngram=5)", threshold=0.7, action="keep")
    found = clean(tmp_path, similar_rows(), dedup=kept, split=split)
    assert len(found) == 160
    of_family = {}
    for name, row in found.values():
        of_family.setdefault(row["family"], set()).add(name)
    assert all(len(names) == 1 for names in of_family.values())
    assert set.union(*of_family.values()) == set(splits.NAMES)


def test_without_it_they_would(tmp_path):
    """What the test above sees is not chance."""
    nothing = Dedup(exact=False, near="")
    found = clean(tmp_path, similar_rows(), dedup=nothing, split=Split(val=0.3, test=0.3))
    names = {}
    for name, row in found.values():
        names.setdefault(row["family"], set()).add(name)
    assert max(map(len, names.values())) > 1


@pytest.mark.parametrize("split", [Split(val=0.3, test=0.3, by="site"), Split(val=0.3, test=0.3, time="date")])
def test_near_duplicates_that_a_split_tears_apart_are_an_error(tmp_path, split):
    """Copies at two sites, or of two days."""
    copies = [
        row | {"text": story(i, changed=c), "site": f"{i}/{c}", "date": f"20{10 + c}-01-01"}
        for i, row in enumerate(rows(30))
        for c in range(3)
    ]
    kept = Dedup(near="minhash(ngram=5)", threshold=0.7, action="keep")
    expected = (
        r"split: expected near-duplicates in one split, but \d+ pairs lie in two, such as part-\S+ \((train|val|test)\)"
    )
    with pytest.raises(ValueError, match=expected):
        clean(tmp_path, copies, dedup=kept, split=split)
    removed = dataclasses.replace(kept, action="remove")
    found = clean(tmp_path, copies, name="removed", dedup=removed, split=split)
    assert len(found) == 30


def test_nothing_leaks(tmp_path):
    """No text of a split, nor one near to it, is in another: compared with all, one by one."""
    found = clean(tmp_path, similar_rows(), dedup=Dedup(near="minhash(ngram=5)", threshold=0.7))
    grams = lambda words: {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
    sets = {own: (name, grams(row["text"].lower().split())) for own, (name, row) in found.items()}
    assert len(sets) == 40
    for one, (name, left) in sets.items():
        for other, (other_name, right) in sets.items():
            if one < other and name != other_name:
                assert len(left & right) / len(left | right) < 0.7


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"val": 0.6, "test": 0.5}, "split: expected shares, of which val and test leave some"),
        ({"val": -0.1}, "split: expected shares"),
        ({"train": 0.0, "val": 0.0, "test": 0.0}, "split: expected shares"),
        ({"time": "date", "by": "site"}, "split.time: expected neither split.by nor split.stratify beside it"),
    ],
)
def test_shares_that_make_no_sense(fields, expected):
    with pytest.raises(ValueError, match=expected):
        Split(**fields)
