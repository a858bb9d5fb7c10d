"""Something to be measured, in a process of its own that waits while another runs."""

import contextlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

RunSteps = Callable[[int], float]  # a number of steps -> the last loss


def serve(make: Callable[[], RunSteps], *, warm_up: int) -> None:
    """The contender's side: a number of steps comes in on each line, seconds go out. Ends with its input."""
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        run_steps = make()
        run_steps(warm_up)
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        start_s, start_cpu_s = time.perf_counter(), _cpu_s()
        loss = run_steps(int(line))
        spent = dict(seconds=time.perf_counter() - start_s, cpu_s=_cpu_s() - start_cpu_s, loss=loss)
        print(json.dumps(spent), file=out, flush=True)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Contender:
    """A contender as seen from outside; `arguments` are those of a Python that calls `serve`."""

    def __init__(self, arguments: Sequence[str], *, python: str = sys.executable):
        self._process = subprocess.Popen([python, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        if self._out.readline().strip() != "ready":
            raise RuntimeError(
                f"{' '.join(arguments)} did not start; PyTorch comes with `make setup-bench`, others as the script says"
            )

    def run(self, num_steps: int) -> dict[str, float]:
        """-> seconds, cpu_s (seconds of all cores together) and the last loss."""
        print(num_steps, file=self._in, flush=True)
        return json.loads(self._out.readline())

    def close(self) -> None:
        self._in.close()
        self._process.wait()
