"""Bytes on their way to a reader: a stream with limits, which ends where it is damaged and remembers why."""

import contextlib
import io
import lzma
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from input_pipeline.clean.collect.formats import HEAD_BYTES
from input_pipeline.clean.collect.spec import Collect
from input_pipeline.clean.record import CHANGED, REMOVED, Entry, excerpt

CHUNK_BYTES = 1 << 16
# Unpacked before a ratio is looked at: of one stream, and of all that one file holds.
FREE_BYTES, FREE_TOTAL_BYTES = 16 << 20, 64 << 20
_DAMAGE = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)
_UNSAFE = re.compile(r"[%#\x00-\x1f\x7f\u2028\u2029\udc80-\udcff]")


class Refused(Exception):
    """Something that holds no records, and why."""

    def __init__(self, reason: str, value: str | float = "", threshold: str | float = "") -> None:
        super().__init__(reason, value, threshold)
        self.reason, self.value, self.threshold = reason, value, threshold

    def entry(self, name: str, *, action: str = REMOVED, text: str = "") -> Entry:
        return Entry(name, f"collect.{self.reason}", self.value, self.threshold, action, excerpt(text))


class Spent(Exception):
    """A file that has unpacked all that it may, and why: nothing more of it is read."""

    def __init__(self, why: Refused) -> None:
        super().__init__(why)
        self.why = why


def changed(name: str, reason: str, value: str | float = "", threshold: str | float = "") -> Entry:
    """A record that stays, though not as it came."""
    return Refused(reason, value, threshold).entry(name, action=CHANGED)


def spelt(name: str) -> str:
    """A name as ids have it: what would be read as a place, and what text cannot hold, as %XX.

    No two names become one.
    """
    return _UNSAFE.sub(_percent, name)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))


@dataclass
class Budget:
    """What one file may still unpack, in all its layers together."""

    spec: Collect
    packed: int  # bytes of the file
    unpacked: int = 0
    members: int = 0

    def unpack(self, num_bytes: int) -> None:
        self.unpacked += num_bytes
        if self.unpacked > self.spec.max_archive_bytes:
            raise Spent(Refused("archive_bytes", self.unpacked, self.spec.max_archive_bytes))
        if self.unpacked > FREE_TOTAL_BYTES and self.unpacked > self.spec.max_ratio * self.packed:
            raise Spent(Refused("ratio", round(self.unpacked / max(1, self.packed), 1), self.spec.max_ratio))

    def open_member(self) -> None:
        self.members += 1
        if self.members > self.spec.max_archive_members:
            raise Spent(Refused("archive_members", self.members, self.spec.max_archive_members))


class Guarded(io.RawIOBase):
    """Raw bytes from `read`, which gives b"" at the end. Where it fails for what the bytes are, the stream ends."""

    def __init__(self, read: Callable[[int], bytes], account: Callable[[int], Refused | None]) -> None:
        self._read, self._account = read, account
        self.fault: Refused | None = None
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """At least HEAD_BYTES, or all there are, so that a peek tells what a stream holds."""
        filled = 0
        while not self.fault and filled < min(HEAD_BYTES, len(buffer)):
            try:
                raw = self._read(len(buffer) - filled)
            except _DAMAGE as error:
                self.fault = self._reason(error)
                break
            if not raw:
                break
            buffer[filled : filled + len(raw)] = raw
            filled += len(raw)
            self.count += len(raw)
            self.fault = self._account(len(raw))
        return filled

    def _reason(self, error: Exception) -> Refused:
        if isinstance(error, OSError) and error.errno is not None:
            raise error  # the machine's fault, not the file's
        kind = "truncated" if isinstance(error, EOFError) else "damaged"
        return Refused(kind, f"after {self.count} bytes: {error}"[:200])


def _free(_: int) -> None:
    """What is not unpacked counts for nothing."""


def buffered(
    read: Callable[[int], bytes],
    *,
    account: Callable[[int], Refused | None] = _free,
    num_bytes: int = CHUNK_BYTES,
) -> io.BufferedReader:
    """A guarded stream over `read`.

    Args:
      account: is told how many bytes came, each time, and may end the stream.
      num_bytes: of the buffer.
    """
    return io.BufferedReader(Guarded(read, account), num_bytes)


@dataclass
class _Ratio:
    """Ends a stream that unpacks to far more than it was packed in."""

    budget: Budget
    packed: Callable[[], int]
    unpacked: int = 0

    def account(self, num_bytes: int) -> Refused | None:
        self.budget.unpack(num_bytes)
        self.unpacked += num_bytes
        ratio = self.unpacked / max(1, self.packed())
        limit = self.budget.spec.max_ratio
        return Refused("ratio", round(ratio, 1), limit) if self.unpacked > FREE_BYTES and ratio > limit else None


@dataclass
class Content:
    """A file, or what an archive holds: its bytes from the beginning, once."""

    name: str  # what ids begin with
    form: str  # the name that tells its format
    stream: io.BufferedReader  # over `Guarded`
    spec: Collect
    budget: Budget
    depth: int = 0
    path: str = ""  # where it lies on this machine, if it does so as it is
    size: int = -1  # bytes, where they are known

    def __post_init__(self) -> None:
        self._guard: Guarded = self.stream.raw  # type: ignore[assignment]

    @property
    def fault(self) -> Refused | None:
        """Why the bytes ended too early, if they did."""
        return self._guard.fault

    @property
    def count(self) -> int:
        """Bytes that came so far, buffered ones included."""
        return self._guard.count

    def inside(
        self,
        read: Callable[[int], bytes],
        *,
        name: str,
        form: str,
        packed: Callable[[], int] | None = None,
        size: int = -1,
    ) -> "Content":
        """What lies in this: another content, whose bytes `read` gives.

        Args:
          packed: how many packed bytes have become its bytes so far; None where nothing was packed.

        Raises:
          Refused: it lies too deep. Spent: it is one too many.
        """
        if self.depth >= self.spec.max_depth:
            raise Refused("depth", self.depth + 1, self.spec.max_depth)
        self.budget.open_member()
        account = _Ratio(self.budget, packed).account if packed else _free
        stream = buffered(read, account=account)
        return Content(name, form, stream, self.spec, self.budget, self.depth + 1, size=size)

    @contextlib.contextmanager
    def file(self) -> Iterator[IO[bytes]]:
        """A file to seek in, with a name: the file itself, or a copy for as long as it is wanted.

        Where a fault has cut the bytes short, so is the copy.
        """
        if self.path:
            with open(self.path, "rb") as file:
                yield file
            return
        with tempfile.NamedTemporaryFile(prefix="meshwright-") as copy:
            shutil.copyfileobj(self.stream, copy, 1 << 20)
            copy.seek(0)
            yield copy

    def head(self) -> bytes:
        """The first bytes, which stay there."""
        return self.stream.peek(HEAD_BYTES)[:HEAD_BYTES]

    def whole(self) -> bytes:
        """All bytes.

        Raises:
          Refused: there are none, or more than a record may have, or a fault among them.
        """
        raw = self.at_most(self.spec.max_record_bytes)
        if self.fault:
            raise self.fault
        if not raw:
            raise Refused("empty", 0)
        return raw

    def at_most(self, limit: int) -> bytes:
        """All bytes up to the end or a fault.

        Raises:
          Refused: they are more than the limit.
        """
        if self.size > limit:
            raise Refused("record_bytes", self.size, limit)
        pieces, total = [], 0
        while piece := self.stream.read1(CHUNK_BYTES):
            total += len(piece)
            if total > limit:
                raise Refused("record_bytes", f"more than {limit}", limit)
            pieces.append(piece)
        return b"".join(pieces)
