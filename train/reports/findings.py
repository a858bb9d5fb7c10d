"""What an evaluation found at a run's last step: `evaluations/<evaluator>.json` of a workdir, read and checked.

    step, split     of the reading
    classes         their names, in the order of their numbers
    confusion       [C, C] counts; rows are the true classes, columns the predicted ones
    curves          of each class by its name, and of "macro": `roc` {fpr, tpr, auc}, `pr` {recall, precision,
                    average_precision}
    calibration     bins {low, high, count, confidence, accuracy}, and error, which is their weighted distance
    confused        pairs {label, predicted, count}, the most frequent first
    mistakes        rows {name, label, predicted, confidence, picture, text}, the most confident first
    residuals       of numbers: label and predicted, row by row
    metrics         by name
    not_finite      rows that are left out of all this, since their scores are no numbers

What does not apply to a run is left out.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassCurves:
    """How the scores of one class, or the mean over classes, divide true rows from others. Points ascend across."""

    name: str
    roc: Sequence[tuple[float, float]] = ()  # (false positive rate, true positive rate)
    auc: float = math.nan
    pr: Sequence[tuple[float, float]] = ()  # (recall, precision)
    average_precision: float = math.nan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bin:
    """Rows whose confidence lies in (low, high]; `confidence` and `accuracy` are their means, nan without rows."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confused:
    """So many rows of one class were taken for another."""

    label: str
    predicted: str
    count: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mistake:
    """A row that the model got wrong, most surely first. A number has no confidence."""

    name: str
    label: str
    predicted: str
    confidence: float | None
    picture: Path | None  # a PNG of the workdir
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One evaluator's last reading."""

    name: str
    step: int
    split: str
    classes: Sequence[str]
    confusion: Sequence[Sequence[int]]  # [] where there is none
    curves: Sequence[ClassCurves]
    bins: Sequence[Bin]
    calibration_error: float
    confused: Sequence[Confused]
    mistakes: Sequence[Mistake]
    residuals: Sequence[tuple[float, float]]  # (true, predicted)
    metrics: Mapping[str, float]
    not_finite: int  # rows that are left out

    @property
    def num_rows(self) -> int:
        return sum(map(sum, self.confusion))

    @property
    def num_right(self) -> int:
        return sum(row[index] for index, row in enumerate(self.confusion))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Of one class, from the counts. A share of nothing is 0, as scikit-learn has it."""

    name: str
    precision: float
    recall: float
    f1: float
    num_rows: int


def scores(finding: Finding) -> list[ClassScores]:
    """Of each class of a confusion matrix."""
    made = []
    for index, row in enumerate(finding.confusion):
        right, true, predicted = row[index], sum(row), sum(other[index] for other in finding.confusion)
        made.append(
            ClassScores(
                name=finding.classes[index],
                precision=right / max(predicted, 1),
                recall=right / max(true, 1),
                f1=2 * right / max(true + predicted, 1),
                num_rows=true,
            )
        )
    return made


def files(workdir: Path) -> list[Path]:
    """The findings of a workdir, by evaluator."""
    return sorted((workdir / "evaluations").glob("*.json"))


def read(file: Path) -> Finding:
    """One file of findings.

    Raises:
      ValueError, KeyError, TypeError: it is not as the top of this module says.
    """
    kept = dict(json.loads(file.read_text(encoding="utf-8")))
    classes = [str(name) for name in kept.get("classes", ())]
    confusion = [[int(count) for count in row] for row in kept.get("confusion", ())]
    if any(len(row) != len(confusion) for row in confusion) or (confusion and len(confusion) != len(classes)):
        raise ValueError(f"confusion: expected {len(classes)} rows of {len(classes)} counts, one for each class")
    calibration = kept.get("calibration") or {}
    residuals = kept.get("residuals") or {"label": (), "predicted": ()}
    return Finding(
        name=file.stem,
        step=int(kept["step"]),
        split=str(kept["split"]),
        classes=classes,
        confusion=confusion,
        curves=[_curves(str(name), found) for name, found in kept.get("curves", {}).items()],
        bins=[_bin(found) for found in calibration.get("bins", ())],
        calibration_error=_number(calibration.get("error")),
        confused=[
            Confused(label=str(found["label"]), predicted=str(found["predicted"]), count=int(found["count"]))
            for found in kept.get("confused", ())
        ],
        mistakes=[_mistake(found, workdir=file.parent.parent) for found in kept.get("mistakes", ())],
        residuals=_points(residuals["label"], residuals["predicted"]),
        metrics={str(name): _number(value) for name, value in kept.get("metrics", {}).items()},
        not_finite=int(kept.get("not_finite", 0)),
    )


def _curves(name: str, found: Mapping[str, Any]) -> ClassCurves:
    roc, pr = found.get("roc") or {}, found.get("pr") or {}
    return ClassCurves(
        name=name,
        roc=sorted(_points(roc.get("fpr", ()), roc.get("tpr", ()))),
        auc=_number(roc.get("auc")),
        pr=sorted(_points(pr.get("recall", ()), pr.get("precision", ())), key=lambda point: (point[0], -point[1])),
        average_precision=_number(pr.get("average_precision")),
    )


def _bin(found: Mapping[str, Any]) -> Bin:
    return Bin(
        low=float(found["low"]),
        high=float(found["high"]),
        count=int(found["count"]),
        confidence=_number(found.get("confidence")),
        accuracy=_number(found.get("accuracy")),
    )


def _mistake(found: Mapping[str, Any], *, workdir: Path) -> Mistake:
    confidence = found.get("confidence")
    return Mistake(
        name=str(found.get("name") or f"row {found['row']}"),
        label=_in_words(found["label"]),
        predicted=_in_words(found["predicted"]),
        confidence=None if confidence is None else float(confidence),
        picture=_inside(workdir, str(found.get("picture") or "")),
        text=str(found.get("text") or ""),
    )


def _inside(workdir: Path, name: str) -> Path | None:
    """The file of that name in the workdir; None where it is not there, or would lie outside."""
    path = (workdir / name).resolve()
    return path if name and path.is_relative_to(workdir.resolve()) and path.is_file() else None


def _points(across: Sequence[Any], up: Sequence[Any]) -> list[tuple[float, float]]:
    """Pairs of numbers, without those of which one is missing."""
    pairs = [(_number(x), _number(y)) for x, y in zip(across, up, strict=True)]
    return [pair for pair in pairs if all(map(math.isfinite, pair))]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _in_words(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
