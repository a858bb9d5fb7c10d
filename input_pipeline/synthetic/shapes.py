"""Pictures of one shape each, of random place, size, tilt and colour, under noise. The shape is the label."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, UInt8

from input_pipeline import hashing

_MIN_SIZE = 8  # pixels; on fewer, the shapes look alike
_TILT = np.pi / 12  # at most; more would make a diamond of a square
_CONTRAST = 0.3  # between shape and ground, at least, of the range of each channel

Plane = Float64[np.ndarray, "H W"]


def example(number: int, *, shape: tuple[int, int, int], seed: int) -> tuple[UInt8[np.ndarray, "H W C"], int]:
    """Picture `number`, and which of `CLASSES` it shows.

    Raises:
      ValueError: `shape` is not [H, W, C] with at least 8 rows and columns.
    """
    if len(shape) != 3 or min(shape[:2]) < _MIN_SIZE or shape[2] < 1:
        raise ValueError(f"data.shape: expected (H, W, C) of {_MIN_SIZE} x {_MIN_SIZE} or more, got {shape}")
    label = number % len(CLASSES)
    key = hashing.fold(hashing.key("synthetic shapes 1", seed), number)
    [(size, row, column, turn, side, strength)] = hashing.uniform(hashing.fold(key, 0), 6)
    radius = (0.25 + 0.2 * size) * min(shape[:2])
    y, x = _grid(shape[0], row, radius)[:, None], _grid(shape[1], column, radius)[None]
    tilt = (2 * turn - 1) * _TILT
    x, y = np.cos(tilt) * x + np.sin(tilt) * y, np.cos(tilt) * y - np.sin(tilt) * x
    inside = np.clip(0.5 - radius * _DISTANCES[CLASSES[label]](x / radius, y / radius), 0, 1)[..., None]
    dark_C, bright_C = hashing.uniform(hashing.fold(key, np.arange(1, 3)), shape[2]) * (1 - _CONTRAST) / 2
    dark_C, bright_C = (dark_C, 1 - bright_C) if side < 0.5 else (1 - bright_C, dark_C)
    noise = hashing.uniform(hashing.fold(key, 3), int(np.prod(shape))).reshape(shape) - 0.5
    picture = dark_C + (bright_C - dark_C) * inside + 0.2 * strength * noise
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8), label


def _grid(length: int, place: float, radius: float) -> np.ndarray:
    """Of each pixel, how far its middle is from a centre that keeps `radius` from both borders."""
    return np.arange(length) + 0.5 - (radius + place * (length - 2 * radius))


def _circle(x: Plane, y: Plane) -> Plane:
    return np.hypot(x, y) - 1


def _ring(x: Plane, y: Plane) -> Plane:
    return np.abs(np.hypot(x, y) - 0.75) - 0.25


def _square(x: Plane, y: Plane) -> Plane:
    return _box(x, y, 0.72, 0.72)


def _bar(x: Plane, y: Plane) -> Plane:
    return _box(x, y, 0.95, 0.3)


def _cross(x: Plane, y: Plane) -> Plane:
    return np.minimum(_bar(x, y), _bar(y, x))


def _triangle(x: Plane, y: Plane) -> Plane:
    """Equilateral, its corners on the circle, one of them up."""
    return np.maximum(np.abs(x) * np.sqrt(0.75) - y / 2, y) - 0.5


def _box(x: Plane, y: Plane, half_width: float, half_height: float) -> Plane:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


# How far a place is from the shape of radius 1, negative within; at corners, from the lines that meet there.
_DISTANCES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "circle": _circle,
    "ring": _ring,
    "square": _square,
    "bar": _bar,
    "cross": _cross,
    "triangle": _triangle,
}
CLASSES = tuple(_DISTANCES)
