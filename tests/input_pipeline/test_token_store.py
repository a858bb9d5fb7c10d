"""The store: every byte accounted for, the same whoever builds it, and never half of one."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from input_pipeline import token_store
from input_pipeline.documents import BadRecord, Documents
from input_pipeline.packing import plan_rows
from input_pipeline.sources import Memory
from input_pipeline.token_store import build, open_store
from input_pipeline.tokenizer import Bytes, HuggingFace

SOURCE = Memory(tuple(bytes([i]) * 300_000 for i in range(12)))  # 3.6 MB: four shards


def _files(store):
    return {f.name: f.read_bytes() for f in store.directory.iterdir() if f.is_file()}


def test_documents_stand_one_after_another(tmp_path):
    texts = (b"abc", b"", b"\xff\x00")
    store = build(Memory(texts), tokenizer=Bytes(), cache_dir=tmp_path)
    assert store.tokens.tolist() == [256, 97, 98, 99, 256, 256, 255, 0, 256]
    assert store.documents.tolist() == [[0, 4, 5], [4, 1, 3], [3, 0, 2]]
    assert (store.num_tokens, store.num_documents, store.num_bytes) == (8, 3, 5)
    assert store.read(1, length=3).tolist() == [97, 98, 99]
    assert store.tokens.dtype == np.uint16
    assert store.index.num_replaced == 0


def test_the_same_bytes_for_any_number_of_workers(tmp_path):
    stores = [build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path / str(w), workers=w) for w in (0, 1, 2)]
    assert _files(stores[0]) == _files(stores[1]) == _files(stores[2])
    eod = Bytes().eod_id
    expected = [part for i in range(12) for part in ([eod], Bytes().encode(SOURCE.read(i)))]
    np.testing.assert_array_equal(stores[2].tokens, np.concatenate([*expected, [eod]]))


def test_an_interrupted_build_resumes(tmp_path):
    class Killed(Exception):
        pass

    def kill(label, done, total):
        if done > total / 3:
            raise Killed

    with pytest.raises(Killed):
        build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path / "a", progress=kill)
    [directory] = (d for d in (tmp_path / "a" / "tokens").iterdir() if d.is_dir())
    with pytest.raises(FileNotFoundError):
        open_store(directory)
    made = {f.name: f.stat().st_mtime_ns for f in (directory / "shards").iterdir()}
    assert 0 < len(made) < 4
    heard = []
    store = build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path / "a", progress=lambda *r: heard.append(r))
    assert heard[0][0] == "tokenizing, resumed (bytes)"
    assert 0 < heard[0][1] < heard[0][2] == heard[-1][1]
    assert len(heard) == 1 + 4 - len(made)
    assert _files(store) == _files(build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path / "b"))
    assert not (directory / "shards").exists()


def test_a_build_that_dies_while_joining_is_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(token_store.json, "dumps", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path)
    monkeypatch.undo()
    [tokens] = tmp_path.glob("tokens/*/tokens.bin")
    with pytest.raises(FileNotFoundError):
        open_store(tokens.parent)
    assert build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path).num_bytes == 3_600_000
    assert not list(tmp_path.rglob("*.tmp"))


BUILDER = textwrap.dedent("""
    import pathlib, sys
    from input_pipeline.sources import Memory
    from input_pipeline.token_store import build
    from input_pipeline.tokenizer import Bytes

    def report(label, done, total):
        print(label, done, flush=True)
        if done and sys.argv[2] == "2":
            sys.stdin.read()  # until it is killed

    source = Memory(tuple(bytes([i]) * 300_000 for i in range(12)))
    build(source, tokenizer=Bytes(), cache_dir=pathlib.Path(sys.argv[1]), workers=int(sys.argv[2]), progress=report)
""")  # without a __main__ guard: worker processes must not need one


def _start(folder, *, workers):
    command = [sys.executable, "-c", BUILDER, str(folder), str(workers)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, cwd=os.getcwd(), **pipes)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_kill_9_takes_the_workers_along_and_the_next_build_resumes(tmp_path):
    first = _start(tmp_path / "a", workers=2)
    for line in first.stdout:
        if line.startswith("tokenizing") and line.split()[-1] != "0":
            break
    children = _children(first.pid)
    assert len(children) >= 2
    first.send_signal(signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 10
    while not all(map(_gone, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert all(map(_gone, children))
    first.communicate()
    # Two at once go on from there; neither harms the other.
    both = [_start(tmp_path / "a", workers=0) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("tokenizing, resumed" in text for text in said) == 1
    store = build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path / "a", progress=pytest.fail)
    assert _files(store) == _files(build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path / "b"))


def test_a_spoilt_store_is_named(tmp_path):
    store = build(Memory((b"some text",) * 3), tokenizer=Bytes(), cache_dir=tmp_path)
    tokens = store.directory / "tokens.bin"
    tokens.write_bytes(tokens.read_bytes()[:-2])
    with pytest.raises(ValueError, match=rf"expected 62 bytes in {tokens}, found 60; delete {store.directory}"):
        build(Memory((b"some text",) * 3), tokenizer=Bytes(), cache_dir=tmp_path)


def test_a_spoilt_shard_is_made_again(tmp_path):
    with pytest.raises(RuntimeError):
        build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path, progress=_stop_at_half)
    shard = min(tmp_path.glob("tokens/*/shards/*.npz"))
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ValueError, match=f"expected a whole shard in {shard}"):
        build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path)
    assert build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path).num_bytes == 3_600_000


def _stop_at_half(label, done, total):
    if done > total / 2:
        raise RuntimeError


def test_what_is_not_utf8_is_counted_and_named(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(
        models.BPE(vocab={c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[])
    )
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens(["</s>"])
    source = Memory((b"good", b"\xff", "é".encode(), b"\xc3"))
    store = build(source, tokenizer=HuggingFace(made.to_str()), cache_dir=tmp_path)
    assert (store.index.num_replaced, store.index.replaced) == (2, ("document-000001", "document-000003"))
    assert (store.num_bytes, store.num_tokens) == (8, 4 + 4 + 3 + 2 + 3)


class Spoilt(Documents):
    """Memory, whose text "bad" cannot be read."""

    def __init__(self, *texts):
        self.texts = texts

    def __len__(self):
        return len(self.texts)

    def name(self, i):
        return f"record-{i}"

    def read(self, i):
        if self.texts[i] == b"bad":
            raise BadRecord("spoilt")
        return self.texts[i]


def test_a_bad_record_has_no_token_not_even_a_separator(tmp_path):
    store = build(Spoilt(b"bad", b"ab", b"", b"bad", b"c", b"bad"), tokenizer=Bytes(), cache_dir=tmp_path)
    assert store.tokens.tolist() == [256, 97, 98, 256, 256, 99, 256]
    assert store.documents.tolist() == [[0, 0, 3, 4, 4, 6], [0, 3, 1, 0, 2, 0], [0, 2, 0, 0, 1, 0]]
    assert (store.num_tokens, store.num_documents, store.num_bytes) == (6, 6, 3)
    assert store.index.num_bad == 3
    assert store.index.bad == ("record-0: spoilt", "record-3: spoilt", "record-5: spoilt")
    assert open_store(store.directory).index == store.index


def test_a_source_of_bad_records_alone_has_no_rows(tmp_path):
    store = build(Spoilt(b"bad", b"bad"), tokenizer=Bytes(), cache_dir=tmp_path)
    assert store.num_tokens == 0
    with pytest.raises(ValueError, match="expected text, but all 2 records hold none"):
        plan_rows(store, seq_len=8, packing="concat", cache_dir=tmp_path)


def test_keys_tell_texts_and_tokenizers_apart(tmp_path):
    first = build(Memory((b"ab",)), tokenizer=Bytes(), cache_dir=tmp_path)
    assert build(Memory((b"ac",)), tokenizer=Bytes(), cache_dir=tmp_path).fingerprint != first.fingerprint
    other = Bytes(fingerprint="other")
    assert build(Memory((b"ab",)), tokenizer=other, cache_dir=tmp_path).fingerprint != first.fingerprint


def test_stores_and_rows_pickle_as_paths(tmp_path):
    store = build(SOURCE, tokenizer=Bytes(), cache_dir=tmp_path)
    rows = plan_rows(store, seq_len=64, packing="concat", cache_dir=tmp_path)
    rows.read(np.arange(3))
    assert len(pickle.dumps(rows)) < 1000
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(rows)).read(np.arange(3))["tokens"], rows.read(np.arange(3))["tokens"]
    )
