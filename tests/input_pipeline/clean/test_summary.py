"""What is told of records as a whole: against slow counts, and the same however the records are cut and ordered."""

import collections
import json
import math
import random

import numpy as np
import pytest
from scipy import stats

from input_pipeline.clean import diversity, summary
from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import words
from input_pipeline.clean.summary import Sample, Sizes, Summary
from input_pipeline.clean.tally import Tally
from input_pipeline.synthetic import stories

pytestmark = pytest.mark.fast


def records(count: int) -> list[Record]:
    rng = random.Random(1)
    return [
        Record(
            f"{index}",
            stories.text(index, num_bytes=rng.randrange(1, 400)).decode(),
            payload=b"x" * rng.randrange(3),
            fields={"url": f"http://www.{rng.choice('abbcccc')}.org/{index}", "lang": "en", "width": rng.randrange(99)},
        )
        for index in range(count)
    ]


def tally(names, limit=1 << 16) -> Tally:
    made = Tally(limit)
    for name in names:
        made.add(name)
    return made


def test_measures_of_names_are_those_of_their_counts():
    names = random.Random(0).choices("abcdef", (32, 16, 8, 4, 2, 1), k=5000)
    counts = np.array(list(collections.Counter(names).values()))
    found = tally(names).measures()
    assert found["entropy"] == pytest.approx(stats.entropy(counts, base=2), abs=1e-6)
    assert found["effective"] == pytest.approx(2 ** stats.entropy(counts, base=2), abs=1e-5)
    assert (found["records"], found["distinct"], found["greatest"]) == (5000, 6, round(counts.max() / 5000, 6))
    assert tally([]).measures()["effective"] == 0
    assert tally(["one"] * 9).measures()["effective"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_of_more_names_than_it_keeps_a_tally_is_a_sample_with_exact_counts(seed):
    rng = random.Random(seed)
    names = [f"{seed}/{int(rng.expovariate(1 / 4000))}" for _ in range(60_000)]
    true = collections.Counter(names)
    parts = [names[start::3] for start in rng.sample(range(3), 3)]
    whole, merged = tally(names, 1000), Tally(1000)
    for part in parts:
        merged.merge(tally(part, 1000))
    assert merged.measures() == whole.measures()
    assert merged.counts == whole.counts
    assert len(whole.counts) == 1000
    assert all(true[name] == count for name, count in whole.counts.items())
    found = whole.measures()
    assert found["distinct"] == pytest.approx(len(true), rel=0.1)
    assert found["entropy"] == pytest.approx(stats.entropy(list(true.values()), base=2), abs=0.5)


def test_bins_hold_what_lies_between_their_edges():
    rng = random.Random(0)
    values = [0, 0.3, 1, 1.5, 2, 3, 1024, *(2 ** rng.uniform(-3, 20) for _ in range(500))]
    sizes = Sizes()
    for value in [*values, math.nan, math.inf, -1.0]:
        sizes.add(value)
    found = sizes.as_json("things")
    assert found["counts"] == np.histogram([value for value in values if value], found["edges"])[0].tolist()
    assert (found["zeros"], found["least"], found["greatest"]) == (1, 0, max(values))
    assert set(np.round(np.divide(found["edges"][1:], found["edges"][:-1]), 6)) == {1.5, 1.333333}


def test_the_summary_does_not_depend_on_how_records_are_cut_and_ordered():
    given = records(200)
    whole = summary.of(given).as_json()
    shuffled = random.Random(2).sample(given, len(given))
    merged = Summary()
    for start in (100, 0):
        merged.merge(summary.load(summary.dump(summary.of(shuffled[start : start + 100]))))
    assert json.dumps(merged.as_json()) == json.dumps(whole)


def test_what_a_summary_tells():
    given = records(300)
    found = summary.of(given).as_json()
    hosts = collections.Counter(record.fields["url"].split("/")[2].removeprefix("www.") for record in given)
    assert found["histograms"]["source"] == dict(hosts)
    assert found["histograms"]["language"] == {"en": 300}
    assert sum(found["histograms"]["length"]["counts"]) == 300
    assert found["histograms"]["size"]["unit"] == "bytes"
    assert sum(found["histograms"]["width"]["counts"]) + found["histograms"]["width"]["zeros"] == 300
    assert "label" not in found["histograms"]
    assert found["diversity"]["text"]["texts"] == 300
    assert len(found["examples"]) == summary.NUM_EXAMPLES
    empty = summary.of([]).as_json()
    assert empty == {"histograms": {}, "diversity": {}, "examples": []}


def test_what_utf_8_cannot_write_is_told_by_its_escape():
    given = [Record(f"\ud800{i}", f"\udc80 {i} \ud800", fields={"label": f"\ud800{i % 3}"}) for i in range(100)]
    merged = Summary()
    merged.merge(summary.load(summary.dump(summary.of(given))))
    text = json.dumps(merged.as_json(), ensure_ascii=False).encode().decode()
    assert json.loads(text)["histograms"]["label"] == {"\\ud8000": 34, "\\ud8001": 33, "\\ud8002": 33}
    assert summary.of(given).names["label"].measures()["distinct"] == 3


def test_a_sample_is_uniform_and_cut_to_length():
    sample = Sample(limit=100)
    for index in range(1000):
        sample.add(str(index), "x" * index * 10)
    kept = sample.in_order()
    assert len(kept) == 100
    assert abs(np.mean([int(id) for id, _ in kept]) - 500) < 100
    assert max(len(text) for _, text in kept) == summary.SAMPLED_CHARS


def test_ngrams_are_those_of_a_slow_count():
    texts = [stories.text(index, num_bytes=500).decode().lower() for index in range(20)] + ["", "one", "two words"]
    found = words.read(texts)
    for n in (1, 2, 3):
        slow: collections.Counter = collections.Counter()
        for text in texts:
            listed = "".join(c if c.isalnum() else " " for c in text).split()
            slow.update(tuple(listed[start : start + n]) for start in range(len(listed) - n + 1))
        measured = diversity.ngram_measures(diversity.ngrams(found, n))
        assert (measured["total"], measured["distinct"]) == (sum(slow.values()), len(slow))
        assert measured["entropy"] == pytest.approx(stats.entropy(list(slow.values()), base=2), abs=1e-5)


def test_texts_of_four_kinds_lie_in_clusters_of_one_kind_each():
    kinds = (
        "the ship sailed over the sea",
        "plants need light and water",
        "interest rates rose again",
        "the goal won it",
    )
    rng = random.Random(0)
    texts = [" ".join(rng.choices(kinds[index % 4].split(), k=30)) for index in range(400)]
    found = diversity.of_texts(texts)["clusters"]
    assert sum(each["texts"] for each in found["clusters"]) == 400
    vocabularies = [set(kind.split()) for kind in kinds]
    for each in found["clusters"]:
        assert sum(set(each["words"]) <= vocabulary for vocabulary in vocabularies) >= 1, each
    assert found["effective"] >= 4
    alike = diversity.of_texts(["the same words"] * 100)["clusters"]
    assert alike["effective"] == 1
    assert alike["clusters"][0]["texts"] == 100
    assert diversity.of_texts(texts) == diversity.of_texts(texts)
