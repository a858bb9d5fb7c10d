"""Files behind URLs are copied once, whole, and are then files like others."""

import functools
import http.server
import threading

import fsspec
import pytest

from input_pipeline import remote
from input_pipeline.sources import open_source
from input_pipeline.spec import Data

FILES = {"corpus/a/1.txt": b"one", "corpus/a/2.txt": b"two", "corpus/b/3.txt": b"three", "corpus/b/4.md": b"four"}


@pytest.fixture
def bucket():
    system = fsspec.filesystem("memory")
    for name, content in FILES.items():
        system.pipe(f"/bucket/{name}", content)
    yield system
    system.rm("/bucket", recursive=True)


@pytest.fixture
def server(tmp_path):
    """A web server over tmp_path/web. -> its URL"""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    (tmp_path / "web").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://localhost:{running.server_port}"
        running.shutdown()


@pytest.fixture
def open_urls(tmp_path):
    def opened(*urls, progress=lambda *_: None, **fields):
        data = Data(**{"seq_len": 8, "files": urls, "cache": str(tmp_path / "cache")} | fields)
        return open_source(data, progress=progress)

    return opened


def _contents(source):
    return {source.name(i): source.read(i) for i in range(len(source))}


def test_globs_match_as_they_do_here(bucket, open_urls, tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for pattern in ("corpus/**/*.txt", "corpus/a/*", "corpus/*/3.txt", "corpus/b/4.md"):
        here, there = open_urls(f"{tmp_path}/{pattern}"), open_urls(f"memory://bucket/{pattern}")
        assert _contents(here) == _contents(there) != {}
        assert here.fingerprint() == there.fingerprint()


def test_copies_are_made_once_and_anew_when_the_file_changes(bucket, open_urls, monkeypatch):
    heard = []
    first = open_urls("memory://bucket/corpus/**/*.txt", progress=lambda *report: heard.append(report))
    assert heard[-1] == ("downloading (bytes)", 11, 11)
    monkeypatch.setattr(remote.shutil, "copyfileobj", None)
    assert _contents(open_urls("memory://bucket/corpus/**/*.txt")) == _contents(first)
    monkeypatch.undo()
    bucket.pipe("/bucket/corpus/a/1.txt", b"uno")
    heard.clear()
    again = open_urls("memory://bucket/corpus/**/*.txt", progress=lambda *report: heard.append(report))
    assert again.read(0) == b"uno"
    assert heard == [("downloading (bytes)", 3, 3)]
    assert first.read(0) == b"one"


def test_a_copy_that_is_too_short_is_no_copy(bucket, open_urls, tmp_path, monkeypatch):
    copy = remote.shutil.copyfileobj
    monkeypatch.setattr(remote.shutil, "copyfileobj", lambda source, draft, _: draft.write(source.read()[:-1]))
    with pytest.raises(
        ValueError, match=r"copying memory:///bucket/corpus/a/1.txt: expected 3 bytes, got 2; run again"
    ):
        open_urls("memory://bucket/corpus/a/1.txt")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    monkeypatch.setattr(remote.shutil, "copyfileobj", copy)
    assert open_urls("memory://bucket/corpus/a/1.txt").read(0) == b"one"


def test_web_servers(server, open_urls, tmp_path, monkeypatch):
    file = tmp_path / "web" / "a.jsonl"
    file.write_text('{"text": "one"}\n{"text": "two"}\n')
    source = open_urls(f"{server}/a.jsonl?download=1", source="jsonl")
    assert _contents(source) == {"a.jsonl#000000000": b"one", "a.jsonl#000000001": b"two"}
    monkeypatch.setattr(remote.shutil, "copyfileobj", None)
    assert open_urls(f"{server}/a.jsonl?download=1", source="jsonl").read(1) == b"two"
    with pytest.raises(ValueError, match=r"expected a file at http.*b.jsonl, but HTTP Error 404: .*; write its path"):
        open_urls(f"{server}/b.jsonl", source="jsonl")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("gs://bucket/*.txt", r"data.files: gs:// needs the package gcsfs; pip install gcsfs"),
        ("s3://bucket/*.txt", r"data.files: s3:// needs the package s3fs; pip install s3fs"),
        ("nowhere://a", r"expected a path, or a URL such as gs, s3, http, https, got 'nowhere://a'"),
        ("memory://no/such/*.txt", r"'memory://no/such/\*.txt' matches none"),
        ("memory://no/such/a.txt", r"'memory://no/such/a.txt' matches none"),
        ("http://localhost:1/a.txt", r"expected a file at http://localhost:1/a.txt, but .*refused"),
    ],
)
def test_what_cannot_be_reached(url, message, open_urls):
    with pytest.raises(ValueError, match=message) as error:
        open_urls(url)
    assert "\n" not in str(error.value)
