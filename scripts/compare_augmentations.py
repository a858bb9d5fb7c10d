"""Does augmentation help? Trains a config without any and with each one, several seeds each, and says what the test
split tells, as it is and with faults.

    python scripts/compare_augmentations.py --config=configs/image_digits.py:corrupted --workdir=runs/augmentations \\
        --augmentations="random_crop(8, 1);rotate(15);noise(0.1)" --seeds=3

Every run is one of `python -m train`, in <workdir>/<name>/<seed>; what is finished is not run again. Each number is the
mean accuracy over a fault's strengths, and behind each difference stands its 95 % interval over the seeds (Student's t,
paired by seed). Where an interval holds 0 the answer is "undecided". The table is also in <workdir>/table.md. It tells
what is so; what a model is to be trained with is chosen by the validation split.
"""

import pathlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags
from jaxtyping import Float

from train.reports.paired import Difference, difference

PLAIN = "none"
VERDICTS = {-1: "hurts", 0: "undecided", 1: "helps"}


def told(found: Difference) -> str:
    """A difference of accuracies in points, with its interval and what that lets one say."""
    return f"{100 * found.mean:+.1f} ± {100 * found.half:.1f} {VERDICTS[found.sign]}"


def by_fault(metrics: Mapping[str, float]) -> dict[str, float]:
    """{"test": accuracy, "blur": mean accuracy over its strengths, ...}, from the last metrics of a run."""
    found: dict[str, list[float]] = {}
    for key, value in metrics.items():
        evaluator, _, metric = key.partition("/")
        if metric == "accuracy" and evaluator not in ("train", "val"):
            found.setdefault(re.sub(r"_\d$", "", evaluator), []).append(value)
    return {fault: float(np.mean(values)) for fault, values in found.items()}


def table(accuracies: Mapping[str, Mapping[str, Float[np.ndarray, "S"]]]) -> str:
    """In Markdown, from the accuracies by augmentation and fault, one a seed."""
    faults = list(accuracies[PLAIN])
    rows = [["augmentation", *faults]]
    for name, found in accuracies.items():
        if name == PLAIN:
            rows.append([name, *(f"{100 * np.mean(found[fault]):.1f}" for fault in faults)])
        else:
            rows.append([name, *(told(difference(found[fault], accuracies[PLAIN][fault])) for fault in faults)])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def train(config: str, line: str, *, seed: int, workdir: pathlib.Path) -> dict[str, float]:
    """One run with this line of transforms. -> its last metrics."""
    from train import session
    from train.reports import workdir as workdirs

    arguments = [f"--config={config}", f"--workdir={workdir}", f"--config.seed={seed}"]
    code = session.main([*arguments, f"--config.data.transforms={line}"])
    if code:
        raise SystemExit(code)
    last: dict[str, Any] = {}
    for row in workdirs.read(workdir).metrics:
        last |= row
    return last


def lines(eval_transforms: str, augmentations: Sequence[str]) -> dict[str, str]:
    """{name: line of transforms}: each augmentation stands where pictures are whole, before they become numbers."""
    before, found, after = eval_transforms.partition("normalize")
    if not found:
        raise ValueError(f"data.eval_transforms: expected normalize in it, got {eval_transforms!r}")
    return {PLAIN: eval_transforms, **{each: f"{before}{each}|{found}{after}" for each in augmentations}}


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 2 a mistake of the user's, others as `python -m train` has them."""
    from train import config_flags

    values = flags.FlagValues()
    for name, default, told in (
        ("config", None, "a config whose evaluators read the test split"),
        ("workdir", None, "a folder for all runs"),
        ("augmentations", None, "operations, or lines of them, with ';' between"),
    ):
        flags.DEFINE_string(name, default, told, flag_values=values)
    flags.DEFINE_integer("seeds", 3, "runs of each", lower_bound=1, flag_values=values)
    try:
        rest = values(["compare_augmentations", *argv])[1:]
        if rest or None in (values.config, values.workdir, values.augmentations):
            raise ValueError(f"expected --config, --workdir and --augmentations, got {' '.join(argv) or 'none'!r}")
        augmentations = [each.strip() for each in values.augmentations.split(";") if each.strip()]
        given = lines(config_flags.load(values.config)["data"].get("eval_transforms", ""), augmentations)
    except (ValueError, flags.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    folder = pathlib.Path(values.workdir)
    accuracies: dict[str, dict[str, np.ndarray]] = {}
    for name, line in given.items():
        place = folder / (re.sub(r"\W+", "_", name).strip("_") or PLAIN)
        runs = [train(values.config, line, seed=seed, workdir=place / str(seed)) for seed in range(values.seeds)]
        found = [by_fault(metrics) for metrics in runs]
        accuracies[name] = {fault: np.array([each[fault] for each in found]) for fault in found[0]}
    text = table(accuracies)
    (folder / "table.md").write_text(text)
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
