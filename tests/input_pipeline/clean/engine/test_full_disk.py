"""A disk that is full at some moment: nothing half written is taken for whole, and with room again it goes on."""

import errno
import os

import made_corpus
import numpy as np
import pytest

from input_pipeline import cache
from input_pipeline.clean import pipeline
from input_pipeline.clean.engine.local import Local
from input_pipeline.clean.spec import Clean, Dedup, Output


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    made_corpus.write(folder / "raw")
    return Clean(
        files=(f"{folder}/raw/*.jsonl",),
        cache=str(folder / "cache"),
        block_records=40,
        dedup=Dedup(near="minhash(ngram=5)"),
        output=Output(format="array_record"),
    )


def run(spec, output):
    with Local() as engine:
        pipeline.run(spec, output, engine=engine)


def tree(folder):
    return {path.name: path.read_bytes() for name in ("data", "ledger", ".") for path in (folder / name).glob("*.*")}


@pytest.fixture
def room(monkeypatch):
    """`room[0]` more files find room on the disk."""
    left = [10**9]

    def fsync(descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.os, "fsync", fsync)
    return left


def test_with_room_again_it_goes_on_to_the_same_bytes(spec, tmp_path, room):
    run(spec, tmp_path / "whole")
    num_files = 10**9 - room[0]
    assert num_files > 100
    for left in (2, num_files // 3, num_files // 2):
        room[0] = left
        with pytest.raises(OSError, match="no room is left on the disk"):
            run(spec, tmp_path / "out")
        assert not (tmp_path / "out" / "manifest.json").exists()
        assert not list((tmp_path / "out").rglob("*.tmp"))
    room[0] = 10**9
    run(spec, tmp_path / "out")
    assert 10**9 - room[0] < num_files * 2 / 3, "what was done is not done again"
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.fast
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("639 requested and 496 written"),  # numpy.ndarray.tofile
        RuntimeError("write() failed: No space left on device; at byte 307200"),  # array_record
    ],
)
def test_libraries_that_tell_of_it_in_words(tmp_path, error):
    def write():
        with cache.replacing(tmp_path / "made.npy") as file:
            np.save(file, np.zeros(3))
            raise error

    with pytest.raises(OSError, match=r"no room is left on the disk: .*made\.npy") as caught:
        write()
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())
