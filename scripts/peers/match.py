"""Contenders in interleaved rounds, and what their times say of each other."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from peers.contender import Contender


class Times(NamedTuple):
    """Of each contender, by its name: seconds a step and cores busy, a number for each round."""

    step_s: dict[str, list[float]]
    cores: dict[str, list[float]]

    def medians(self, *, torch: Sequence[str]) -> dict[str, Any]:
        """Medians, and the ratios of speed of "ours" to "eager" and to the faster of `torch`, with their spread."""
        median = {name: statistics.median(times) for name, times in self.step_s.items()}
        fastest = min(torch, key=lambda name: median[name])
        return {
            "step_ms": {name: 1e3 * value for name, value in median.items()},
            "cores_busy": {name: statistics.median(values) for name, values in self.cores.items()},
            "fastest_torch": fastest,
            **spread("ratio_eager", self.step_s["eager"], self.step_s["ours"]),
            **spread("ratio_best", self.step_s[fastest], self.step_s["ours"]),
        }


def play(contenders: Mapping[str, Contender], *, rounds: int, round_s: float, trial: int) -> Times:
    """Everybody in turn, another one first in each round; steps are counted so that a turn takes about `round_s`.

    `trial` steps, which are not counted, say how fast each of them is.
    """
    num_steps = {name: max(trial, int(round_s / one.run(trial)["seconds"] * trial)) for name, one in contenders.items()}
    times = Times({name: [] for name in contenders}, {name: [] for name in contenders})
    names = list(contenders)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            spent = contenders[name].run(num_steps[name])
            times.step_s[name].append(spent["seconds"] / num_steps[name])
            times.cores[name].append(spent["cpu_s"] / spent["seconds"])
    for one in contenders.values():
        one.close()
    return times


def spread(name: str, theirs_s: Sequence[float], ours_s: Sequence[float]) -> dict[str, Any]:
    """The median of the rounds' ratios of speed, and the least and the greatest of them."""
    ratios = [their_s / our_s for their_s, our_s in zip(theirs_s, ours_s, strict=True)]
    return {name: statistics.median(ratios), f"{name}_spread": [min(ratios), max(ratios)]}
