"""A later release beside an earlier one: its records go, the old ones stay."""

import json

import numpy as np
import pytest
import slow_duplicates

from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import candidates, clusters, exact, index
from input_pipeline.clean.similar.minhash import MinHash
from input_pipeline.clean.similar.sketch import Store, band_keys

pytestmark = pytest.mark.fast
NEAR = MinHash()
TEXTS = slow_duplicates.texts(120, seed=11)


def block(texts: list[str], name: str) -> index.Block:
    records = [Record(f"{name}/{i}", text) for i, text in enumerate(texts)]
    return index.Block([record.id for record in records], NEAR.sketch(records))


def resolve(blocks: list[index.Block], num_old: int, prefer: str = "first") -> tuple[np.ndarray, candidates.Resolved]:
    """-> (which records stay, who is near to whom), of all blocks, the first `num_old` records being old ones."""
    firsts = np.cumsum([0, *(len(each.ids) for each in blocks)])
    numbers = np.arange(firsts[-1])
    digests = np.concatenate([each.sketches.exact_N2 for each in blocks])
    is_repeat, _ = exact.repeats(digests, numbers)
    keys = [band_keys(each.sketches, first=int(first)) for each, first in zip(blocks, firsts, strict=False)]
    partition = [np.concatenate(part) for part in zip(*keys, strict=True)]
    store = Store([each.sketches.evidence for each in blocks])
    sizes = np.concatenate([np.diff(each.sketches.evidence.offsets) for each in blocks])
    found = candidates.resolve(
        lambda standing: [
            candidates.compare(
                *partition,
                standing=standing,
                similarities=lambda pairs: store.similarities(NEAR, pairs),
                threshold=NEAR.threshold,
            )
        ],
        rank_N=clusters.preference(sizes, prefer, num_old=num_old),
        is_alive_N=~is_repeat,
        num_old=num_old,
    )
    return ~is_repeat & (found.original_N == numbers), found


@pytest.fixture
def release(tmp_path):
    """The survivors of the first texts, written and read, and the folder."""
    blocks = [block(TEXTS[:25], "old/a"), block(TEXTS[25:60], "old/b")]
    stays, _ = resolve(blocks, 0)
    kept = [index.select(blocks[0], np.flatnonzero(stays[:25])), index.select(blocks[1], np.flatnonzero(stays[25:]))]
    index.write(tmp_path, kept, near=NEAR)
    return index.read(tmp_path, near=NEAR), kept, tmp_path


def test_what_is_read_is_what_was_written(release):
    read, kept, _ = release
    assert [one.ids for one in read.blocks] == [one.ids for one in kept]
    assert read.num_records == len(read.store) == sum(len(one.ids) for one in kept) > 20
    for ours, theirs in zip(read.blocks, kept, strict=True):
        for one, other in zip(
            (*ours.sketches[:2], *ours.sketches.evidence),
            (*theirs.sketches[:2], *theirs.sketches.evidence),
            strict=True,
        ):
            assert isinstance(one, np.memmap)
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("prefer", clusters.PREFERENCES)
def test_a_later_release_loses_what_the_earlier_one_has_and_moves_nothing(release, prefer):
    read, _, _ = release
    num_old, new = read.num_records, block(TEXTS[60:], "new")
    stays, found = resolve([*read.blocks, new], num_old, prefer)
    assert stays[:num_old].all()
    ids = [id for each in (*read.blocks, new) for id in each.ids]
    numbers = {f"old/a/{i}": i for i in range(25)} | {f"old/b/{i}": i + 25 for i in range(35)}
    sets = [slow_duplicates.shingles(TEXTS[numbers.get(id, 60 + i - num_old)], 5) for i, id in enumerate(ids)]
    near = slow_duplicates.near_pairs(sets, NEAR.threshold)
    alive = np.flatnonzero(stays).tolist()
    assert not [pair for pair in near if set(pair) <= set(alive) and pair[1] >= num_old]
    removed = np.flatnonzero(found.original_N != np.arange(len(ids)))
    assert (found.original_N[removed] < num_old).any()
    assert all((min(i, j), max(i, j)) in near for i, j in zip(removed, found.original_N[removed], strict=True))


def test_what_was_released_is_all_found_again(release):
    read, _, _ = release
    stays, _ = resolve([*read.blocks, block(TEXTS[:60], "again")], read.num_records)
    assert stays.sum() == stays[: read.num_records].sum()


def test_the_bytes_of_a_record_are_as_stated(tmp_path):
    whole = block(TEXTS, "x")
    index.write(tmp_path, [whole], near=NEAR)
    num_bytes = sum(path.stat().st_size for path in tmp_path.glob("*.npy")) - 4 * 128 - 8  # headers, the last offset
    mean = len(whole.sketches.evidence.flat) / len(TEXTS)
    assert num_bytes / len(TEXTS) == pytest.approx(index.bytes_per_record(NEAR.bands, mean))


def test_faults_are_told_in_one_line(release):
    _, _, folder = release
    with pytest.raises(ValueError, match=r"dedup.against: expected an index of MinHash\(ngram=3"):
        index.read(folder, near=MinHash(ngram=3))
    with pytest.raises(ValueError, match=r"dedup.against: expected the output of a cleaning with dedup.index=True"):
        index.read(folder / "nowhere", near=NEAR)
    evidence = folder / "000001.evidence.npy"
    whole = evidence.read_bytes()
    evidence.write_bytes(whole[:-8])
    with pytest.raises(ValueError, match=r"dedup.against: expected a whole index"):
        index.read(folder, near=NEAR)
    evidence.write_bytes(whole)
    (folder / "000001.ids.json").write_text(json.dumps(["one"]))
    with pytest.raises(ValueError, match="the arrays of block 1 differ in length"):
        index.read(folder, near=NEAR)
    (folder / "index.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match="expected 'near-duplicates 1'"):
        index.read(folder, near=NEAR)
