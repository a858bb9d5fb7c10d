"""idx files: pairs become parts, and what is damaged is named."""

import gzip
import struct

import numpy as np
import pytest

from input_pipeline import files
from input_pipeline.labelled import idx

pytestmark = pytest.mark.fast


def write(folder, name, array, *, packed=False, kind=8):
    raw = struct.pack(">HBB", 0, kind, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path = folder / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(raw) if packed else raw)
    return path


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return {part: rng.integers(0, 256, (count, 4, 3), np.uint8) for part, count in (("train", 6), ("t10k", 2))}


def opened(folder):
    found = files.find([f"{folder}/*ubyte*"], cache_dir=folder / "cache")
    return idx.examples(found, classes=("a", "b", "c"), cache_dir=folder / "cache")


@pytest.mark.parametrize("packed", [True, False])
def test_pairs_become_parts(tmp_path, pictures, packed):
    for part, array in pictures.items():
        write(tmp_path, f"{part}-images-idx3-ubyte", array, packed=packed)
        write(tmp_path, f"{part}-labels-idx1-ubyte", np.arange(len(array), dtype=np.uint8) % 3, packed=packed)
    found = opened(tmp_path)
    assert len(found) == 8
    assert {name: members.tolist() for name, members in found.parts.items()} == {"train": [*range(6)], "test": [6, 7]}
    np.testing.assert_array_equal(found.labels, [0, 1, 2, 0, 1, 2, 0, 1])
    np.testing.assert_array_equal(
        found.reader.read(np.array([7, 0]))[..., 0], [pictures["t10k"][1], pictures["train"][0]]
    )
    assert found.names[7] == "test-000001"
    assert opened(tmp_path).fingerprint(np.arange(8)) == found.fingerprint(np.arange(8))
    assert found.fingerprint(np.arange(7)) != found.fingerprint(np.arange(8))


def test_what_is_wrong_is_named(tmp_path, pictures):
    images = write(tmp_path, "train-images-idx3-ubyte", pictures["train"])
    with pytest.raises(ValueError, match="expected images and labels of 'train', got images alone"):
        opened(tmp_path)
    labels = write(tmp_path, "train-labels-idx1-ubyte", np.zeros(5, np.uint8))
    with pytest.raises(ValueError, match="expected as many labels as images"):
        opened(tmp_path)
    labels.write_bytes(labels.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"unsigned bytes, but .*labels.* has type 8 and 4 bytes for \[5\]"):
        opened(tmp_path)
    write(tmp_path, "train-labels-idx1-ubyte", np.zeros(6, np.uint8), kind=13)
    with pytest.raises(ValueError, match="has type 13"):
        opened(tmp_path)
    spoilt = bytearray(gzip.compress(images.read_bytes()))
    spoilt[20] ^= 255
    images.write_bytes(spoilt)
    with pytest.raises(ValueError, match="is damaged"):
        opened(tmp_path)
    images.write_bytes(gzip.compress(write(tmp_path, "spare", pictures["train"]).read_bytes())[:-9])
    with pytest.raises(ValueError, match="is damaged"):
        opened(tmp_path)


def test_one_half_twice(tmp_path, pictures):
    for packed in (True, False):
        write(tmp_path, "train-images-idx3-ubyte", pictures["train"], packed=packed)
    with pytest.raises(ValueError, match=r"expected one file of each half, got 'train-images-idx3-ubyte' and"):
        opened(tmp_path)


def test_a_package_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    with pytest.raises(ValueError, match=r"write apt-get install dataset-fashion-mnist, or --config.data.source=tfds"):
        idx.known_files("fashion_mnist")
    (tmp_path / "datasets/fashion-mnist").mkdir(parents=True)
    assert idx.known_files("fashion_mnist") == [str(tmp_path / "datasets/fashion-mnist/*-ubyte*")]
    with pytest.raises(ValueError, match=r"expected one of fashion_mnist, or data.files, got 'mnist'"):
        idx.known_files("mnist")
