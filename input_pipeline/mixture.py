"""Mixtures: which part an example comes from, and which of its rows, as a pure function of the position.

Positions are cut into cycles of CYCLE. Each cycle takes a fixed number of examples from each part, the weights rounded
by largest remainder, in an order that a keyed shuffle of the cycle gives. Within a part examples are counted through:
number i is row `shuffled(i % N, epoch=i // N)` of its N rows, unless the part has an order of its own, such as that of
`labelled/together.py`. A run of one source is the mixture of one.

What this guarantees, whatever the batches, hosts, workers and resumes:

- A part's share of every cycle is exact: counts[k] of CYCLE examples, which is less than one from what its weight says.
  So the first n examples of a run hold n * counts[k] / CYCLE of it, but for the unfinished cycle at their end. That is
  off by counts[k] * (1 - counts[k] / CYCLE) at most, so never by more than CYCLE / 4 (had the cycle begun with all of
  one part), and by a standard deviation of at most sqrt(CYCLE) / 4.
- A part passes over all of its rows before it takes one again, then over all of them in another order, and so on: its
  epochs are its own, and end where they end, inside a cycle or a batch.
- The order of a part's rows depends on the seed and the part's name alone: not on the other parts, nor on weights, nor
  on the order in which a config names them.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Int64

from input_pipeline import hashing, order
from input_pipeline.order import Order

# Part of the fingerprint of a run's data: changes whenever any position would get another part or row.
FORMAT = f"mixture 1, {order.FORMAT}"
CYCLE = 4096


def counts(weights: Mapping[str, float]) -> dict[str, int]:
    """Examples of each part in a cycle, CYCLE together: the weights rounded by largest remainder, ties by name.

    Exact arithmetic, so that every machine rounds alike.

    Raises:
      ValueError: a weight that rounds to no example.
    """
    total = sum(map(Fraction, weights.values()))
    quotas = {name: Fraction(weights[name]) / total * CYCLE for name in sorted(weights)}
    rounded = {name: int(quota) for name, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda name: (rounded[name] - quotas[name], name))
    for name in by_remainder[: CYCLE - sum(rounded.values())]:
        rounded[name] += 1
    for name, count in rounded.items():
        if not count:
            least = (total - Fraction(weights[name])) / (CYCLE - 1)
            raise ValueError(
                f"data.mixture.{name}.weight: expected a share of 1 in {CYCLE} or more, got {weights[name]:g} of "
                f"{float(total):g}; write {float(least):.3g}, or leave this part out"
            )
    return rounded


@dataclass(frozen=True)
class Mixture:
    """The order of a run's examples. Parts are numbered in the order of their names."""

    names: tuple[str, ...]
    counts: tuple[int, ...]  # examples of each part in a cycle
    orders: tuple[Order, ...]  # of each part's rows
    seed: int

    def rows(self, start: int, stop: int) -> tuple[Int64[np.ndarray, "P"], Int64[np.ndarray, "P"]]:
        """-> (part, row in it) of the examples at positions [start, stop)."""
        pieces = [_cycle(self, cycle) for cycle in range(start // CYCLE, -(-stop // CYCLE))]
        first = start // CYCLE * CYCLE
        part_P, row_P = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
        return part_P[start - first : stop - first], row_P[start - first : stop - first]

    def taken(self, num_examples: int) -> tuple[int, ...]:
        """How many of the first examples come from each part."""
        cycles, rest = divmod(num_examples, CYCLE)
        part_C, _ = _slots(self.counts, self.seed, cycles)
        unfinished = np.bincount(part_C[:rest], minlength=len(self.counts))
        return tuple(cycles * count + int(more) for count, more in zip(self.counts, unfinished, strict=True))

    def position(self, part: int, index: int) -> int:
        """Where a part's example number `index` stands."""
        cycle, nth = divmod(index, self.counts[part])
        part_C, _ = _slots(self.counts, self.seed, cycle)
        return cycle * CYCLE + int(np.flatnonzero(part_C == part)[nth])


def make(orders: Mapping[str, Order], *, weights: Mapping[str, float], seed: int) -> Mixture:
    """The mixture of parts whose rows have these orders, by name.

    Raises:
      ValueError: a weight that rounds to no example, or more rows in a part than can be shuffled.
    """
    for name, each in orders.items():
        if not 1 <= len(each) <= order.MAX_ROWS:
            raise ValueError(f"expected 1 to {order.MAX_ROWS} rows of {name or 'data'}, got {len(each)}")
    rounded = counts(weights)
    return Mixture(tuple(rounded), tuple(rounded.values()), tuple(orders[name] for name in rounded), seed)


@functools.lru_cache(maxsize=8)  # batches go on where the last one ended
def _cycle(mixture: Mixture, cycle: int) -> np.ndarray:
    """int64 [2, CYCLE]: the part and the row of each example of a cycle."""
    part_C, nth_C = _slots(mixture.counts, mixture.seed, cycle)
    row_C = np.empty_like(nth_C)
    for part, (name, count, epoch) in enumerate(zip(mixture.names, mixture.counts, mixture.orders, strict=True)):
        here = part_C == part
        epochs, positions = np.divmod(cycle * count + nth_C[here], len(epoch))
        row_C[here] = epoch.rows(positions, key=hashing.key("rows", mixture.seed, name), epochs=epochs)
    return np.stack([part_C, row_C])


@functools.lru_cache(maxsize=8)
def _slots(counts: tuple[int, ...], seed: int, cycle: int) -> tuple[np.ndarray, np.ndarray]:
    """-> (part of each example of a cycle, how many of that part stand before it in the cycle), int64 [CYCLE]."""
    places = np.arange(CYCLE)
    key = hashing.key("parts", seed)
    part_C = np.repeat(np.arange(len(counts)), counts)[
        order.shuffled(places, num_rows=CYCLE, key=key, epochs=np.full(CYCLE, cycle))
    ]
    nth_C = np.empty_like(places)
    nth_C[np.argsort(part_C, kind="stable")] = np.concatenate([np.arange(count) for count in counts])
    return part_C, nth_C
