"""Corpora made from numbers, of which it is known what is wrong with them: does a comparison of data find it?

A run names one as `data.source="input_pipeline.synthetic.planted:junk_pages"`, with `num_documents` and
`document_bytes`.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from input_pipeline.documents import Documents
from input_pipeline.progress import Progress, quiet
from input_pipeline.synthetic import stories

_APART = 1_000_000  # between the numbers of corpora that share no story
NUM_COPIED = 8
_SENDERS = ("Ms Abara", "Mr Blom", "Ms Castro", "Mr Dietz", "Ms Endo", "Mr Fofana", "Ms Grieg", "Mr Haddad")
_GOODS = ("bolts", "panels", "cables", "valves", "filters", "gaskets", "sensors", "pumps")
_TOWNS = ("Lagos", "Oslo", "Lima", "Kyoto", "Turin", "Quito", "Tunis", "Bergen")
_MONTHS = ("January", "March", "May", "July", "September", "November")


class Size(Protocol):
    """What a config says of a corpus."""

    num_documents: int
    document_bytes: int


@dataclass(frozen=True)
class Planted(Documents):
    """Documents of one kind, each made from its number alone."""

    kind: str  # a key of KINDS
    num_documents: int
    document_bytes: int

    def __len__(self) -> int:
        return self.num_documents

    def name(self, i: int) -> str:
        return f"{self.kind}-{i:06d}"

    def num_bytes(self, i: int) -> int:
        return self.document_bytes

    def read(self, i: int) -> bytes:
        return KINDS[self.kind](range(len(self))[i], self.document_bytes)


def other_story(number: int, num_bytes: int) -> bytes:
    """A story that `source="synthetic"` does not have, of the same kind."""
    return stories.text(_APART + number, num_bytes=num_bytes)


def held_out_story(number: int, num_bytes: int) -> bytes:
    """A story that neither of them has."""
    return stories.text(2 * _APART + number, num_bytes=num_bytes)


def copy(number: int, num_bytes: int) -> bytes:
    """One of a few stories, over and over."""
    return stories.text(number % NUM_COPIED, num_bytes=num_bytes)


def junk(number: int, num_bytes: int) -> bytes:
    """Cells of tables, menus and symbols, in no order."""
    rng = random.Random(f"meshwright junk 1: {number}")
    pieces = ("| -- |", "###", "...", "Home > ", "Cookies", ">>", "click here", "&nbsp;", "Login", "%20", "=3D", "00")
    made: list[str] = []
    while sum(map(len, made)) < num_bytes:
        made.append(pieces[int(rng.random() * len(pieces))] + str(int(rng.random() * 1000)))
    return "".join(made).encode()[:num_bytes]


def order(number: int, num_bytes: int) -> bytes:
    """Letters of business: another domain than stories."""
    return _letters(f"order {number}", num_bytes)


def held_out_order(number: int, num_bytes: int) -> bytes:
    """Letters that the corpus of them does not have."""
    return _letters(f"held-out order {number}", num_bytes)


def _letters(name: str, num_bytes: int) -> bytes:
    rng = random.Random(f"meshwright letters 1: {name}")
    draw = lambda options: options[int(rng.random() * len(options))]
    made: list[str] = []
    while sum(map(len, made)) < num_bytes:
        goods, count = draw(_GOODS), 10 * (1 + int(rng.random() * 90))
        made.append(
            f"Dear {draw(_SENDERS)}, we order {count} {goods} for {draw(_TOWNS)}, due on {1 + int(rng.random() * 28)} "
            f"{draw(_MONTHS)}. Please confirm the {count} {goods}. Yours, {draw(_SENDERS)}\n"
        )
    return "".join(made).encode()[:num_bytes]


KINDS: Mapping[str, Callable[[int, int], bytes]] = {
    "other_stories": other_story,
    "held_out_stories": held_out_story,
    "copies": copy,
    "junk": junk,
    "orders": order,
    "held_out_orders": held_out_order,
}


def _source(kind: str) -> Callable[..., Planted]:
    def make(data: Size, *, progress: Progress = quiet) -> Planted:
        del progress
        return Planted(kind, data.num_documents, data.document_bytes)

    return make


other_stories = _source("other_stories")
held_out_stories = _source("held_out_stories")
copies = _source("copies")
junk_pages = _source("junk")
orders = _source("orders")
held_out_orders = _source("held_out_orders")
