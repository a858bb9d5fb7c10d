"""Raw files become records, one file at a time: formats, encodings and archives, whatever they hold.

    for file in inputs.find(["mails/**/*"], cache_dir=...):
        for found in read(file.path, file.name, spec=Collect()): ...

A record is named by its file and, where a file holds several, by its place there: "a/b.jsonl.gz#17", "a.zip/b.txt".
"""

import contextlib
import functools
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import IO, TypeAlias

from input_pipeline import remote
from input_pipeline.clean.collect import (
    array_record,
    compressed,
    delimited,
    formats,
    jsonl,
    mail,
    media,
    named,
    parquet,
    pdf,
    tars,
    text,
    warc,
    webdataset,
    zips,
)
from input_pipeline.clean.collect.content import CHUNK_BYTES, Budget, Content, Refused, Spent, buffered, spelt
from input_pipeline.clean.collect.spec import Collect
from input_pipeline.clean.record import Entry, Record

_BUFFER_BYTES = 1 << 20  # for files that are larger

__all__ = ["CONTAINERS", "READERS", "Collect", "read"]

Reader: TypeAlias = Callable[[Content], Iterator[Record | Entry]]
Container: TypeAlias = Callable[[Content], Iterator[Content | Entry]]

# Format -> what reads it; the keys of `formats.FORMATS`.
READERS: Mapping[str, Reader] = {
    "text": text.read_text,
    "html": text.read_html,
    "jsonl": jsonl.read,
    "csv": delimited.read,
    "parquet": parquet.read,
    "warc": warc.read,
    "mail": mail.read_mail,
    "mbox": mail.read_mbox,
    "pdf": pdf.read,
    "image": media.read,
    "audio": media.read,
    "webdataset": webdataset.read,
    "array_record": array_record.read,
}
# What holds files -> what gives them, each to be read before the next.
CONTAINERS: Mapping[str, Container] = {
    **{kind: functools.partial(compressed.members, kind=kind) for kind in compressed.OPENERS},
    "tar": tars.members,
    "zip": zips.members,
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
    except Spent as spent:
        yield spent.why.entry(id)


@contextlib.contextmanager
def _opened(path: str, id: str, name: str, spec: Collect) -> Iterator[Content]:
    file, size = _open(path)
    with file:
        budget = Budget(spec, size)
        stream = buffered(file.read, num_bytes=_BUFFER_BYTES if size > _BUFFER_BYTES else CHUNK_BYTES)
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
    """What lies in a file, or in what an archive holds; an entry at least."""
    is_empty = True
    try:
        for found in _found(content):
            is_empty = False
            yield found
        if content.fault:
            raise content.fault
        if is_empty:
            raise Refused("empty", "no records")
    except Refused as refused:
        yield refused.entry(content.name)


def _found(content: Content) -> Iterator[Record | Entry]:
    if not content.head():
        raise content.fault or Refused("empty", 0)
    kind = _kind(content)
    if kind in CONTAINERS:
        for member in CONTAINERS[kind](content):
            yield from [member] if isinstance(member, Entry) else _records(member)
        return
    for found in READERS[kind](content):
        yield found if isinstance(found, Entry) else named.told_by_name(found, content)


def _kind(content: Content) -> str:
    """A key of READERS or CONTAINERS: files of files by suffix or first bytes; others as asked, else the same way."""
    kind, asked = formats.by_suffix(content.form) or formats.by_magic(content.head()), content.spec.format
    if kind in CONTAINERS and not (kind == "tar" and asked == "webdataset"):
        return kind
    if asked != "auto":
        return asked
    if kind == "unsupported":
        raise Refused("unsupported", spelt(content.form.rpartition(".")[2])[:40], ", ".join(READERS))
    return kind
