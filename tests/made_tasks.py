"""Tasks of a stage that go wrong as they are told, in a module that worker processes can import."""

import errno
import os
import pathlib
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from input_pipeline import cache


class Unpicklable(Exception):
    """As libraries raise them: its arguments are not those of its constructor."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one}\n{other}")


@dataclass(frozen=True)
class Writing:
    """Writes its number to a file, unless `fault` has something else for it."""

    folder: pathlib.Path
    fault: Mapping[int, str] = field(default_factory=dict)

    def path(self, task: int) -> pathlib.Path:
        return self.folder / f"{task}.txt"

    def done(self, task: int) -> bool:
        return self.path(task).exists()

    def reads(self, task: int) -> Sequence[object]:
        return (f"mails/{task}.txt", "another.txt")

    def __call__(self, task: int) -> None:
        match self.fault.get(task):
            case "unpicklable":
                raise Unpicklable("odd", "thing")
            case "mistake":
                raise ValueError("steps: expected none")
            case "full":
                raise OSError(errno.ENOSPC, "No space left on device")
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "slow":
                (self.folder / "slow").touch()
                time.sleep(600)
        with cache.replacing(self.path(task)) as file:
            file.write(str(task).encode())


@dataclass(frozen=True)
class Sending:
    """Every task sends its number to each partition that divides it; a partition keeps what came, in order."""

    folder: pathlib.Path
    num_partitions: int = 5
    fault: int = -1  # the task that fails

    def done(self, partition: int) -> bool:
        return self.path(partition).exists()

    def path(self, partition: int) -> pathlib.Path:
        return self.folder / f"{partition}.txt"

    def emit(self, task: int) -> Iterator[tuple[int, bytes]]:
        if task == self.fault:
            raise Unpicklable("odd", "thing")
        for partition in reversed(range(1, self.num_partitions)):  # nobody sends to 0
            if task % partition == 0:
                yield partition, f"{task} ".encode()

    def reduce(self, partition: int, sent: Sequence[bytes]) -> None:
        with cache.replacing(self.path(partition)) as file:
            file.write(b"".join(sent))

    def expected(self, num_tasks: int) -> list[str]:
        found = ["".join(f"{task} " for task in range(0, num_tasks, p)) for p in range(1, self.num_partitions)]
        return ["", *found]

    def found(self) -> list[str]:
        return [self.path(partition).read_text() for partition in range(self.num_partitions)]
