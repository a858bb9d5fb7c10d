"""Text made from a number: small stories with a grammar to learn, and facts to remember.

Within one story every thing keeps its colour and the cast is small, so a model gains first from spelling,
then from grammar, then from looking back. Only `random.Random.random` is drawn from, whose stream Python
promises to keep.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_PEOPLE = (
    "Ada",
    "Bruno",
    "Chidi",
    "Dana",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kaya",
    "Lena",
    "Milo",
    "Nadia",
    "Omar",
    "Petra",
)
_THINGS = (
    "lamp",
    "kettle",
    "basket",
    "ladder",
    "violin",
    "compass",
    "blanket",
    "hammer",
    "lantern",
    "teapot",
)
_COLOURS = ("red", "green", "blue", "yellow", "white", "black", "silver", "brown")
_PLACES = ("harbour", "market", "library", "orchard", "station", "bakery", "workshop", "garden")

# Each line: a sentence, and the sentences that may follow it.
_GRAMMAR: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("{a} went to the {place}.", (1, 2)),
    ("{a} found the {thing} there.", (3, 4)),
    ("{b} was already at the {place}.", (1, 4)),
    ("The {thing} was {colour}.", (4, 5)),
    ('"Whose {thing} is this?" asked {b}.', (5, 6)),
    ("{a} gave the {colour} {thing} to {b}.", (0, 6)),
    ('"It is my {colour} {thing}," said {a}.', (0, 5)),
)


def text(index: int, *, num_bytes: int) -> bytes:
    """Story number `index`, of exactly `num_bytes` bytes of ASCII."""
    rng = random.Random(f"meshwright synthetic text 1: {index}")
    people, places = _draw(rng, _PEOPLE, 3), _draw(rng, _PLACES, 2)
    colours = {thing: _draw(rng, _COLOURS, 1)[0] for thing in _draw(rng, _THINGS, 3)}
    story, length, state = [], 0, 0
    while length < num_bytes:
        sentence, followers = _GRAMMAR[state]
        a, b = _draw(rng, people, 2)
        [thing], [place], [state] = _draw(rng, tuple(colours), 1), _draw(rng, places, 1), _draw(rng, followers, 1)
        end = "\n" if rng.random() < 0.2 else " "
        story.append(sentence.format(a=a, b=b, thing=thing, colour=colours[thing], place=place) + end)
        length += len(story[-1])
    return "".join(story).encode()[:num_bytes]


def _draw(rng: random.Random, options: Sequence[T], count: int) -> list[T]:
    """`count` different options."""
    left = list(options)
    return [left.pop(int(rng.random() * len(left))) for _ in range(count)]
