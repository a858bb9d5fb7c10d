"""Apache Beam: the same tasks on whatever it runs on, such as Dataflow, Flink or Spark.

Beam decides where a task is done, and may do it twice. Results lie in the output's folder, which every worker has to
see under one path, as the machines of the local engine do; only the bytes of an exchange travel through Beam.
"""

import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from input_pipeline.clean.engine import Exchange, TaskFailed, Work, attempt, described
from input_pipeline.progress import Progress, quiet

# What Beam's own default, DirectRunner, comes down to, less its attempt to download another runner first.
_DIRECT = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_RAISED = re.compile(r"([\w.]+\.)?(TaskFailed|ValueError|OSError): ")
_NOBODY = -1  # the task that sends nothing, so that a partition to which no other sends is there too


@dataclass
class Beam:
    """`options` are those of Beam's command line; without a runner among them, all is done in this process."""

    options: Sequence[str] = ()
    progress: Progress = quiet

    def __post_init__(self) -> None:
        _api()

    def __enter__(self) -> "Beam":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, label: str, work: Work, num_tasks: int) -> None:
        """See `Engine.run`.

        Raises:
          RuntimeError: a task failed as often as the runner tries.
        """

        def build(pipeline: Any, waiting: list[int]) -> None:
            _ = _spread(pipeline, "tasks", waiting) | "do" >> _api().Map(_do, work)

        self._run(label, build, work.done, num_tasks)

    def exchange(self, label: str, exchange: Exchange, num_tasks: int, folder: pathlib.Path) -> None:
        """See `Engine.exchange`: `folder` stays empty.

        Raises:
          RuntimeError: as `run`.
        """
        del folder

        def build(pipeline: Any, waiting: list[int]) -> None:
            beam = _api()
            nothing = pipeline | "partitions" >> beam.Create([(partition, (_NOBODY, b"")) for partition in waiting])
            sent = _spread(pipeline, "tasks", range(num_tasks)) | "emit" >> beam.FlatMap(_emit, exchange, label)
            grouped = (nothing, sent) | beam.Flatten() | beam.GroupByKey()
            _ = grouped | "reduce" >> beam.Map(_reduce, exchange, label)

        self._run(label, build, exchange.done, exchange.num_partitions)

    def _run(
        self, label: str, build: Callable[[Any, list[int]], None], done: Callable[[int], bool], total: int
    ) -> None:
        waiting = [number for number in range(total) if not done(number)]
        if not waiting:
            return
        self.progress(label, total - len(waiting), total)
        pipeline = _api().Pipeline(argv=[f"--runner={_DIRECT}", *self.options])
        build(pipeline, waiting)
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except Exception as error:
            raise TaskFailed(_line_of(error)) from error
        if missing := [number for number in waiting if not done(number)]:
            raise TaskFailed(
                f"{label}: Beam ended as {result.state}, but {len(missing)} of {total} results are not there, such as "
                f"{missing[0]}; expected every worker to see the output's folder under the same path"
            )
        self.progress(label, total, total)


def _api() -> Any:
    try:
        import apache_beam
    except ImportError:
        raise ValueError(
            "--engine=beam: expected Apache Beam, which has an environment of its own; write make setup-beam, and "
            "start this with .venv-beam/bin/python"
        ) from None
    return apache_beam


def _spread(pipeline: Any, name: str, numbers: Iterable[int]) -> Any:
    beam = _api()
    return pipeline | name >> beam.Create(list(numbers)) | f"spread {name}" >> beam.Reshuffle()


# Beam reads the types of these three, and knows no protocols.
def _do(number: int, work: Any) -> None:
    attempt(work, number)


def _emit(task: int, exchange: Any, label: str) -> Iterator[tuple[int, tuple[int, bytes]]]:
    try:
        for partition, sent in exchange.emit(task):
            if not exchange.done(partition):
                yield partition, (task, sent)
    except Exception as error:
        raise described(error, f"{label}, task {task}") from error


def _reduce(sent: tuple[int, Iterable[tuple[int, bytes]]], exchange: Any, label: str) -> None:
    partition, parcels = sent
    try:
        if not exchange.done(partition):
            exchange.reduce(partition, [each for task, each in sorted(parcels) if task != _NOBODY])
    except Exception as error:
        raise described(error, f"{label}, partition {partition}") from error


def _line_of(error: Exception) -> str:
    """Of what Beam raises, which may be a worker's traceback with others after it: the last line that tells of one."""
    lines = [line for line in str(error).splitlines() if line and not line[0].isspace()] or [repr(error)]
    told = [line for line in lines if _RAISED.match(line)] or lines
    return _RAISED.sub("", told[-1]).partition(" [while running ")[0]
