"""What feeds a run: from its data section to batches on its devices."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import jax
from jax.sharding import Mesh

from input_pipeline import cache, loader, packing, sources, splits, token_store, tokenizer
from input_pipeline.documents import Collection, Source
from input_pipeline.joined import Joined
from input_pipeline.mixture import CYCLE, Mixture
from input_pipeline.packing import Rows
from input_pipeline.progress import Progress
from input_pipeline.spec import Data, naming
from input_pipeline.tokenizer import Tokenizer
from input_pipeline.transforms.parse import parse
from train import durations, spec
from train.parallel import mesh as meshes

# Documents at fault that are named on the screen and in config.json; a store's index.json names more.
NAMED = 3
_OF_RUN = {"share": "of all examples", "epochs": "epochs in this run"}


@dataclasses.dataclass(frozen=True)
class Feed:
    """What feeds a run: its tokenizer, and the rows of each split of each part. The part of no mixture is called ""."""

    run: spec.Run
    tokenizer: Tokenizer
    rows: Mapping[str, Mapping[str, Rows]]  # by split, then by part

    @property
    def epoch_examples(self) -> int:
        """Training rows of all parts together: so many examples are an epoch, of a mixture too."""
        return sum(map(len, self.rows["train"].values()))

    @cached_property
    def training(self) -> tuple[loader.Part, ...]:
        """Training rows, their weights and their transforms."""
        given = {"separator": self.tokenizer.eod_id}
        return tuple(
            loader.Part(name, rows, self.run.data.weights[name], parse(self.run.data.parts[name].transforms, **given))
            for name, rows in self.rows["train"].items()
        )

    @cached_property
    def mixture(self) -> Mixture:
        """Which example of the run comes from which part."""
        return loader.mix(self.training, seed=self.run.seed)

    def evaluated(self, evaluation: spec.Evaluation) -> Joined:
        """The rows that an evaluation reads: of one part, or of all parts that have the split."""
        rows = self.rows[evaluation.split]
        return Joined([rows[evaluation.part]] if evaluation.part else list(rows.values()))

    def bytes_per_token(self, evaluation: spec.Evaluation) -> float:
        """Bytes of source text for each predicted token."""
        rows = self.evaluated(evaluation)
        return rows.num_bytes / rows.num_tokens

    def cursor(self, examples: int) -> dict[str, Any]:
        """Where a run stands in its data: what a checkpoint keeps of it."""
        return {"examples": examples, "fingerprint": loader.fingerprint(self.training)}

    def check_cursor(self, cursor: Mapping[str, Any], workdir: Any) -> None:
        """Raises a ValueError unless the training data is what the run in `workdir` began with."""
        expected, came = cursor["fingerprint"], loader.fingerprint(self.training)
        if expected != came:
            raise ValueError(
                f"--workdir={workdir}: expected the data it was trained on ({expected[:12]}), got other data "
                f"({came[:12]}); give back the old files, tokenizer and seq_len, or write another --workdir"
            )

    def facts(self) -> dict[str, Any]:
        """What is known of the data, for `config.json`: of each split, and within it of each part of a mixture."""
        facts = {}
        for split, by_part in self.rows.items():
            facts[f"data.{split}"] = _facts(list(by_part.values()))
            if self.run.data.mixture:
                facts[f"data.{split}"]["parts"] = {name: _facts([rows]) for name, rows in by_part.items()}
        training = facts["data.train"]
        training["epochs"] = self._num_examples / self.epoch_examples
        for name, count, taken, num_rows in self._taken() if self.run.data.mixture else ():
            training["parts"][name] |= {"share": count / CYCLE, "epochs": taken / num_rows}
        return facts

    def lines(self) -> Iterator[str]:
        """The facts, for people: a line for each split, and for each part of it."""
        for name, facts in self.facts().items():
            split = name.removeprefix("data.")
            yield self._line(split, facts)
            for part, its_facts in facts.get("parts", {}).items():
                yield self._line(f"{split}, {part}", its_facts)

    def warnings(self) -> Iterator[str]:
        """What is wrong with the text, one line for each split, part and fault."""
        for split, by_part in self.rows.items():
            for part, rows in by_part.items():
                name, index = ", ".join(filter(None, (split, part))), rows.store.index
                if index.num_bad:
                    yield (
                        f"{name}: {index.num_bad:,} of {index.num_documents:,} records hold no text and count for "
                        f"nothing; the first: {'; '.join(index.bad[:NAMED])}"
                    )
                if index.num_replaced:
                    yield (
                        f"{name}: {index.num_replaced:,} of {index.num_documents:,} documents are not UTF-8 and lost "
                        f"the bytes that are not; the first: {'; '.join(index.replaced[:NAMED])}"
                    )

    def _line(self, name: str, facts: Mapping[str, Any]) -> str:
        of_run = "".join(f", {facts[key]:.3g} {unit}" for key, unit in _OF_RUN.items() if key in facts)
        rows = f"{facts['rows']:,} rows of {self.run.data.seq_len}"
        return f"{name}: {rows}, {facts['tokens']:,} tokens, {facts['bytes']:,} bytes{of_run}"

    @cached_property
    def _num_steps(self) -> int:
        """Of the whole run, whose length may stand in epochs."""
        return durations.in_steps(self.run, self.run.pace(self.epoch_examples)).train.num_steps

    @property
    def _num_examples(self) -> int:
        return self._num_steps * self.run.train.batch_size

    def check_epochs(self) -> None:
        """Raises a ValueError if the run would pass over a part more often than its `max_epochs`."""
        run = self.run
        for part, (name, _, taken, num_rows) in enumerate(self._taken()):
            limit = run.data.mixture[name].max_epochs if name else 0
            allowed = int(limit * num_rows)
            if not limit or taken <= allowed:
                continue
            num_steps = self.mixture.position(part, allowed) // run.train.batch_size
            share = max(0, allowed * CYCLE // self._num_examples - 1) / CYCLE
            others = sum(run.data.weights.values()) - run.data.weights[name]
            less = 0.995 * share / (1 - share) * others  # so that three digits do not round it above
            weight = f"weight={less:.3g} or " if less else ""
            raise ValueError(
                f"data.mixture.{name}.max_epochs: expected at most {limit:g} passes over {num_rows} rows, but "
                f"{self._num_steps} steps would make {taken / num_rows:.3g}; write {weight}"
                f"train.num_steps={num_steps}"
            )

    def _taken(self) -> Iterator[tuple[str, int, int, int]]:
        """(name, examples in a cycle, examples in the run, rows) of each part, in the order of the mixture."""
        mixture = self.mixture
        return zip(mixture.names, mixture.counts, mixture.taken(self._num_examples), mixture.num_rows, strict=True)

    def train_batches(self, mesh: Mesh, *, start: int) -> Iterator[dict[str, jax.Array]]:
        """Global batches on the devices, from example `start` on, for ever."""
        size = self.run.train.batch_size
        with loader.train_batches(
            self.training,
            seed=self.run.seed,
            batch_size=size,
            row_range=meshes.local_rows(mesh, size),
            start=start,
            workers=self.run.data.workers,
        ) as local:
            yield from map(partial(meshes.place_batch, mesh, batch_size=size), local)

    def eval_batches(self, mesh: Mesh, evaluation: spec.Evaluation) -> Iterator[dict[str, jax.Array]]:
        """One pass over a split, the last batch filled up with rows of weight zero."""
        size = self.run.eval_batch_size(evaluation)
        with loader.eval_batches(
            self.evaluated(evaluation), batch_size=size, row_range=meshes.local_rows(mesh, size)
        ) as local:
            yield from map(partial(meshes.place_batch, mesh, batch_size=size), local)


def prepare(run: spec.Run, *, progress: Progress) -> Feed:
    """Reads, tokenizes and packs the data, or finds it in the cache. The tokenizer is fitted on all training parts.

    Raises:
      ValueError: files that match nothing, another fingerprint, an empty split, more epochs than a part allows.
    """
    data = run.data
    wanted = {"train"} | {evaluation.split for evaluation in run.eval.values()}
    texts: dict[str, dict[str, Source]] = {split: {} for split in sorted(wanted)}
    for name, part in data.parts.items():
        with naming(name):
            source = sources.open_source(part, progress=progress)
            for split, by_part in texts.items():
                if expression := getattr(part, f"{split}_split"):
                    by_part[name] = splits.split(source, expression, by=part.split_by)
    text_tokenizer = tokenizer.load(data, train_source=_together(texts["train"]), progress=progress)
    rows = _planner(data, text_tokenizer, progress)
    prepared = {split: {name: rows(text) for name, text in by_part.items()} for split, by_part in texts.items()}
    feed = Feed(run, text_tokenizer, prepared)
    feed.check_epochs()
    return feed


def _together(texts: Mapping[str, Source]) -> Source:
    """All parts as one source, to fit a tokenizer on."""
    return texts[""] if "" in texts else Collection(tuple(texts), tuple(texts.values()))


def _planner(data: Data, text_tokenizer: Tokenizer, progress: Progress) -> Callable[[Source], Rows]:
    """A text -> its rows."""
    cache_dir = cache.directory(data.cache)

    def rows(text: Source) -> Rows:
        store = token_store.build(
            text, tokenizer=text_tokenizer, cache_dir=cache_dir, workers=data.prepare_workers, progress=progress
        )
        return packing.plan_rows(store, seq_len=data.seq_len, packing=data.packing, cache_dir=cache_dir)

    return rows


def _facts(parts: Sequence[Rows]) -> dict[str, Any]:
    """What is known of these rows together."""
    indices = [rows.store.index for rows in parts]
    return {
        "documents": sum(index.num_documents for index in indices),
        "rows": sum(map(len, parts)),
        "tokens": sum(rows.num_tokens for rows in parts),
        "bytes": sum(rows.num_bytes for rows in parts),
        "fingerprint": parts[0].fingerprint if len(parts) == 1 else cache.key(*(rows.fingerprint for rows in parts)),
        "num_bad": sum(index.num_bad for index in indices),
        "bad": tuple(name for index in indices for name in index.bad)[:NAMED],
        "num_replaced": sum(index.num_replaced for index in indices),
        "replaced": tuple(name for index in indices for name in index.replaced)[:NAMED],
    }
