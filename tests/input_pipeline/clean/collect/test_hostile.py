"""Every hostile file is read to its end, within limits of time and memory, and gives what is sound in it."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hostile_files.table import HOSTILE

from input_pipeline.clean import inputs
from input_pipeline.clean.collect import Collect, read
from input_pipeline.clean.collect.content import spelt
from input_pipeline.clean.record import CHANGED, EXCERPT, REMOVED, Entry, Record
from train.clock import host_peak_bytes

ROOT = pathlib.Path(__file__).parents[4]
SECONDS = 120  # that no file needs, on however busy a machine
MAX_BYTES = 700 << 20  # of memory, with all that was imported; a record may be 64 MiB


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def stop(*_) -> None:
        raise TimeoutError(f"still reading after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check(name: str, folder: pathlib.Path) -> None:
    case = HOSTILE[name]
    case.write(folder / name)
    found = list(read(str(folder / name), name, spec=Collect(**case.spec)))
    records = [each for each in found if isinstance(each, Record)]
    entries = [each for each in found if isinstance(each, Entry)]
    assert {entry.rule for entry in entries} == {f"collect.{rule}" for rule in case.rules}
    assert sorted(record.id for record in records) == sorted(spelt(name) + id for id in case.sound)
    for entry in entries:
        assert entry.action in (REMOVED, CHANGED)
        assert entry.id.startswith(spelt(name))
        assert len(str(entry.value)) <= 250
        assert len(entry.excerpt) <= EXCERPT
    for each in found:
        repr(each).encode()  # nothing that UTF-8 cannot spell
    for record in records:
        (record.id + record.text + "".join(map(str, record.fields))).encode()


@pytest.mark.parametrize("name", [name for name, case in HOSTILE.items() if not case.is_large])
def test_what_is_sound_is_given_and_what_is_not_is_named(name, tmp_path):
    with time_limit(SECONDS):
        check(name, tmp_path)


def test_large_files_lie_in_little_memory(tmp_path):
    names = [name for name, case in HOSTILE.items() if case.is_large]
    assert len(names) >= 12
    child = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))},
        capture_output=True,
        text=True,
        timeout=10 * SECONDS,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    assert int(child.stdout) < MAX_BYTES


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 150


def test_ids_are_unique_in_the_whole_collection_and_stay(tmp_path):
    written = [name for name, case in HOSTILE.items() if not (case.spec or case.is_large)][::5]
    folder = tmp_path / "all"
    folder.mkdir()
    for name in written:
        HOSTILE[name].write(folder / name)
    files = inputs.find([f"{folder}/*"], cache_dir=tmp_path / "cache")
    folders = sum((folder / name).is_dir() for name in written)
    assert len(files) == len(written) - folders
    spec = Collect()
    twice = [[each for file in files for each in read(file.path, file.name, spec=spec)] for _ in range(2)]
    assert repr(twice[0]) == repr(twice[1])
    ids = [each.id for each in twice[0] if isinstance(each, Record)]
    assert len(ids) == len(set(ids))


def main(folder: pathlib.Path) -> None:
    """Reads each large file in a process that has made none of them, and says how much memory that took."""
    for name in [name for name, case in HOSTILE.items() if case.is_large]:
        if not (child := os.fork()):
            HOSTILE[name].write(folder / name)
            os._exit(0)
        os.waitpid(child, 0)
        case = HOSTILE[name]
        records, kinds = 0, set()
        for each in read(str(folder / name), name, spec=Collect(**case.spec)):
            records += isinstance(each, Record)
            if isinstance(each, Entry):
                kinds.add(each.rule)
        assert records == len(case.sound), (name, records)
        assert kinds == {f"collect.{rule}" for rule in case.rules}, (name, kinds)
        (folder / name).unlink()
    print(host_peak_bytes())


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
