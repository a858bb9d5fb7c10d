"""Counts of names in bounded memory, the same in whatever order and parts the names come."""

import dataclasses
import heapq
import math
from typing import Any

from input_pipeline.splits import name_hash

MOST_NAMES = 1 << 16  # that are counted one by one
SHOWN = 50
_HASHES = 2.0**64


@dataclasses.dataclass
class Tally:
    """How often each name came. Of more than `limit` names, those with the least hashes are kept, with exact counts.

    So it is a uniform sample of the names from there on, and what is said of all names is an estimate from it: of
    their number by the greatest hash that is kept (Beyer et al. 2007, "On Synopses for Distinct-Value Estimation under
    Multiset Operations", section 4), of sums over them by their share (Horvitz and Thompson 1952).
    """

    limit: int = MOST_NAMES
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    total: int = 0  # names that came, repeats too
    bar: int | None = None  # no name of a greater hash is kept; None while all are

    def add(self, name: str, count: int = 1) -> None:
        self.total += count
        if name in self.counts:
            self.counts[name] += count
        elif self.bar is None or name_hash(name) <= self.bar:
            self.counts[name] = count
            if len(self.counts) > 2 * self.limit:
                self._prune()

    def merge(self, other: "Tally") -> None:
        """Takes in what another has counted."""
        bars = [bar for bar in (self.bar, other.bar) if bar is not None]
        self.bar = min(bars, default=None)
        total = self.total + other.total
        for name, count in other.counts.items():
            self.add(name, count)
        self.total = total
        self._prune()

    def _prune(self) -> None:
        if self.bar is None and len(self.counts) <= self.limit:
            return
        kept = heapq.nsmallest(self.limit, ((name_hash(name), name) for name in self.counts))
        self.counts = {name: self.counts[name] for _, name in kept}
        if len(kept) == self.limit:
            self.bar = kept[-1][0]

    def measures(self) -> dict[str, Any]:
        """Number of names, entropy in bits, effective number of names, and the share of the greatest.

        The effective number is 2**entropy: so many equally frequent names have the same entropy (Hill 1973, "Diversity
        and Evenness", order 1; Jost 2006, "Entropy and diversity").
        """
        self._prune()
        if not self.total:
            return {"records": 0, "distinct": 0, "entropy": 0.0, "effective": 0.0, "greatest": 0.0}
        share = 1.0 if self.bar is None else min(1.0, self.bar / _HASHES * self.limit / max(1, self.limit - 1))
        logs = math.fsum(count * math.log2(count) for count in self.counts.values()) / share
        entropy = max(0.0, math.log2(self.total) - logs / self.total)
        measured = {
            "records": self.total,
            "distinct": round(len(self.counts) / share),
            "entropy": round(entropy, 6),
            "effective": round(2**entropy, 6),
            "greatest": round(max(self.counts.values()) / self.total, 6),
        }
        return measured | ({} if self.bar is None else {"sampled_names": len(self.counts)})

    def top(self) -> dict[str, int]:
        """The most frequent names, ties in their order."""
        self._prune()
        return dict(sorted(self.counts.items(), key=lambda each: (-each[1], each[0]))[:SHOWN])
