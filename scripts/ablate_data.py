"""Does this cleaning, or this mixture, train a better model? Trains small models on variants of the data, as many
tokens each, several seeds each, and says what a common held-out text tells of them.

    python scripts/ablate_data.py --config=configs/ablate_text.py --workdir=runs/ablation --seeds=3
    python scripts/ablate_data.py ... --variants=raw,near --run.train.num_steps=1000

The config names a run, its variants as overrides of `data`, the baseline, and the evaluators that judge. Every proxy
run is one of `python -m train`, in a process beside this one and in <workdir>/<variant>/<seed>; what is finished is not
run again. Losses are bits per byte, so that variants with tokenizers of their own compare too. Differences from the
baseline are paired by seed; behind each stands its 95 % interval (Student's t), and where that holds 0 the verdict is
"undecided": more seeds or steps may decide it. To choose weights of a mixture, let each variant be some weights: the
best stands at the top. The table is also in <workdir>/table.md, its numbers in results.json, its picture in
ablation.png.
"""

import contextlib
import json
import multiprocessing
import pathlib
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

from absl import flags

METRIC, UNIT = "bits_per_byte", "bits per byte"
RUNS_PER_PROCESS = 24  # each leaves compiled programs in memory
NEEDED = {"run", "variants", "baseline", "judges"}


class Ablation(NamedTuple):
    """What is compared."""

    run: Mapping[str, Any]  # the config that all proxy runs share
    variants: Mapping[str, Sequence[str]]  # overrides of it: "data.mixture.web.weight=0.3"
    baseline: str
    judges: Sequence[str]  # evaluators, the one that decides first


def read(path: str, *, only: Sequence[str] = ()) -> Ablation:
    """The ablation of a config.

    Raises:
      ValueError: it is none, or its variants change more than the data.
    """
    from train import config_flags

    found = config_flags.load(path)
    if set(found) != NEEDED:
        raise ValueError(f"--config: expected {', '.join(sorted(NEEDED))}, got {', '.join(found)}; see ablate_text.py")
    variants, baseline, judges = found["variants"], found["baseline"], tuple(found["judges"])
    for name in (baseline, *only):
        if name not in variants:
            raise ValueError(f"--config: expected one of {', '.join(variants)}, got {name!r}")
    for name, overrides in variants.items():
        for override in overrides:
            if not override.startswith("data.") or "=" not in override:
                raise ValueError(f"variants.{name}: expected overrides such as data.clean.steps=.., got {override!r}")
    unknown = [judge for judge in judges if judge not in found["run"].get("eval", {})]
    if unknown or not judges:
        raise ValueError(f"judges: expected names of run.eval, got {', '.join(unknown) or 'none'}")
    if "num_epochs" in found["run"].get("train", {}):
        raise ValueError(
            "run.train: expected num_steps or num_tokens, since variants read as many tokens; got num_epochs"
        )
    kept = {name: tuple(overrides) for name, overrides in variants.items() if name in {baseline, *(only or variants)}}
    return Ablation(found["run"], kept, baseline, judges)


def prove(
    ablation: Ablation, name: str, *, seed: int, workdir: pathlib.Path, shared: Sequence[str], pool: Executor
) -> dict[str, float]:
    """One proxy run, unless it is finished. -> its loss by judge."""
    wanted = {"run": ablation.run, "overrides": [*shared, *ablation.variants[name]], "seed": seed}
    wanted = json.loads(json.dumps(wanted))
    kept = workdir / "proxy.json"
    if kept.exists():
        known = json.loads(kept.read_text())
        if known["proxy"] != wanted:
            raise ValueError(f"{workdir}: expected the same proxy run, got another; write another --workdir")
        if known["losses"]:
            return {judge: known["losses"][judge] for judge in ablation.judges}
    workdir.mkdir(parents=True, exist_ok=True)
    _put(kept, {"proxy": wanted, "losses": None})
    config = workdir / "base.json"
    _put(config, {"config": ablation.run})
    given = [f"--config.{override}" for override in wanted["overrides"]]
    argv = [f"--config={config}", f"--workdir={workdir}", f"--config.seed={seed}", *given]
    output = workdir / "output.txt"
    if code := pool.submit(_train, argv, str(output)).result():
        last = output.read_text().strip().splitlines()[-1:]
        raise Failed(code, f"{name}, seed {seed}: {''.join(last)}")
    losses = _losses(workdir, ablation.judges)
    _put(kept, {"proxy": wanted, "losses": losses})
    return losses


class Failed(Exception):
    """A proxy run ended with another exit code than 0."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


def _train(argv: Sequence[str], output: str) -> int:
    """One session of `python -m train`, its words in a file. -> its exit code."""
    from train import session

    with open(output, "a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        return session.main(argv)


def _losses(workdir: pathlib.Path, judges: Sequence[str]) -> dict[str, float]:
    from train.reports import workdir as workdirs

    last: dict[str, Any] = {}
    for row in workdirs.read(workdir).metrics:
        last |= row
    return {judge: last[f"{judge}/{METRIC}"] for judge in judges}


def _put(path: pathlib.Path, content: Any) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1))
    partial.replace(path)


def define() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string("config", None, "a config such as configs/ablate_text.py", flag_values=values)
    flags.DEFINE_string("workdir", None, "a folder for all runs", flag_values=values)
    flags.DEFINE_string("variants", "", "some of them, with ',' between; all by default", flag_values=values)
    flags.DEFINE_integer("seeds", 3, "runs of each", lower_bound=1, flag_values=values)
    return values


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 2 a mistake of the user's, 1 killed, others as `python -m train` has them."""
    shared = [argument.removeprefix("--run.") for argument in argv if argument.startswith("--run.")]
    values = define()
    try:
        rest = values(["ablate_data", *(argument for argument in argv if not argument.startswith("--run."))])[1:]
        if rest or None in (values.config, values.workdir):
            raise ValueError(f"expected --config and --workdir, got {' '.join(argv) or 'none'!r}")
        ablation = read(values.config, only=[name for name in values.variants.split(",") if name])
        folder = pathlib.Path(values.workdir)
        losses = _all(ablation, folder, num_seeds=values.seeds, shared=shared)
    except (ValueError, flags.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except BrokenProcessPool:
        print("error: a proxy run was killed; run the same line again to go on", file=sys.stderr)
        return 1
    _report(ablation, losses, folder)
    return 0


def _all(
    ablation: Ablation, folder: pathlib.Path, *, num_seeds: int, shared: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """Every variant with every seed. -> losses by variant and judge."""
    from input_pipeline import workers

    losses: dict[str, dict[str, list[float]]] = {name: {} for name in ablation.variants}
    context = multiprocessing.get_context("spawn")
    options = dict(initializer=workers.die_with_parent, max_tasks_per_child=RUNS_PER_PROCESS)
    with ProcessPoolExecutor(1, context, **options) as pool:
        for seed in range(num_seeds):
            for name, by_judge in losses.items():
                place = folder / name / str(seed)
                found = prove(ablation, name, seed=seed, workdir=place, shared=shared, pool=pool)
                for judge, loss in found.items():
                    by_judge.setdefault(judge, []).append(loss)
                told = ", ".join(f"{judge} {loss:.4f}" for judge, loss in found.items())
                print(f"{name}, seed {seed}: {told}", flush=True)
    return losses


def _report(ablation: Ablation, losses: Mapping[str, Mapping[str, Sequence[float]]], folder: pathlib.Path) -> None:
    from train.reports import ablation as reports

    text = reports.table(losses, baseline=ablation.baseline, unit=UNIT)
    (folder / "table.md").write_text(text)
    _put(folder / "results.json", {"baseline": ablation.baseline, "unit": UNIT, "losses": losses})
    title = folder.resolve().name
    picture = reports.draw(losses, folder / "ablation.png", baseline=ablation.baseline, unit=UNIT, title=title)
    print(f"\n{text}\npicture: {picture}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
