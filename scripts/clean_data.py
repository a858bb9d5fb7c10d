"""Cleans raw data: files in, a deduplicated, split and documented dataset out, with an account of all that was dropped.

    python scripts/clean_data.py --config=configs/clean_text.py --input='mails/**/*' --output=cleaned
    python scripts/clean_data.py ... --config.dedup.threshold=0.7 --config.output.format=jsonl --workers=8
    python scripts/clean_data.py ... --sample=500           # what each rule would do to 500 records; writes nothing
    python scripts/clean_data.py ... --shard=0/4            # on each of four machines that share the output's folder
    python scripts/clean_data.py ... --engine=beam --beam_options='--runner=FlinkRunner --flink_master=host:8081'

Several globs or URLs are joined by ";". Killed at any moment and started again, it goes on where it was; the dataset is
the same, byte by byte, whatever the engine and the number of workers and machines. A stage whose input and options are
as before is not run again. `<output>/report/index.html` is the data card, `<output>/ledger` has every record that was
dropped.

--engine=beam needs `make setup-beam` and is started by .venv-beam/bin/python. Its workers run an image with
locks/beam.txt and this package, and see the output's folder under the same path; without a runner among
--beam_options all is done in this process.
"""

import itertools
import pathlib
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

Progress = Callable[[str, int, int], None]


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 1 the machine failed (no memory, no room on the disk), 2 a mistake of the user's, 75 asked to
    stop."""
    from input_pipeline.clean import pipeline, rehearsal, spec
    from train import config_flags
    from train.reports import card

    try:
        options: dict[str, Any] = dict(input="", output="", engine="local", sample="0")
        options |= dict(workers="", shard="", beam_options="")
        config, options = config_flags.read(spec.Clean, argv, **options)
        config = spec.with_files(config, options["input"].split(";") if options["input"] else ())
        with progress_bars() as progress:
            if num_records := _count(options, "sample"):
                found = rehearsal.rehearse(config, num_records=num_records, progress=progress)
            else:
                output = _folder(options["output"])
                with _engine(options, progress) as engine:
                    found = pipeline.run(config, output, engine=engine, progress=progress)
        _print(found)
        if "fingerprint" in found:
            print(f"data card: {card.write(output)}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, RuntimeError) as error:
        print(f"error: {error}; what is done is kept: start again to go on", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what is done is kept: start again to go on", file=sys.stderr)
        return 75
    return 0


def _folder(output: str) -> pathlib.Path:
    if not output:
        raise ValueError("--output: expected a folder for the dataset, got none; write --output=cleaned")
    return pathlib.Path(output).expanduser()


def _engine(options: Mapping[str, Any], progress: Progress) -> Any:
    from input_pipeline.clean.engine import beam, local

    of_engine = {"local": ("workers", "shard"), "beam": ("beam_options",)}
    if options["engine"] not in of_engine:
        raise ValueError(f"--engine: expected one of {', '.join(of_engine)}, got {options['engine']!r}")
    for name in itertools.chain(*of_engine.values()):
        if options[name] and name not in of_engine[options["engine"]]:
            raise ValueError(f"--{name}: expected none with --engine={options['engine']}, got {options[name]!r}")
    if options["engine"] == "beam":
        return beam.Beam(shlex.split(options["beam_options"]), progress)
    machine, num_machines = _shard(options["shard"] or "0/1")
    return local.Local(_count(options, "workers", default="2"), machine, num_machines, progress)


def _count(options: Mapping[str, Any], name: str, *, default: str = "") -> int:
    text = options[name] or default
    if not text.isdecimal():
        raise ValueError(f"--{name}: expected a number from 0 on, got {text!r}; write --{name}=2")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    machine, _, num_machines = text.partition("/")
    if not (machine.isdecimal() and num_machines.isdecimal() and int(machine) < int(num_machines)):
        raise ValueError(f"--shard: expected i/n with i from 0 to n - 1, got {text!r}; write --shard=0/4")
    return int(machine), int(num_machines)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A bar a stage on a terminal, and a line a stage elsewhere: what is done, and how fast."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    from rich.console import Console

    with Progress(*columns, TextColumn("{task.fields[rate]}"), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}
        began: dict[str, float] = {}

        def progress(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label], began[label] = bars.add_task(label, rate=""), time.monotonic()
            rate = done / max(1e-9, time.monotonic() - began[label])
            bars.update(tasks[label], completed=done, total=total, rate=f"{rate:.3g}/s")

        yield progress


def _lines(every_s: float = 10) -> Progress:
    """A line when a stage ends, and every so often before that."""
    began: dict[str, float] = {}
    told: dict[str, float] = {}

    def progress(label: str, done: int, total: int) -> None:
        now = time.monotonic()
        spent_s = now - began.setdefault(label, now)
        if done == total:
            print(f"{label}: {done:,} in {spent_s:.1f} s ({done / max(spent_s, 1e-9):,.3g}/s)", file=sys.stderr)
        elif now - told.setdefault(label, now) >= every_s:
            told[label] = now
            print(f"{label}: {done:,} of {total:,} after {spent_s:,.0f} s", file=sys.stderr)

    return progress


def _print(found: Mapping[str, Any]) -> None:
    """What each stage let through, and where the rest went."""
    for stage in found["stages"]:
        print(f"{stage['name']:8} {stage['records_in']:>11,} -> {stage['records_out']:>11,} records", end="")
        print(f"   {stage['bytes_in'] / 1e6:>9,.1f} -> {stage['bytes_out'] / 1e6:>9,.1f} MB")
        for verb in ("removed", "changed"):
            for rule, count in sorted(stage[verb].items(), key=lambda item: (-item[1], item[0])):
                print(f"    {count:>9,} {verb} by {rule}")
    for rule, entries in found.get("examples", {}).items() if "fingerprint" not in found else ():
        for entry in entries:
            print(f"{rule}: {entry.id}: {entry.value} (limit {entry.threshold}) {entry.excerpt}")
    for name, split in found.get("splits", {}).items():
        print(f"{name:8} {split['records']:>11,} records in {len(split['files'])} files")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
