"""What a source of labelled examples is: inputs that are read at random by number, and everything else at hand."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from jaxtyping import Int64, UInt8

from input_pipeline.labelled.labels import numbered

# [B, ...] where all agree in shape, else one array (or the bytes of one record) after the other.
Inputs: TypeAlias = np.ndarray | list


class Reader(Protocol):
    """Inputs 0, 1, ... Reading one twice gives the same, in any process that the reader is pickled to."""

    def read(self, indices_B: Int64[np.ndarray, "B"]) -> Inputs:
        """Inputs by number, in this order."""


@dataclass(frozen=True)
class InMemory:
    """Inputs of one array; [N, ...]."""

    array: np.ndarray

    def read(self, indices_B: Int64[np.ndarray, "B"]) -> np.ndarray:
        return self.array[indices_B]


@dataclass(frozen=True)
class Listed:
    """Inputs that differ in shape, or records."""

    inputs: Sequence[np.ndarray | bytes]

    def read(self, indices_B: Int64[np.ndarray, "B"]) -> list:
        return [self.inputs[i] for i in indices_B.tolist()]


@dataclass(frozen=True, eq=False)
class Examples:
    """N examples. `labels` is [N] of class numbers (int32), or [N] or [N, K] of numbers (float32).

    `classes` has the name of each class; none where labels are numbers. `groups` says what examples have in common
    that a split should not cut, such as the speaker. `parts` are the splits that the source itself has. `bad` tells of
    each record that could not be read, and is not among the N, its name and the reason.
    """

    reader: Reader
    labels: np.ndarray
    names: Sequence[str]  # the same on every machine
    digests: UInt8[np.ndarray, "N 32"]  # SHA-256 of what each input is made of
    classes: tuple[str, ...] = ()
    groups: np.ndarray | None = None  # of str
    parts: Mapping[str, Int64[np.ndarray, "M"]] = field(default_factory=dict)
    bad: tuple[str, ...] = ()
    account: Mapping[str, Any] = field(default_factory=dict)  # of a cleaning: dataset.Dataset

    @classmethod
    def of(
        cls,
        inputs: np.ndarray | Sequence[np.ndarray | bytes],
        labels: Any,
        *,
        classes: Sequence[str] = (),
        names: Sequence[str] = (),
        groups: Sequence[str] | None = None,
        parts: Mapping[str, Sequence[int]] | None = None,
    ) -> "Examples":
        """Examples in memory: `data.source` may be `my_module:digits`, or `__main__:digits` in a notebook.

        Args:
          inputs: an array [N, ...], or a list of N arrays, or of the bytes of N files.
          labels: N names or numbers of classes, or [N] or [N, K] numbers.
          classes: the names of classes that are given as numbers.
          names: by which a split takes its share; by default those of their places in the list.
          parts: numbers of examples, such as {"test": range(900, 1000)}; "train" has all others.

        Raises:
          ValueError: other lengths than N.
        """
        numbers, found = _labels(np.asarray(labels))
        names = names or [f"example-{i:06d}" for i in range(len(numbers))]
        for what, given in (("inputs", inputs), ("names", names), ("groups", numbers if groups is None else groups)):
            if len(given) != len(numbers):
                raise ValueError(f"{what}: expected {len(numbers)}, as many as labels, got {len(given)}")
        if found and classes:
            raise ValueError(f"classes: expected none beside labels that are names, got {tuple(classes)}")
        if isinstance(inputs, np.ndarray):
            inputs = inputs.astype(np.float32) if inputs.dtype == np.float64 else inputs
        return cls(
            reader=InMemory(inputs) if isinstance(inputs, np.ndarray) else Listed(inputs),
            labels=numbers,
            names=names,
            digests=digests_of(inputs),
            classes=found or tuple(classes),
            groups=None if groups is None else np.array(groups, str),
            parts=_parts(parts or {}, len(numbers)),
        )

    def __len__(self) -> int:
        return len(self.names)

    def fingerprint(self, members: Int64[np.ndarray, "M"]) -> str:
        """SHA-256, in hex, of the names, contents and labels of these examples, in this order."""
        whole = hashlib.sha256(repr((self.classes, self.labels.dtype, self.labels.shape[1:])).encode())
        for name in (self.names[i] for i in members.tolist()):
            encoded = name.encode("utf-8", "surrogateescape")
            whole.update(b"%d %b\n" % (len(encoded), encoded))
        whole.update(self.digests[members].tobytes())
        whole.update(np.ascontiguousarray(self.labels[members]).tobytes())
        return whole.hexdigest()

    def without(self, bad: Mapping[int, str]) -> "Examples":
        """Those that are not bad; `bad` has the reason of each that is, by its number."""
        kept = np.array([i for i in range(len(self)) if i not in bad], np.int64)
        place = np.full(len(self), -1)
        place[kept] = np.arange(len(kept))
        parts = {name: place[members][place[members] >= 0] for name, members in self.parts.items()}
        return replace(
            self,
            reader=Chosen(self.reader, kept),
            labels=self.labels[kept],
            names=[self.names[i] for i in kept.tolist()],
            digests=self.digests[kept],
            groups=None if self.groups is None else self.groups[kept],
            parts=parts,
            bad=(*self.bad, *(f"{self.names[i]}: {reason}" for i, reason in sorted(bad.items()))),
        )


@dataclass(frozen=True)
class Chosen:
    """Some inputs of another reader."""

    whole: Reader
    members: Int64[np.ndarray, "M"]

    def read(self, indices_B: Int64[np.ndarray, "B"]) -> Inputs:
        return self.whole.read(self.members[indices_B])


def digests_of(inputs: np.ndarray | Sequence[np.ndarray | bytes]) -> UInt8[np.ndarray, "N 32"]:
    """SHA-256 of each entry."""
    if isinstance(inputs, np.ndarray):
        inputs = np.ascontiguousarray(inputs)
    found = b"".join(hashlib.sha256(_content(entry)).digest() for entry in inputs)
    return np.frombuffer(found, np.uint8).reshape(len(inputs), 32)


def _content(entry: np.ndarray | bytes) -> bytes:
    return entry if isinstance(entry, bytes) else entry.tobytes()


def _parts(parts: Mapping[str, Sequence[int]], count: int) -> dict[str, np.ndarray]:
    """Raises ValueError unless these are numbers of examples, none of them twice."""
    found = {name: np.asarray(members) for name, members in parts.items()}
    every = np.concatenate([np.zeros(0, int), *found.values()])
    are_numbers = all(members.dtype.kind in "iu" for members in found.values() if members.size)
    if not are_numbers or len(np.unique(every)) != len(every) or set(every.tolist()) - {*range(count)}:
        raise ValueError(
            f"parts: expected numbers of examples from 0 to {count - 1}, none of them twice, got {found}; write for "
            'example {"test": range(900, 1000)}'
        )
    return {name: members.astype(np.int64) for name, members in found.items()}


def _labels(labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """-> (class numbers [N] of names or whole numbers, else numbers [N, K]; the names of the classes, if any)."""
    if labels.dtype.kind in "SO" and all(isinstance(label, str | bytes) for label in labels.flat):
        labels = np.array([label if isinstance(label, str) else label.decode() for label in labels.tolist()])
    if labels.dtype.kind == "U":
        return numbered(labels.tolist())
    if labels.dtype.kind in "biu" and labels.ndim == 1:
        if labels.size and int(labels.max()) > np.iinfo(np.int32).max:
            raise ValueError(f"labels: expected numbers of classes, got {labels.max()}; write them as floats otherwise")
        return labels.astype(np.int32), ()
    return labels.astype(np.float32).reshape(len(labels), -1), ()
