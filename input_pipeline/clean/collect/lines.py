"""Lines of a stream, in UTF-8, however long they are."""

import io
from collections.abc import Iterator

from input_pipeline.clean.collect import charset
from input_pipeline.clean.collect.content import Content, Refused, changed
from input_pipeline.clean.record import Entry

_SKIP_BYTES = 1 << 20


def lines(content: Content) -> Iterator[tuple[int, bytes | Refused] | Entry]:
    """Lines with their numbers from 0, ends of lines included; one that is too long is skipped as it is read.

    What a fault has cut short is no line. UTF-16 and UTF-32 are told of in an entry.
    """
    stream, encoding = charset.as_utf8(content.stream)
    if encoding != "utf-8":
        yield changed(content.name, "encoding", encoding, "utf-8")
    limit, number = content.spec.max_record_bytes, 0
    while line := stream.readline(limit + 1):
        if len(line) > limit:
            yield number, Refused("record_bytes", len(line) + _skip(stream, line), limit)
        elif line.endswith(b"\n") or not content.fault:
            yield number, line
        number += 1


def _skip(stream: io.BufferedReader, line: bytes) -> int:
    """-> bytes up to the end of the line that began so."""
    skipped = 0
    while not line.endswith(b"\n") and (line := stream.readline(_SKIP_BYTES)):
        skipped += len(line)
    return skipped
