"""One example a file: the class is the file's folder, or stands in its name."""

import hashlib
import pathlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline.files import File
from input_pipeline.labelled.examples import Examples

_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class FileBytes:
    """The bytes of files, held to what they were when the run began."""

    paths: tuple[str, ...]
    sha256: tuple[bytes, ...]

    def read(self, indices_B: np.ndarray) -> list[bytes]:
        """Whole files by number."""
        return [self._read(i) for i in indices_B.tolist()]

    def _read(self, i: int) -> bytes:
        raw = pathlib.Path(self.paths[i]).read_bytes()
        if hashlib.sha256(raw).digest() != self.sha256[i]:
            raise ValueError(f"expected {self.paths[i]} as it was when the run began, but it has changed; run again")
        return raw


def examples(found: Sequence[File], *, pattern: str) -> Examples:
    """Every file an example.

    Args:
      pattern: of a file's name, such as "{label}_{group}_{number}.wav", or of its path below the glob's folder where
        the pattern has a "/"; "": the label is the folder that the file lies in.

    Raises:
      ValueError: a pattern without {label}, or a file that it does not match.
    """
    read = _reader(pattern or "{label}/{name}")
    told = [read(file.name) for file in found]
    classes = _in_order({each["label"] for each in told})
    number = {name: i for i, name in enumerate(classes)}
    has_groups = "group" in told[0]
    return Examples(
        reader=FileBytes(tuple(file.path for file in found), tuple(file.content.sha256 for file in found)),
        labels=np.array([number[each["label"]] for each in told], np.int32),
        names=[file.name for file in found],
        digests=np.frombuffer(b"".join(file.content.sha256 for file in found), np.uint8).reshape(len(found), 32),
        classes=classes,
        groups=np.array([each["group"] for each in told]) if has_groups else None,
    )


def _reader(pattern: str):
    """-> a file's name -> what stands in the places of the pattern."""
    places = _PLACE.findall(pattern)
    if "label" not in places or len(set(places)) != len(places):
        raise ValueError(
            f"data.pattern: expected {{label}} in it, and no place twice, got {pattern!r}; write for example "
            "'{label}_{group}_{number}.wav'"
        )
    pieces = _PLACE.split(pattern)
    expression = "".join(re.escape(piece) if i % 2 == 0 else f"(?P<{piece}>[^/]+?)" for i, piece in enumerate(pieces))
    compiled = re.compile(rf"(?:.*/)?{expression}")

    def read(name: str) -> dict[str, str]:
        match = compiled.fullmatch(name)
        if not match:
            raise ValueError(
                f"data.pattern: expected files such as {pattern!r}, got {name!r}; write a data.pattern that fits all "
                "files, or a glob in data.files that leaves this one out (a glob's folders before its first wildcard "
                "are no part of a name)"
            )
        return match.groupdict()

    return read


def _in_order(labels: set[str]) -> tuple[str, ...]:
    """Names of classes: numbers as numbers, all else by the alphabet."""
    are_numbers = all(label.isdigit() for label in labels)
    return tuple(sorted(labels, key=int if are_numbers else str))
