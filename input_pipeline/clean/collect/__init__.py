"""Raw files become records, one file at a time: formats, encodings and archives, whatever they hold.

    for found in read(path, "a/b.jsonl.gz", spec=Collect()): ...

A record is named by its file and, where a file holds several, by its place there: "a/b.jsonl.gz#17", "a.zip/b.txt".
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from input_pipeline import remote
from input_pipeline.clean.collect import formats, jsonl, mail, text
from input_pipeline.clean.collect.content import Budget, Content, Refused, Spent, buffered, spelt
from input_pipeline.clean.collect.spec import Collect
from input_pipeline.clean.record import Entry, Record

Reader = Callable[[Content], Iterator[Record | Entry]]

# Format -> what reads it; the keys of `formats.FORMATS`.
READERS: Mapping[str, Reader] = {
    "text": text.read_text,
    "html": text.read_html,
    "jsonl": jsonl.read,
    "mail": mail.read_mail,
    "mbox": mail.read_mbox,
}


def read(path: str, name: str, *, spec: Collect) -> Iterator[Record | Entry]:
    """What a file holds: records, and an entry for each that had to be mended or left out.

    Args:
      path: on this machine, or a URL that fsspec knows.
      name: the file's name below the glob's folder; ids begin with it.

    Raises:
      ValueError: a package that is missing.
      OSError: this machine fails, as a full disk does; never for what a file holds.
    """
    id = spelt(name)
    try:
        with _opened(path, id, name, spec) as content:
            yield from _records(content)
    except Refused as refused:
        yield refused.entry(id)


@contextlib.contextmanager
def _opened(path: str, id: str, name: str, spec: Collect) -> Iterator[Content]:
    file, size = _open(path)
    with file:
        budget = Budget(spec, size)
        stream = buffered(file.read)
        yield Content(id, name, stream, spec, budget, path="" if remote.is_url(path) else path, size=size)


def _open(path: str) -> tuple[IO[bytes], int]:
    """-> a file of bytes, and how many they are.

    Raises:
      Refused: what cannot be opened, or is no file.
    """
    if remote.is_url(path):
        return _open_url(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # a FIFO would wait for ever
            raise Refused("unreadable", _KINDS.get(stat.S_IFMT(status.st_mode), "no file"), "a file")
        return open(path, "rb", buffering=0), status.st_size
    except OSError as error:
        raise Refused("unreadable", error.strerror or type(error).__name__, "a file") from None


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _open_url(url: str) -> tuple[IO[bytes], int]:
    system, path = remote.file_system(url, field="source.files")
    try:
        return system.open(path, "rb"), int(system.info(path)["size"] or 0)
    except Exception as error:  # every protocol raises its own
        raise Refused("unreadable", f"{type(error).__name__}: {error}"[:200], "a file") from None


def _records(content: Content) -> Iterator[Record | Entry]:
    """What lies in a file, or in what an archive holds."""
    try:
        kind = _kind(content)
        yield from READERS[kind](content)
    except Spent:
        raise
    except Refused as refused:
        yield refused.entry(content.name)
    else:
        if content.fault:
            yield content.fault.entry(content.name)


def _kind(content: Content) -> str:
    kind = formats.by_suffix(content.form)
    if formats.is_container(kind):
        return kind
    if content.spec.format != "auto":
        return content.spec.format
    return kind or formats.by_magic(content.head())
