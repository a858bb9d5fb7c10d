"""What runs the stages: tasks that write files of their own, and one keyed exchange between them.

A task is a number, and writes its result under a final name whole or not at all, so that it may be run again, by
another process, machine or engine, and gives the same bytes. An engine decides where and when.
"""

import pathlib
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from input_pipeline import cache
from input_pipeline.clean import blocks


@dataclass(frozen=True)
class Stage:
    """A folder under the name of what is in it and the hash of all that this depends on."""

    root: pathlib.Path
    name: str
    key: str

    @property
    def folder(self) -> pathlib.Path:
        """Where its files lie."""
        return self.root / f"{self.name}-{self.key[:20]}"

    def then(self, name: str, *depends: object) -> "Stage":
        """The stage that follows this one, and depends on what is named besides."""
        return Stage(self.root, name, cache.key(name, self.key, *depends))


def first(root: pathlib.Path, name: str, *depends: object) -> Stage:
    """A stage that follows none."""
    return Stage(root, name, cache.key(blocks.FORMAT, name, *depends))


class Work(Protocol):
    """The tasks of a stage; pickles to whoever does them."""

    def done(self, number: int, /) -> bool:
        """Whether its result is there."""

    def reads(self, number: int, /) -> Sequence[object]:
        """The files or other things that it reads, for people who look for what went wrong."""

    def __call__(self, number: int, /) -> None:
        """Writes its result."""


class Exchange(Protocol):
    """Two rounds of tasks: each of the first sends bytes to partitions, each of the second gets those of one."""

    @property
    def num_partitions(self) -> int:
        """How many there are."""

    def emit(self, task: int) -> Iterator[tuple[int, bytes]]:
        """(partition, bytes) that a task sends, at most once to each partition."""

    def reduce(self, partition: int, sent: Sequence[bytes]) -> None:
        """Writes the result of a partition from what was sent to it, in the order of the tasks."""

    def done(self, partition: int, /) -> bool:
        """Whether the result of a partition is there."""


class Engine(Protocol):
    """Runs tasks, wherever."""

    def run(self, label: str, work: Work, num_tasks: int) -> None:
        """Returns when the result of every task is there."""

    def exchange(self, label: str, exchange: Exchange, num_tasks: int, folder: pathlib.Path) -> None:
        """Returns when the result of every partition is there; what is on its way may lie in `folder`."""


class TaskFailed(RuntimeError):
    """What nobody foresaw, in one line."""


def attempt(work: Work, number: int) -> None:
    """Does a task that is not done.

    Raises:
      ValueError, OSError or TaskFailed: one line that names what the task reads.
    """
    try:
        if not work.done(number):
            work(number)
    except Exception as error:
        raise described(error, several(work.reads(number))) from error


def described(error: Exception, what: str) -> Exception:
    """The error in one line with what was read; one that survives pickling, which not all errors do.

    A note that was added to it names the culprit better.
    """
    what = "; ".join(getattr(error, "__notes__", ())) or what
    told = " ".join(str(error).split())
    if type(error) is ValueError:  # what a user can mend; libraries raise subclasses of it
        return ValueError(f"{told} (in {what})")
    if isinstance(error, OSError):
        return OSError(f"{told} (in {what})")
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {pathlib.Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return TaskFailed(f"{type(error).__name__}: {told}{where} (in {what})")


def several(things: Sequence[object]) -> str:
    """The first, and how many there are besides."""
    if not things:
        return "nothing"
    return f"{things[0]} and {len(things) - 1:,} more" if len(things) > 1 else str(things[0])
