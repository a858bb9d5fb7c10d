"""One example a file: the class is the file's folder, or stands in its name."""

import hashlib
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline.files import File
from input_pipeline.labelled import patterns
from input_pipeline.labelled.examples import Examples
from input_pipeline.labelled.labels import numbered


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
    read = patterns.reader(pattern or "{label}/{name}", wanted="label")
    told = [read(file.name) for file in found]
    labels, classes = numbered([each["label"] for each in told])
    return Examples(
        reader=FileBytes(tuple(file.path for file in found), tuple(file.content.sha256 for file in found)),
        labels=labels,
        names=[file.name for file in found],
        digests=np.frombuffer(b"".join(file.content.sha256 for file in found), np.uint8).reshape(len(found), 32),
        classes=classes,
        groups=np.array([each["group"] for each in told]) if "group" in told[0] else None,
    )
