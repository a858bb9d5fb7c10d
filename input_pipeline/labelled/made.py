"""Examples that are made from their number when they are read (`input_pipeline/synthetic/`)."""

import hashlib
from dataclasses import dataclass

import numpy as np

from input_pipeline.labelled.examples import Examples
from input_pipeline.synthetic import LABELLED

SEED = 0  # of what is made; a run's own seed orders it


@dataclass(frozen=True)
class Made:
    """Inputs of one kind, a key of `LABELLED`, each of `shape`."""

    kind: str
    shape: tuple[int, ...]

    def read(self, indices_B: np.ndarray) -> np.ndarray:
        """Inputs by number."""
        make = LABELLED[self.kind].example
        return np.stack([make(number, shape=self.shape, seed=SEED)[0] for number in indices_B.tolist()])


def examples(kind: str, *, num_examples: int, shape: tuple[int, ...]) -> Examples:
    """`num_examples` of a kind, in balance between its classes.

    Raises:
      ValueError: no such kind, no examples, or a shape that it cannot have.
    """
    if kind not in LABELLED:
        raise ValueError(f"data.kind: expected one of {', '.join(LABELLED)}, got {kind!r}")
    if num_examples < 1:
        raise ValueError(f"data.num_examples: expected 1 or more, got {num_examples}; write 1000")
    made, classes = Made(kind, shape), LABELLED[kind].classes
    made.read(np.zeros(1, np.int64))
    names = [f"{kind}-{number:06d}" for number in range(num_examples)]
    digests = b"".join(hashlib.sha256(repr((made, SEED, name)).encode()).digest() for name in names)
    return Examples(
        reader=made,
        labels=(np.arange(num_examples) % len(classes)).astype(np.int32),
        names=names,
        digests=np.frombuffer(digests, np.uint8).reshape(num_examples, 32),
        classes=classes,
    )
