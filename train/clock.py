"""Where a run's seconds and bytes go. Nothing else in train/ reads the time.

The loop's seconds belong to named parts:

    data         waiting for a batch; a share of the step, so it counts towards step time and tokens/s
    eval         \\
    checkpoint    > the step stands still: left out of step time and tokens/s, but part of the ETA
    (others)     /
    compile      paid once: left out of both

What is in no part is the step itself.
"""

import datetime
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

ALWAYS_SHOWN = ("eval", "checkpoint")  # their columns stand in every report, 0.0 where nothing happened


def utc_now() -> str:
    """The time of day in UTC, to the second: 2025-01-31T12:00:00Z."""
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def host_peak_bytes() -> int:
    """The most memory that was resident in this program.

    Linux's getrusage(2) tells of the process that started it too, where that one had more; proc(5) does not.
    """
    if sys.platform == "linux":
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


class Laps:
    """The seconds of things done one after another, since `began_s` (None: since now): {name: seconds} in `seconds`."""

    def __init__(self, *, began_s: float | None = None, now: Callable[[], float] = time.perf_counter):
        self._now = now
        self._last_s = now() if began_s is None else began_s
        self.seconds: dict[str, float] = {}

    def end(self, name: str) -> None:
        """Books the time since the last call on `name`."""
        now_s = self._now()
        self.seconds[name] = self.seconds.get(name, 0.0) + now_s - self._last_s
        self._last_s = now_s

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.seconds.items())


class Clock:
    """Measures one session of a run, from `step` finished steps towards `total_steps`.

    Args:
      total_steps: the step at which the run ends.
      step: finished steps at the start of this session: 0, or those of the checkpoint it resumes.
      device_stats: memory of one device in bytes, or None where the backend does not say:
        `jax.local_devices()[0].memory_stats` is such a function.
      unit: what the rate counts, "tokens" or "examples".
      flops_per_unit: of the model, forwards and backwards (models/count.py), for one of them; 0: not known.
      peak_flops_per_s: of all devices together (train/chips.py); None where it is not known.
      now: seconds from any fixed origin.
    """

    def __init__(
        self,
        *,
        total_steps: int,
        step: int = 0,
        device_stats: Callable[[], Mapping[str, int] | None] = lambda: None,
        unit: str = "tokens",
        flops_per_unit: float = 0.0,
        peak_flops_per_s: float | None = None,
        now: Callable[[], float] = time.perf_counter,
    ):
        self._now = now
        self._device_stats = device_stats
        self._unit = unit
        self._flops_per_unit = flops_per_unit
        self._peak_flops_per_s = peak_flops_per_s
        self._total_steps = total_steps
        self._start_s = self._window_s = now()
        self._start_step = self._window_step = step
        self._parts_s: dict[str, float] = defaultdict(float)  # since the last report
        self._compile_s = 0.0  # since the start
        self._open_part = ""

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Books the seconds of the block on `name`. Parts do not nest: a second would be counted twice."""
        assert not self._open_part, f"part {name!r} inside part {self._open_part!r}"
        self._open_part, start_s = name, self._now()
        try:
            yield
        finally:
            self._open_part = ""
            self._parts_s[name] += self._now() - start_s

    def report(self, step: int, *, amount: int) -> dict[str, float]:
        """The metrics of the window since the last report, which ends here.

        Args:
          step: finished steps; more than at the last report.
          amount: tokens or examples trained on in the window, by all hosts.

        Returns:
          `train/step_time_s` and `train/tokens_per_s` (or `examples`) without evaluation, checkpoints and compiling;
          `train/model_flops_per_s` of all devices, and `train/mfu`, their share of the peak, where that is known;
          `train/data_wait_fraction` of that same time; `train/eval_s`, `train/checkpoint_s` and the like,
          seconds of the window; `train/eta_s` to the end of the run; `train/host_peak_bytes` and, where the
          backend has it, `train/device_peak_bytes`.
        """
        assert step > self._window_step, f"no step since the last report: {step} after {self._window_step}"
        now_s = self._now()
        parts_s, num_steps = self._parts_s, step - self._window_step
        data_s = parts_s.pop("data", 0.0)
        train_s = max(now_s - self._window_s - sum(parts_s.values()), 1e-9)
        self._compile_s += parts_s.get("compile", 0.0)
        self._window_s, self._window_step, self._parts_s = now_s, step, defaultdict(float)
        return {
            "train/step_time_s": train_s / num_steps,
            f"train/{self._unit}_per_s": amount / train_s,
            **self._utilisation(amount / train_s),
            "train/data_wait_fraction": data_s / train_s,
            **{f"train/{name}_s": parts_s[name] for name in dict.fromkeys((*ALWAYS_SHOWN, *parts_s))},
            "train/eta_s": self._eta_s(now_s, step),
            **self._memory(),
        }

    def _utilisation(self, rate: float) -> dict[str, float]:
        """MFU as in PaLM, appendix B (https://arxiv.org/abs/2204.02311): nothing counts that is computed twice."""
        if not self._flops_per_unit:
            return {}
        flops_per_s = rate * self._flops_per_unit
        shares = {"train/mfu": flops_per_s / self._peak_flops_per_s} if self._peak_flops_per_s else {}
        return {"train/model_flops_per_s": flops_per_s, **shares}

    def _eta_s(self, now_s: float, step: int) -> float:
        """Seconds to the last step at this session's mean pace, evaluation and checkpoints included."""
        spent_s = now_s - self._start_s - self._compile_s
        return spent_s / (step - self._start_step) * max(self._total_steps - step, 0)

    def _memory(self) -> dict[str, float]:
        """Peaks since the process began, in bytes."""
        memory: dict[str, float] = {"train/host_peak_bytes": host_peak_bytes()}
        device = self._device_stats() or {}
        if "peak_bytes_in_use" in device:
            memory["train/device_peak_bytes"] = device["peak_bytes_in_use"]
        return memory
