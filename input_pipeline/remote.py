"""Files behind URLs, copied to this machine once: gs://, s3:// and whatever else fsspec knows, http:// and https://.

A copy is named by its URL and by what the server says of the file's version, so a file that changes there is
another file here. Copies are whole or absent, as all in cache.py, and as long as the server said.

    remote/<key>/<name of the file>
"""

import functools
import glob
import pathlib
import posixpath
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any

from input_pipeline import cache
from input_pipeline.progress import Progress, quiet

_NUM_THREADS = 8
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60
# What file systems call a version of a file, the most telling first.
_VERSIONS = ("generation", "etag", "ETag", "md5Hash", "ContentMD5", "mtime", "LastModified", "last_modified", "updated")
_WEB = ("http", "https")


@dataclass(frozen=True)
class Remote:
    """A file elsewhere."""

    url: str
    name: str  # its path below the glob's last folder without a wildcard
    num_bytes: int | None  # None where the server does not say
    version: str  # "" where the server tells none; such a file is copied each time
    open: Callable[[], AbstractContextManager[IO[bytes]]]


def is_url(path: str) -> bool:
    return "://" in path


def copies(
    urls: Sequence[str], *, cache_dir: pathlib.Path, progress: Progress = quiet, field: str = "data.files"
) -> dict[str, str]:
    """{path of the copy: name} of the files that URLs, or globs of URLs, match; errors name the `field`.

    Raises:
      ValueError: a protocol that is not installed or not known, a server that refuses, a copy that is too short.
    """
    found = [remote for url in urls for remote in (_web(url, field) if _protocol(url) in _WEB else _listed(url, field))]
    paths = {remote: _path(remote, cache_dir) for remote in found}
    missing = [remote for remote in found if not (remote.version and paths[remote].is_file())]
    total = sum(remote.num_bytes or 0 for remote in missing)
    done = 0
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        copying = [pool.submit(_copy, remote, paths[remote], field) for remote in missing]
        try:
            for copied in as_completed(copying):
                done += copied.result()
                progress("downloading (bytes)", done, max(done, total))
        finally:
            pool.shutdown(cancel_futures=True)
    return {str(path): remote.name for remote, path in paths.items()}


def _protocol(url: str) -> str:
    return url.split("://", 1)[0].lower()


def _path(remote: Remote, cache_dir: pathlib.Path) -> pathlib.Path:
    key = cache.key("remote 1", remote.url, remote.num_bytes, remote.version)
    return cache_dir / "remote" / key[:32] / posixpath.basename(remote.name)


def _copy(remote: Remote, path: pathlib.Path, field: str) -> int:
    """-> bytes copied."""
    try:
        with remote.open() as source, cache.replacing(path) as draft:
            shutil.copyfileobj(source, draft, _CHUNK_BYTES)
            num_bytes = draft.tell()
            if remote.num_bytes not in (None, num_bytes):
                raise ValueError(f"expected {remote.num_bytes} bytes, got {num_bytes}; run again")
    except (OSError, ValueError) as error:
        raise ValueError(f"{field}: copying {remote.url}: {error}") from None
    return num_bytes


def _listed(pattern: str, field: str) -> list[Remote]:
    """What a file system of fsspec lists."""
    system, path = file_system(pattern, field=field)
    try:
        paths: Sequence[str] = system.glob(path) if glob.has_magic(path) else [path]
        infos = {found: system.info(found) for found in paths}
    except FileNotFoundError:
        return []
    except Exception as error:  # every protocol raises its own
        raise ValueError(f"{field}: expected to read {pattern!r}, but {type(error).__name__}: {error}") from None
    root = _plain_folder(path)
    return [
        Remote(
            url=system.unstrip_protocol(found),
            name=posixpath.relpath(found, root),
            num_bytes=info["size"],
            version=_version(info),
            open=functools.partial(system.open, found, "rb"),
        )
        for found, info in infos.items()
        if info["type"] == "file"
    ]


def file_system(url: str, *, field: str = "data.files") -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path there.

    Raises:
      ValueError: a protocol that is not installed or not known.
    """
    import fsspec
    from fsspec.registry import known_implementations

    protocol = _protocol(url)
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError:
        package = known_implementations[protocol]["class"].split(".")[0]
        raise ValueError(f"{field}: {protocol}:// needs the package {package}; pip install {package}") from None
    except ValueError as error:
        known = ", ".join(("gs", "s3", *_WEB))
        raise ValueError(f"{field}: expected a path, or a URL such as {known}, got {url!r}: {error}") from None


def _version(info: dict[str, Any]) -> str:
    stated = next((info[key] for key in _VERSIONS if info.get(key)), info.get("created"))
    return str(stated or "")


def _plain_folder(pattern: str) -> str:
    """The last folder of a glob that comes before any wildcard."""
    folder = posixpath.dirname(pattern)
    while glob.has_magic(folder):
        folder = posixpath.dirname(folder)
    return folder


def _web(url: str, field: str) -> list[Remote]:
    """One file of a web server; a question mark there begins a query and is no wildcard."""
    headers = _headers(url, field)
    size = headers.get("Content-Length")
    encoded = headers.get("Content-Encoding", "identity") != "identity"
    return [
        Remote(
            url=url,
            name=posixpath.basename(urllib.parse.unquote(urllib.parse.urlsplit(url).path)) or "index",
            num_bytes=int(size) if size and not encoded else None,
            version=headers.get("ETag") or headers.get("Last-Modified") or "",
            open=functools.partial(urllib.request.urlopen, url, timeout=_TIMEOUT_S),
        )
    ]


def _headers(url: str, field: str) -> Any:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_TIMEOUT_S) as answer:
            return answer.headers
    except (OSError, ValueError) as error:
        raise ValueError(f"{field}: expected a file at {url}, but {error}; write its path or URL") from None
