"""What a run says while it runs: a progress bar on a terminal, plain lines elsewhere."""

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


class Sink:
    """Something that takes what a run writes and says. Each kind overrides what concerns it."""

    def write(self, step: int, metrics: dict[str, float]) -> None: ...

    def say(self, text: str) -> None: ...

    def write_samples(self, step: int, records: list[dict[str, Any]]) -> None: ...

    def record(self, facts: dict[str, Any]) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class Lines(Sink):
    """Plain lines, for pipes, files and notebooks."""

    def __init__(self, console: "Console", total_steps: int):
        self._console = console
        self._total_steps = total_steps

    def write(self, step: int, metrics: dict[str, float]) -> None:
        self.say(progress_line(step, self._total_steps, metrics))

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bar(Lines):
    """A progress bar at the foot of a terminal; what is said, evaluations included, scrolls by above it."""

    def __init__(self, console: "Console", total_steps: int, resume_step: int):
        from rich.progress import BarColumn, Progress, TextColumn

        super().__init__(console, total_steps)
        done, told = TextColumn("step {task.completed}/{task.total}"), TextColumn("{task.fields[told]}")
        self._progress = Progress(done, BarColumn(bar_width=None), told, console=console, expand=True)
        self._task = self._progress.add_task("", total=total_steps, completed=resume_step, told="")
        self._progress.start()

    def write(self, step: int, metrics: dict[str, float]) -> None:
        if metrics.keys() & HEADLINE:
            self._progress.update(self._task, completed=step, told=_told(metrics))
        else:
            super().write(step, metrics)

    def close(self) -> None:
        self._progress.stop()


def progress_line(step: int, total_steps: int, metrics: dict[str, float]) -> str:
    """`step 200/2000  loss 2.41  tokens/s 12.3k  eta 1m20s`; what is not training's by its name."""
    return f"step {step}/{total_steps}  {_told(metrics)}"


def _told(metrics: dict[str, float]) -> str:
    told = [f"{label} {show(metrics[key])}" for key, (label, show) in HEADLINE.items() if key in metrics]
    count = Counter[str]()
    for key, value in metrics.items():
        count[evaluator := key.partition("/")[0]] += 1
        if evaluator != "train" and count[evaluator] <= OF_EVALUATOR:
            told.append(f"{key} {_number(value)}")
    return "  ".join(told)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _count(value: float) -> str:
    """A count in three digits: 850, 12.3k, 4.56M."""
    units = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
    return next((f"{value / size:.3g}{unit}" for size, unit in units if value >= size * 0.9995), f"{value:.3g}")


def _duration(value_s: float) -> str:
    """Seconds as people say them: 9s, 1m20s, 2h05m, 3d04h."""
    minutes, s = divmod(round(value_s), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    pairs = [(days, f"{days}d{h:02}h"), (hours, f"{h}h{m:02}m"), (minutes, f"{m}m{s:02}s"), (1, f"{s}s")]
    return next(text for amount, text in pairs if amount)


OF_EVALUATOR = 4  # metrics of one evaluator that are shown, the first; metrics.jsonl has all
HEADLINE = {  # of training's metrics, what is shown, and how
    "train/loss": ("loss", _number),
    "train/tokens_per_s": ("tokens/s", _count),
    "train/examples_per_s": ("examples/s", _count),
    "train/eta_s": ("eta", _duration),
}
