"""Rows as an evaluation gives them, random and adversarial."""

import itertools

import numpy as np


def softmax_cases(num_rows: int = 60, num_classes: int = 7) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """name -> scores [B, C] float32, labels [B] int32, weights [B] float32."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (num_rows, num_classes)).astype(np.float32)
    labels = rng.integers(0, num_classes, num_rows).astype(np.int32)
    labels[:num_classes] = np.arange(num_classes)  # every class occurs
    ones = np.ones(num_rows, np.float32)
    perfect = 5 * np.eye(num_classes, dtype=np.float32)[labels]
    never = scores.copy()
    never[:, 1] -= 100
    return {
        "random": (scores, labels, ones),
        "fractional weights": (scores, labels, rng.random(num_rows).astype(np.float32)),
        "zero weights": (scores, labels, rng.integers(0, 2, num_rows).astype(np.float32)),
        "one class": (scores, np.full_like(labels, 1), ones),
        "absent classes": (scores, labels % 2 * (num_classes - 1), ones),
        "a class never predicted": (never, labels, ones),
        "ties": (rng.integers(0, 2, scores.shape).astype(np.float32), labels, ones),
        "ties with weights": (rng.integers(0, 2, scores.shape).astype(np.float32), labels, rng.random(num_rows)),
        "all equal": (np.zeros_like(scores), labels, ones),
        "perfect": (perfect, labels, ones),
        "inverted": (-perfect, labels, ones),
        "huge": (scores * 1e4, labels, ones),
        "one row": (scores[:1], labels[:1], ones[:1]),
        "two rows": (scores[:2], labels[:2], ones[:2]),
    }


def binary_cases() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The same with two classes."""
    return softmax_cases(num_rows=41, num_classes=2) | {
        "only negative": (np.zeros((3, 2), np.float32), np.zeros(3, np.int32), np.ones(3, np.float32)),
        "only positive": (np.zeros((3, 2), np.float32), np.ones(3, np.int32), np.ones(3, np.float32)),
    }


def sigmoid_cases() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """name -> scores [B, C] float32, labels [B, C] float32 of 0 and 1, weights [B]."""
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 2, (50, 5)).astype(np.float32)
    labels = (rng.random(scores.shape) < 0.3).astype(np.float32)
    ones, fractions = np.ones(50, np.float32), rng.random(50).astype(np.float32)
    lone = labels.copy()
    lone[:, 1], lone[:, 2] = 0, 1
    return {
        "random": (scores, labels, ones),
        "fractional weights": (scores, labels, fractions),
        "zero weights": (scores, labels, (fractions > 0.5).astype(np.float32)),
        "a class of no row and one of all": (scores, lone, ones),
        "no labels": (scores, np.zeros_like(labels), ones),
        "all labels": (scores, np.ones_like(labels), fractions),
        "ties": (np.round(scores / 2), labels, ones),
        "perfect": (labels * 10 - 5, labels, ones),
        "inverted": (5 - labels * 10, labels, ones),
        "huge": (scores * 1e4, labels, ones),
        "one row": (scores[:1], labels[:1], ones[:1]),
    }


def cut(num_rows: int, *, seed: int = 0) -> list[slice]:
    """Uneven pieces that cover the rows, an empty one and one of a single row among them, in random order."""
    rng = np.random.default_rng(seed)
    edges = np.sort(np.r_[0, 0, 1, rng.integers(0, num_rows + 1, 4), num_rows])
    pieces = [slice(low, high) for low, high in itertools.pairwise(edges)]
    rng.shuffle(pieces)
    return pieces
