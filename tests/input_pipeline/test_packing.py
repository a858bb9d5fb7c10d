"""Rows against a slow, obvious reading of the store, and the laws that both packings keep."""

import itertools
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline import batch, packing
from input_pipeline.documents import BadRecord
from input_pipeline.packing import PACKINGS, plan_rows
from input_pipeline.sources import Memory
from input_pipeline.token_store import build
from input_pipeline.tokenizer import Bytes

EOD = Bytes().eod_id


def _texts(seed=0, num=60, longest=40):
    rng = np.random.default_rng(seed)
    return tuple(rng.bytes(int(n)) for n in [0, *rng.integers(0, longest, num)])


@pytest.fixture(params=sorted(PACKINGS))
def rule(request):
    return request.param


def _rows(texts, *, seq_len, packing, cache_dir):
    store = build(Memory(texts), tokenizer=Bytes(), cache_dir=cache_dir)
    return plan_rows(store, seq_len=seq_len, packing=packing, cache_dir=cache_dir)


def _segments(row):
    """(inputs, targets, positions) of each segment of one row, in order."""
    for segment in range(1, row["segment_ids"].max() + 1):
        here = row["segment_ids"] == segment
        yield tuple(row[key][here].tolist() for key in ("tokens", "targets", "positions"))


def _read_all(rows):
    whole = rows.read(np.arange(len(rows)))
    return [{key: array[r] for key, array in whole.items()} for r in range(len(rows))]


def _concat_slowly(texts, seq_len):
    """Rows of (document, place in it), one token at a time."""
    stream = [(d, i) for d, text in enumerate(texts) for i in range(len(text) + 1)]
    return [stream[i : i + seq_len] for i in range(0, len(stream), seq_len)]


def _first_fit_slowly(texts, seq_len, window):
    """The same for first fit: every slot looked at for every piece."""
    rows, full, slots = [], [], [None] * window
    room = lambda slot: 0 if slots[slot] is None else seq_len - len(rows[slots[slot]])
    for d, text in enumerate(texts):
        whole = [(d, i) for i in range(len(text) + 1)]
        for piece in (whole[i : i + seq_len] for i in range(0, len(whole), seq_len)):
            if len(piece) == seq_len:
                full.append(piece)
                continue
            fitting = [slot for slot in range(window) if room(slot) >= len(piece)]
            if not fitting:
                fitting = [min(range(window), key=room)]
                slots[fitting[0]] = len(rows)
                rows.append([])
            rows[slots[fitting[0]]] += piece
    return rows + full


@pytest.mark.parametrize("rule", sorted(PACKINGS))
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), seq_len=st.integers(1, 50), num=st.integers(1, 150))
def test_rows_are_those_of_the_slow_reading(tmp_path_factory, rule, seed, seq_len, num):
    texts = _texts(seed, num)
    rows = _rows(texts, seq_len=seq_len, packing=rule, cache_dir=tmp_path_factory.mktemp("rows"))
    slow = {
        "concat": lambda: _concat_slowly(texts, seq_len),
        "first_fit": lambda: _first_fit_slowly(texts, seq_len, 64),
    }
    expected = slow[rule]()
    assert len(rows) == len(expected)
    stored = [[EOD, *text, EOD] for text in texts]
    for row, places in zip(_read_all(rows), expected, strict=True):
        n = len(places)
        assert row["tokens"][:n].tolist() == [stored[d][i] for d, i in places]
        assert row["targets"][:n].tolist() == [stored[d][i + 1] for d, i in places]
        assert row["weights"].tolist() == [1] * n + [0] * (seq_len - n)
        assert all(not row[key][n:].any() for key in batch.DTYPES)


def test_every_token_is_a_target_once_and_segments_are_documents(rule, tmp_path):
    texts = tuple(sorted(set(_texts(1)), key=lambda text: text[::-1]))
    rows = _rows(texts, seq_len=16, packing=rule, cache_dir=tmp_path)
    pieces = []
    for row in _read_all(rows):
        order = row["segment_ids"][row["segment_ids"] > 0]
        assert order.tolist() == sorted(order)
        for inputs, targets, positions in _segments(row):
            assert positions == list(range(len(inputs)))
            assert inputs[1:] == targets[:-1]
            assert EOD not in inputs[1:]  # a span lies within one document
            pieces.append((inputs, targets))
    counted = np.bincount([t for _, targets in pieces for t in targets], minlength=257)
    assert counted.tolist() == np.bincount([*b"".join(texts), *[EOD] * len(texts)], minlength=257).tolist()
    total = sum(row["weights"].sum() for row in _read_all(rows))
    assert total == rows.num_tokens == sum(len(text) + 1 for text in texts)
    assert rows.num_bytes == sum(map(len, texts))


def test_bad_records_leave_the_rows_as_if_they_were_not_there(rule, tmp_path):
    class WithBad(Memory):
        def read(self, i):
            if self.texts[i] is None:
                raise BadRecord("spoilt")
            return self.texts[i]

        def num_bytes(self, i):
            return len(self.texts[i] or b"")

        def digest(self, i):
            return bytes(32) if self.texts[i] is None else super().digest(i)

    texts = _texts(5)
    with_bad = (None, *itertools.chain(*((text, None) for text in texts[:20])), None, *texts[20:], None)
    store = build(WithBad(with_bad), tokenizer=Bytes(), cache_dir=tmp_path)
    rows = plan_rows(store, seq_len=16, packing=rule, cache_dir=tmp_path)
    expected = _rows(texts, seq_len=16, packing=rule, cache_dir=tmp_path)
    assert (rows.num_tokens, rows.num_bytes) == (expected.num_tokens, expected.num_bytes)
    assert len(rows) == len(expected)
    for key, array in expected.read(np.arange(len(expected))).items():
        np.testing.assert_array_equal(rows.read(np.arange(len(rows)))[key], array)


def test_concat_wastes_nothing_and_first_fit_cuts_nothing_short(tmp_path):
    texts = _texts(2, num=500)
    weights = [row["weights"] for row in _read_all(_rows(texts, seq_len=32, packing="concat", cache_dir=tmp_path))]
    assert all(weight.all() for weight in weights[:-1])
    starts = [
        inputs[0]
        for row in _read_all(_rows(texts, seq_len=64, packing="first_fit", cache_dir=tmp_path))
        for inputs, *_ in _segments(row)
    ]
    assert starts == [EOD] * 501
    assert len(_rows(texts, seq_len=64, packing="first_fit", cache_dir=tmp_path)) * 64 < 1.05 * sum(
        len(t) + 1 for t in texts
    )


def test_any_order_and_repeats(rule, tmp_path):
    rows = _rows(_texts(3), seq_len=16, packing=rule, cache_dir=tmp_path)
    whole = rows.read(np.arange(len(rows)))
    indices = np.random.default_rng(0).integers(0, len(rows), 50)
    for key, array in batch.check(rows.read(indices), rows.contract).items():
        np.testing.assert_array_equal(array, whole[key][indices])
    assert batch.check(rows.read(np.arange(0)), rows.contract)["tokens"].shape == (0, 16)


def test_plans_are_kept_and_told_apart(tmp_path, monkeypatch):
    texts = _texts(4)
    made = {
        (seq_len, rule): _rows(texts, seq_len=seq_len, packing=rule, cache_dir=tmp_path).fingerprint
        for seq_len in (8, 16)
        for rule in PACKINGS
    }
    assert len(set(made.values())) == 4
    monkeypatch.setitem(PACKINGS, "concat", None)
    assert _rows(texts, seq_len=8, packing="concat", cache_dir=tmp_path).fingerprint == made[8, "concat"]


def test_a_plan_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "rename", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _rows(_texts(), seq_len=8, packing="concat", cache_dir=tmp_path)
    assert not list((tmp_path / "rows").iterdir())


def test_a_faster_neighbour_is_no_harm(tmp_path, monkeypatch):
    rename = os.rename

    def raced(draft, directory):
        packing.shutil.copytree(draft, directory)
        rename(draft, directory)

    monkeypatch.setattr(os, "rename", raced)
    rows = _rows(_texts(), seq_len=8, packing="concat", cache_dir=tmp_path)
    assert rows.read(np.arange(1))["tokens"][0, 0] == EOD
    assert [entry.name for entry in (tmp_path / "rows").iterdir()] == [rows.directory.name]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b.pop("weights"),
        lambda b: b.update(extra=b["tokens"]),
        lambda b: b.update(tokens=b["tokens"].astype(np.int64)),
        lambda b: b.update(targets=b["targets"][:, 1:]),
    ],
)
def test_the_contract_is_checked(spoil):
    good = batch.empty_rows(2, batch.text(3))
    assert batch.check(good, batch.text(3)) is good
    assert not any(array.any() for array in good.values())
    spoil(good)
    with pytest.raises(ValueError, match=r"expected a batch of tokens int32 \[B, 3\], .*; got "):
        batch.check(good, batch.text(3))
