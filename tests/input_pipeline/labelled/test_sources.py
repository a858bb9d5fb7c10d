"""Every source of labelled examples keeps the same contract."""

import pickle
import sys

import made_sources
import numpy as np
import pytest
from made_sources import NUM, Reading

from input_pipeline import workers
from input_pipeline.labelled.examples import Examples
from input_pipeline.labelled.sources import SOURCES, open_source

pytestmark = pytest.mark.fast

CLASSES = {
    "folder": ("class0", "class1"),
    "csv": ("0", "1"),
    "parquet": ("0", "1"),
    "parquet pictures": ("0", "1"),
    "array_record": (),
    "tfds": ("cat", "dog"),
    "idx": (),
    "cleaned": ("class0", "class1"),
    "cleaned table": ("0", "1"),
}
GROUPED = ("csv", "parquet", "parquet pictures", "array_record", "cleaned table")
PARTED = ("tfds", "idx", "cleaned", "cleaned table")
FIXED = ("sklearn", "synthetic")  # that no file of ours changes


def _all(found: Examples) -> np.ndarray:
    return np.arange(len(found))


def _bytes(found: Examples) -> list[bytes]:
    return [each if isinstance(each, bytes) else each.tobytes() for each in found.reader.read(_all(found))]


@pytest.fixture(params=made_sources.MAKERS)
def made(request, tmp_path):
    return request.param, made_sources.data(made_sources.MAKERS[request.param](tmp_path / "made"), tmp_path)


def test_every_source_is_held_to_the_contract():
    assert {name.split()[0] for name in made_sources.MAKERS} == set(SOURCES)


def test_the_same_twice_and_elsewhere(made):
    _, data = made
    first, second = open_source(data), open_source(data)
    assert _bytes(first) == _bytes(second)
    assert len(set(_bytes(first))) == len(first), "inputs were made to differ"
    assert first.fingerprint(_all(first)) == second.fingerprint(_all(second))
    assert list(first.names) == list(second.names)
    assert len(set(first.names)) == len(first) == len(first.labels) == len(first.digests)
    again = pickle.loads(pickle.dumps(first.reader)).read(_all(first)[::-1])
    assert [each if isinstance(each, bytes) else each.tobytes() for each in again] == _bytes(first)[::-1]
    assert not first.bad
    assert not data.unread
    if data.source != "tfds":  # whose tests may hold it
        assert "tensorflow" not in sys.modules


def test_labels_classes_groups_and_parts(made):
    name, data = made
    found = open_source(data)
    assert found.labels.dtype == np.int32
    if name in FIXED:
        assert len(found.classes) == data.num_classes
        return
    assert len(found) == NUM
    assert found.classes == CLASSES[name]
    assert sorted(found.labels.tolist()) == [0, 0, 0, 1, 1, 1]
    assert (sorted(found.groups.tolist()) == ["lucas"] * 3 + ["theo"] * 3) if name in GROUPED else found.groups is None
    sizes = {part: len(members) for part, members in found.parts.items()}
    assert sizes == ({"train": 4, "test": 2} if name in PARTED else {})


def test_a_fingerprint_tells_content_label_name_and_order(made):
    _, data = made
    found = open_source(data)
    members = _all(found)
    before = found.fingerprint(members)
    digests, labels, names = found.digests.copy(), found.labels.copy(), list(found.names)
    digests[1, 0] ^= 1
    labels[1] ^= 1
    names[1] += "x"
    others = ({"digests": digests}, {"labels": labels}, {"names": names}, {"classes": ("x", "y")})
    changed = [Examples(**{**vars(found), **other}).fingerprint(members) for other in others]
    changed += [found.fingerprint(members[::-1]), found.fingerprint(members[:-1])]
    assert len({before, *changed}) == 7
    assert len({bytes(digest) for digest in found.digests}) == len(found)


def test_another_process_reads_the_same(tmp_path):
    readers = []
    for name in ("folder", "parquet pictures", "array_record", "idx"):
        data = made_sources.data(made_sources.MAKERS[name](tmp_path / name), tmp_path)
        readers.append(open_source(data).reader)
    indices = np.array([5, 0])
    [there] = workers.completed(Reading(indices), [readers], num_workers=1)
    assert there == Reading(indices)(readers)


def test_only_what_differs_moves_a_fingerprint(tmp_path):
    fields = made_sources.folder(tmp_path / "made")
    before = open_source(made_sources.data(fields, tmp_path))
    (tmp_path / "made/class1/1.png").write_bytes(made_sources.png(99))
    after = open_source(made_sources.data(fields, tmp_path))
    same = np.array([i for i, name in enumerate(before.names) if name != "class1/1.png"])
    assert before.fingerprint(same) == after.fingerprint(same)
    assert before.fingerprint(_all(before)) != after.fingerprint(_all(after))
    with pytest.raises(ValueError, match=r"expected .*class1/1.png as it was when the run began, .* run again"):
        before.reader.read(_all(before))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"num_classes": 3}, "data.num_classes: expected 2, the classes that there are: class0, class1; got 3"),
        ({"transforms": "normalize"}, "data.transforms: expected it to begin with decode, since the source gives"),
        ({"eval_transforms": "flip_lr"}, "data.eval_transforms: expected it to begin with decode, .* got 'flip_lr'"),
        ({"labels": "numbers", "num_targets": 1}, "data.labels: expected 1 numbers an example for 'numbers', got int"),
        ({"files": ("nothing/*",)}, "data.files: expected files, but 'nothing/.' matches none"),
        ({"source": "json:nothing"}, "data.source: expected an importable module:name, got 'json:nothing'"),
        ({"source": "sys:path"}, "data.source: expected 'sys:path' to be Examples, got list; write name = Examples.of"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, fields, expected):
    made = made_sources.folder(tmp_path / "made")
    with pytest.raises(ValueError, match=expected):
        open_source(made_sources.data(made, tmp_path, **fields))
