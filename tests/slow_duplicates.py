"""The same written slowly: sets of tuples, one pair after the other."""

import itertools
import random
import re

from input_pipeline.clean.similar import words

LONE = "".join(f"{chr(first)}-{chr(last)}" for first, last in words.UNSPACED)


def find_words(text: str) -> list[str]:
    """By a regular expression, for texts without combining marks."""
    return re.findall(rf"[{LONE}]|[^\W{LONE}]+", text)


def shingles(text: str, size: int) -> set[tuple[str, ...]]:
    found = find_words(text.lower())
    return set(zip(*(found[i:] for i in range(size)), strict=False))


def jaccard(one: set, other: set) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


def near_pairs(sets: list[set], threshold: float) -> dict[tuple[int, int], float]:
    found = {(i, j): jaccard(sets[i], sets[j]) for i, j in itertools.combinations(range(len(sets)), 2)}
    return {pair: value for pair, value in found.items() if value >= threshold}


def greedy(edges: dict[tuple[int, int], float], order: list[int]) -> list[int]:
    """Each record's original: in this order, a record near to a survivor goes."""
    original: dict[int, int] = {}
    alive: list[int] = []
    for record in order:
        near = [one for one in alive if (min(one, record), max(one, record)) in edges]
        original[record] = near[0] if near else record
        alive += [] if near else [record]
    return [original[i] for i in range(len(order))]


def edited(text: str, rng: random.Random, share: float) -> str:
    """The text with a share of its words replaced."""
    return " ".join(rng.choice("abcdefgh") * 3 if rng.random() < share else word for word in text.split())


def texts(count: int, *, seed: int) -> list[str]:
    """Texts of many families: the first, and edits of earlier ones, by which chains arise."""
    rng = random.Random(seed)
    vocabulary = [f"word{i}" for i in range(500)]
    found = [" ".join(rng.choices(vocabulary, k=60))]
    while len(found) < count:
        is_new = rng.random() < 0.3
        fresh = " ".join(rng.choices(vocabulary, k=rng.randint(30, 120)))
        found.append(fresh if is_new else edited(rng.choice(found), rng, rng.choice([0, 0.01, 0.02, 0.05])))
    return found
