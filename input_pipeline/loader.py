"""Batches as a pure function of (seed, position): which host, how many workers and where a run resumed do
not matter.

Training is an endless sequence of examples: mixture.py says from which part number p comes, and which of its rows it
is. A batch is `batch_size` consecutive examples, and a host makes rows [low, high) of it. So the whole cursor of a run
is the number of examples that it has consumed.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int64

from input_pipeline import batch, cache, mixture, transforms, workers
from input_pipeline.batch import Batch, Contract
from input_pipeline.joined import gather
from input_pipeline.mixture import Mixture
from input_pipeline.order import Order, Shuffled
from input_pipeline.transforms import Transform

_NUM_THREADS = 1
_BUFFERED_BATCHES = 4


class Batches(Iterator[Batch]):
    """An iterator that ends its threads and processes when it is closed, or left as a context manager."""

    def __init__(self, iterator: Any, contract: Contract) -> None:
        self._iterator: Iterator[Batch] = iterator
        self._contract = contract
        self._end = weakref.finalize(self, iterator.close)  # at exit too, while Grain can still run

    def __next__(self) -> Batch:
        return batch.check(next(self._iterator), self._contract)

    def close(self) -> None:
        """End threads and processes; no batch comes after it. Closing twice is fine."""
        self._end()
        self._iterator = iter(())

    def __enter__(self) -> "Batches":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Rows(Protocol):
    """What batches are made of: rows 0 .. len - 1 of one split of one source."""

    @property
    def fingerprint(self) -> str:
        """Hex; of all that the rows depend on."""

    def __len__(self) -> int: ...

    @property
    def contract(self) -> Contract:
        """What a batch is after the transforms."""

    def read(self, indices_B: Int64[np.ndarray, "B"]) -> Batch:
        """Rows by number, in this order, before any transform."""


@dataclass(frozen=True)
class Part:
    """Training rows of one source, and what is made of them. The name tells it from the other parts of a run."""

    name: str
    rows: Rows
    weight: float = 1.0
    transforms: tuple[Transform, ...] = ()
    order: Order | None = None  # None: each row once an epoch

    @property
    def epoch(self) -> Order:
        """How its rows follow each other."""
        return Shuffled(len(self.rows)) if self.order is None else self.order


def mix(parts: Sequence[Part], *, seed: int) -> Mixture:
    """The order of all examples that these parts give.

    Raises:
      ValueError: a weight that rounds to no example, or no rows in a part.
    """
    orders = {part.name: part.epoch for part in parts}
    return mixture.make(orders, weights={part.name: part.weight for part in parts}, seed=seed)


def fingerprint(parts: Sequence[Part]) -> str:
    """Hex; the same for parts that give the same batches to the same seed."""
    counts = mixture.counts({part.name: part.weight for part in parts})
    described = [_described(part, counts[part.name]) for part in sorted(parts, key=lambda part: part.name)]
    return cache.key(mixture.FORMAT, transforms.FORMAT, *described)


def _described(part: Part, count: int) -> tuple[Any, ...]:
    """All that the batches depend on; `count` of them in a cycle of the mixture."""
    described = (part.name, count, part.rows.fingerprint, part.transforms)
    return described if part.order is None else (*described, part.order)


def train_batches(
    parts: Sequence[Part], *, seed: int, batch_size: int, row_range: tuple[int, int], start: int, workers: int
) -> Batches:
    """This host's rows of the global batches that begin at example `start`, without end.

    Args:
      seed: of all orders and transforms, 0 or more.
      batch_size: rows of the global batch.
      row_range: [low, high), this host's rows of each global batch.
      start: examples consumed so far, by all hosts together.
      workers: processes that assemble batches; 0 does it in a thread.
    """
    _check(batch_size=batch_size, row_range=row_range)
    ordered = tuple(sorted(parts, key=lambda part: part.name))
    step = TrainStep(ordered, mix(ordered, seed=seed), batch_size, row_range, start)
    return _load(step, ordered[0].rows.contract, num_steps=2**40, num_workers=workers)


def eval_batches(
    rows: Rows,
    *,
    batch_size: int,
    row_range: tuple[int, int],
    transforms: tuple[Transform, ...] = (),
    workers: int = 0,
) -> Batches:
    """This host's rows of the global batches over all rows once, in order; the last batch ends in rows of
    weight zero. All chance of the transforms comes from a row's number.
    """
    _check(batch_size=batch_size, row_range=row_range)
    num_steps = -(-len(rows) // batch_size)
    step = EvalStep(rows, batch_size, row_range, transforms)
    return _load(step, rows.contract, num_steps=num_steps, num_workers=workers)


@dataclass(frozen=True)
class TrainStep:
    """step -> this host's rows of training batch number `step` after `start`."""

    parts: tuple[Part, ...]  # in the order of the mixture
    mixture: Mixture
    batch_size: int
    row_range: tuple[int, int]
    start: int

    def __call__(self, step: int) -> Batch:
        first = self.start + step * self.batch_size
        low, high = self.row_range
        part_B, row_B = self.mixture.rows(first + low, first + high)

        def read(part: int, places: np.ndarray) -> Batch:
            rows = self.parts[part].rows.read(row_B[places])
            positions_B = first + low + places
            return transforms.apply(self.parts[part].transforms, rows, positions_B=positions_B, seed=self.mixture.seed)

        return gather(part_B, read)


@dataclass(frozen=True)
class EvalStep:
    """step -> this host's rows of evaluation batch number `step`."""

    rows: Rows
    batch_size: int
    row_range: tuple[int, int]
    transforms: tuple[Transform, ...] = ()

    def __call__(self, step: int) -> Batch:
        low, high = (min(step * self.batch_size + edge, len(self.rows)) for edge in self.row_range)
        missing = batch.empty_rows(self.row_range[1] - self.row_range[0] - (high - low), self.rows.contract)
        if low == high:
            return missing
        numbers = np.arange(low, high)
        there = transforms.apply(self.transforms, self.rows.read(numbers), positions_B=numbers, seed=0)
        return {key: np.concatenate([there[key], missing[key]]) for key in there}


def _load(assemble: Callable[[int], Batch], contract: Contract, *, num_steps: int, num_workers: int) -> Batches:
    """Grain runs `assemble` ahead of the consumer, in order."""
    import grain
    from absl import flags

    steps = grain.MapDataset.range(num_steps).map(assemble)
    options = grain.ReadOptions(num_threads=_NUM_THREADS, prefetch_buffer_size=_BUFFERED_BATCHES)
    dataset = steps.to_iter_dataset(options)
    if num_workers:
        if not flags.FLAGS.is_parsed():  # Grain reads its own flags when it starts processes
            flags.FLAGS.mark_as_parsed()
        dataset = dataset.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=num_workers, per_worker_buffer_size=2),
            worker_init_fn=_begin_worker,
        )
    return Batches(iter(dataset), contract)


def _begin_worker(worker: int, num_workers: int) -> None:
    del worker, num_workers
    workers.die_with_parent()


def _check(*, batch_size: int, row_range: tuple[int, int]) -> None:
    low, high = row_range
    if not 0 <= low < high <= batch_size:
        raise ValueError(f"row_range: expected 0 <= low < high <= batch_size = {batch_size}, got {row_range}")
