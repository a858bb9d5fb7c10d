"""What feeds a language model: documents as tokens in rows."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from input_pipeline import cache, loader, packing, sources, splits, text_noise, token_store, tokenizer
from input_pipeline.documents import Collection, Parted, Source
from input_pipeline.joined import Joined
from input_pipeline.mixture import CYCLE
from input_pipeline.packing import Rows
from input_pipeline.progress import Progress
from input_pipeline.spec import Data, naming
from input_pipeline.tokenizer import Tokenizer
from input_pipeline.transforms import Transform
from input_pipeline.transforms.parse import parse
from train import spec
from train.feeds.feed import NAMED, OF_RUN, Feed, cleaned
from train.objectives.objective import Context


@dataclasses.dataclass(frozen=True)
class TextFeed(Feed):
    """Rows of tokens, of one corpus or of a mixture, and their tokenizer."""

    rows: Mapping[str, Mapping[str, Rows]]
    tokenizer: Tokenizer
    accounts: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)  # of the parts that are cleaned

    @cached_property
    def training(self) -> tuple[loader.Part, ...]:
        return tuple(
            loader.Part(name, rows, self.run.data.weights[name], self._transforms(name))
            for name, rows in self.rows["train"].items()
        )

    def _transforms(self, part: str) -> tuple[Transform, ...]:
        return parse(self.run.data.parts[part].transforms, separator=self.tokenizer.eod_id).rows

    def evaluated(self, evaluation: spec.Evaluation) -> Joined:
        """Rows of one part, or of all parts that have the split."""
        rows = self.rows[evaluation.split]
        return Joined([rows[evaluation.part]] if evaluation.part else list(rows.values()))

    def context(self, evaluation: spec.Evaluation) -> Context:
        """Bytes of source text for each predicted token."""
        rows = self.evaluated(evaluation)
        return Context(bytes_per_token=rows.num_bytes / rows.num_tokens)

    def save(self, workdir: Any) -> None:
        """Keeps the tokenizer."""
        tokenizer.save(self.tokenizer, workdir)

    def facts(self) -> dict[str, Any]:
        """What is known of the data, for `config.json`: of each split, and within it of each part of a mixture."""
        facts = {}
        for split, by_part in self.rows.items():
            facts[f"data.{split}"] = _facts(list(by_part.values()))
            if self.run.data.mixture:
                facts[f"data.{split}"]["parts"] = {name: _facts([rows]) for name, rows in by_part.items()}
        training = facts["data.train"]
        training["epochs"] = self.num_examples / self.epoch_examples
        for name, count, taken, num_rows in self._taken() if self.run.data.mixture else ():
            training["parts"][name] |= {"share": count / CYCLE, "epochs": taken / num_rows}
        if self.accounts:
            facts["cleaned"] = {name or "data": dict(account) for name, account in self.accounts.items()}
        return facts

    def lines(self) -> Iterator[str]:
        """The facts, for people: a line for each split, and for each part of it."""
        for name, account in self.accounts.items():
            yield f"{name} {cleaned(account)}".lstrip()
        facts = self.facts()
        for split in self.rows:
            yield self._line(split, facts[f"data.{split}"])
            for part, its_facts in facts[f"data.{split}"].get("parts", {}).items():
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
        of_run = "".join(f", {facts[key]:.3g} {unit}" for key, unit in OF_RUN.items() if key in facts)
        rows = f"{facts['rows']:,} rows of {self.run.data.seq_len}"
        return f"{name}: {rows}, {facts['tokens']:,} tokens, {facts['bytes']:,} bytes{of_run}"

    def check_epochs(self) -> None:
        """Raises a ValueError if the run would pass over a part more often than its `max_epochs`."""
        run = self.run
        for part, (name, _, taken, num_rows) in enumerate(self._taken()):
            limit = run.data.mixture[name].max_epochs if name else 0
            allowed = int(limit * num_rows)
            if not limit or taken <= allowed:
                continue
            num_steps = self.mixture.position(part, allowed) // run.train.batch_size
            share = max(0, allowed * CYCLE // self.num_examples - 1) / CYCLE
            others = sum(run.data.weights.values()) - run.data.weights[name]
            less = 0.995 * share / (1 - share) * others  # so that three digits do not round it above
            weight = f"weight={less:.3g} or " if less else ""
            raise ValueError(
                f"data.mixture.{name}.max_epochs: expected at most {limit:g} passes over {num_rows} rows, but "
                f"{self.num_steps} steps would make {taken / num_rows:.3g}; write {weight}"
                f"train.num_steps={num_steps}"
            )

    def _taken(self) -> Iterator[tuple[str, int, int, int]]:
        """(name, examples in a cycle, examples in the run, rows) of each part, in the order of the mixture."""
        mixture = self.mixture
        return zip(
            mixture.names, mixture.counts, mixture.taken(self.num_examples), map(len, mixture.orders), strict=True
        )


def prepare(run: spec.Run, *, progress: Progress) -> TextFeed:
    """Reads, tokenizes and packs the data, or finds it in the cache. The tokenizer is fitted on all training parts.

    Raises:
      ValueError: files that match nothing, another fingerprint, an empty split, more epochs than a part allows.
    """
    data = run.data
    wanted = {"train"} | {evaluation.split for evaluation in run.eval.values()}
    texts: dict[str, dict[str, Source]] = {split: {} for split in sorted(wanted)}
    accounts = {}
    for name, part in data.parts.items():
        with naming(name):
            source = sources.open_source(part, progress=progress)
            if isinstance(source, Parted) and source.account:
                accounts[name] = source.account
            for split, by_part in texts.items():
                is_wanted = split != "train" or name in data.weights
                if is_wanted and (expression := getattr(part, f"{split}_split")):
                    text = splits.split(source, expression, by=part.split_by)
                    by_part[name] = text_noise.noisy(text, part.text_noise) if split == "train" else text
    text_tokenizer = tokenizer.load(data, train_source=_together(texts["train"]), progress=progress)
    rows = _planner(data, text_tokenizer, progress)
    prepared = {split: {name: rows(text) for name, text in by_part.items()} for split, by_part in texts.items()}
    feed = TextFeed(run, prepared, text_tokenizer, accounts)
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
