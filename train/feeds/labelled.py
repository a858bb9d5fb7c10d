"""What feeds a model of labelled examples: images, sound, tables."""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from input_pipeline.labelled import sources, splits
from input_pipeline.labelled.examples import Examples
from input_pipeline.labelled.rows import Rows
from input_pipeline.labelled.spec import LabelledData
from input_pipeline.labelled.together import Together
from input_pipeline.loader import Part
from input_pipeline.progress import Progress
from input_pipeline.transforms import Transform, table
from train import spec
from train.feeds.feed import NAMED, Feed, cleaned
from train.findings import mistakes
from train.findings.kept import Found
from train.objectives.objective import Context

_CHUNK = 4096  # examples that are in memory at a time


@dataclasses.dataclass(frozen=True)
class LabelledFeed(Feed):
    """Examples of one source. `given`: of the training rows, what operations may want, such as their mean."""

    rows: Mapping[str, Mapping[str, Rows]]
    examples: Examples
    given: Mapping[str, Any]

    @cached_property
    def training(self) -> tuple[Part, ...]:
        data, rows = self.run.data, self.rows["train"][""]
        operations = data.operations("transforms", **self.given).rows
        classes_N = self.examples.labels[rows.members]
        together = Together(classes_N, data.rows_per_class) if data.rows_per_class > 1 else None
        return (Part("", rows, transforms=operations, order=together),)

    def eval_transforms(self, evaluation: spec.Evaluation) -> tuple[Transform, ...]:
        return self.run.data.operations("eval_transforms", instead=evaluation.transforms, **self.given).rows

    def evaluated(self, evaluation: spec.Evaluation) -> Rows:
        return self.rows[evaluation.split][""]

    def context(self, evaluation: spec.Evaluation) -> Context:
        return Context()

    def explain(self, evaluation: spec.Evaluation, evaluated: Mapping[str, np.ndarray]) -> Found:
        return mistakes.explain(
            evaluated,
            rows=self.evaluated(evaluation),
            operations=self.eval_transforms(evaluation),
            modality=self.run.data.modality,
            labels=self.run.data.labels,
            classes=self.examples.classes,
        )

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {f"data.{split}": self._facts(by_part[""]) for split, by_part in self.rows.items()}
        facts["data.train"] |= {"epochs": self.num_examples / self.epoch_examples}
        if self.examples.classes:
            facts["classes"] = self.examples.classes
        if self.examples.account:
            facts["cleaned"] = {"data": dict(self.examples.account)}
        if bad := self.examples.bad:
            facts["data.bad"] = {"num_bad": len(bad), "bad": bad[:NAMED]}
        return facts

    def lines(self) -> Iterator[str]:
        if self.examples.account:
            yield cleaned(self.examples.account)
        for split, by_part in self.rows.items():
            facts = self._facts(by_part[""])
            classes = facts.get("per_class", {})
            spread = f", {min(classes.values()):,} to {max(classes.values()):,} of a class" if classes else ""
            yield f"{split}: {facts['rows']:,} examples{spread}, {facts['fingerprint'][:12]}"

    def warnings(self) -> Iterator[str]:
        for name in self.run.data.unread:
            yield f"data.{name} is set, but data.source={self.run.data.source!r} does not read it"
        if bad := self.examples.bad:
            total = len(bad) + len(self.examples)
            first = "; ".join(bad[:NAMED])
            yield f"{len(bad):,} of {total:,} records cannot be read and are left out; the first: {first}"
        for split, by_part in self.rows.items():
            if missing := [name for name, count in self._facts(by_part[""]).get("per_class", {}).items() if not count]:
                yield f"{split}: no example of {', '.join(missing)}"

    def _facts(self, rows: Rows) -> dict[str, Any]:
        facts = {"rows": len(rows), "fingerprint": rows.fingerprint}
        if self.run.data.labels == "class":
            counts = np.bincount(self.examples.labels[rows.members], minlength=self.run.data.num_classes)
            names = self.examples.classes or tuple(map(str, range(len(counts))))
            facts["per_class"] = dict(zip(names, counts.tolist(), strict=True))
        return facts


def prepare(run: spec.Run, *, progress: Progress) -> LabelledFeed:
    """Opens the source, splits it, and sends a few rows of each split through its transforms.

    Raises:
      ValueError: nothing is there, too much of it is bad, a split is empty, or it is not what the config says.
    """
    data = run.data
    lines = [evaluation.transforms for evaluation in run.eval.values() if evaluation.transforms]
    examples = sources.open_source(data, others=lines, progress=progress)
    wanted = {"train"} | {evaluation.split for evaluation in run.eval.values()}
    rows = {split: {"": _rows(examples, data, f"{split}_split")} for split in sorted(wanted)}
    training = rows["train"][""]
    if data.fingerprint and training.fingerprint != data.fingerprint:
        raise ValueError(
            f"data.fingerprint: expected {data.fingerprint}, but the training rows have {training.fingerprint}; "
            "--config.data.fingerprint='' accepts it"
        )
    feed = LabelledFeed(run, rows, examples, _moments(training) if data.modality == "table" else {})
    training.try_out(feed.training[0].transforms, field="data.transforms")
    for name, evaluation in run.eval.items():
        field = f"eval.{name}.transforms" if evaluation.transforms else "data.eval_transforms"
        feed.evaluated(evaluation).try_out(feed.eval_transforms(evaluation), field=field)
    return feed


def _rows(examples: Examples, data: LabelledData, field: str) -> Rows:
    if field not in data.splits:
        raise ValueError(f"data.{field}: expected a part, got none; write for example 'train[90%:]'")
    held_out = {name for other, split in data.splits.items() if other != field for name in split.groups}
    try:
        members = splits.members(examples, data.splits[field], by=data.split_by, held_out=held_out)
    except ValueError as error:
        raise ValueError(f"data.{field}={getattr(data, field)!r}: {error}") from None
    return Rows(examples, members, data.shape)


def _moments(rows: Rows) -> dict[str, tuple[float, ...]]:
    """Mean and standard deviation of each feature, the last dimension, over the training rows."""
    pieces = [rows.read(np.arange(low, min(low + _CHUNK, len(rows)))) for low in range(0, len(rows), _CHUNK)]
    mean, std = table.moments(np.concatenate([piece["inputs"] for piece in pieces]))
    return {"mean": mean, "std": std}
