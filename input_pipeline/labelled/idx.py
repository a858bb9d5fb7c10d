"""Sets of idx files, the format of MNIST and its kin: pairs such as `train-images-idx3-ubyte.gz` and
`train-labels-idx1-ubyte.gz`. The format is told at https://yann.lecun.org/exdb/mnist/index.html."""

import functools
import gzip
import math
import os
import pathlib
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline import cache
from input_pipeline.files import File
from input_pipeline.labelled.examples import Examples, digests_of

_NAME = re.compile(r"(?P<part>\w+)-(?P<what>images|labels)[-.]idx\d-ubyte(\.gz)?")
_PARTS = {"t10k": "test"}  # what MNIST calls its test set
_UBYTE = 8  # the one type that the sets of this format have


@dataclass(frozen=True)
class Known:
    """A set that a package brings."""

    package: str
    folder: str  # below a folder of XDG_DATA_DIRS
    tfds: str
    classes: tuple[str, ...]


SETS = {
    "fashion_mnist": Known(
        package="dataset-fashion-mnist",
        folder="datasets/fashion-mnist",
        tfds="fashion_mnist:3.0.1",
        classes=(
            *("T-shirt", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    )
}


@dataclass(frozen=True)
class Mapped:
    """Inputs in a file of numpy, [N, ...], mapped into memory where it is first read."""

    path: pathlib.Path

    @functools.cached_property
    def _array(self) -> np.ndarray:
        return np.load(self.path, mmap_mode="r")

    def read(self, indices_B: np.ndarray) -> np.ndarray:
        """Inputs by number."""
        return np.asarray(self._array[indices_B])

    def __reduce__(self):
        return Mapped, (self.path,)


def known_files(name: str) -> list[str]:
    """The globs of a set's files, where its package puts them.

    Raises:
      ValueError: no such set, or its package is not installed.
    """
    if name not in SETS:
        raise ValueError(f"data.set: expected one of {', '.join(SETS)}, or data.files, got {name!r}")
    known = SETS[name]
    for root in (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":"):
        if (folder := pathlib.Path(root, known.folder)).is_dir():
            return [str(folder / "*-ubyte*")]
    raise ValueError(
        f"data.set: expected the files of {name!r} in share/{known.folder}, but they are not there; write apt-get "
        f"install {known.package}, or --config.data.source=tfds --config.data.set={known.tfds}, or give their "
        "folder with --config.data.files='folder/*-ubyte.gz'"
    )


def examples(found: Sequence[File], *, classes: tuple[str, ...], cache_dir: pathlib.Path) -> Examples:
    """The examples of pairs of files; each pair is a part of the source by the name that its files begin with.

    Raises:
      ValueError: a file without its other half, of another type, cut off, or of another number of entries.
    """
    pairs = _pairs(found)
    arrays = {part: tuple(parse(file) for file in pair) for part, pair in pairs.items()}
    for part, (images, labels) in arrays.items():
        if len(images) != len(labels) or images.shape[1:] != next(iter(arrays.values()))[0].shape[1:]:
            raise ValueError(
                f"data.files: expected as many labels as images, and images of one size, got {images.shape} and "
                f"{labels.shape} in part {part!r}"
            )
    whole = np.concatenate([images[..., None] for images, _ in arrays.values()])
    path = cache_dir / "arrays" / f"{cache.key('idx', *(file.content.sha256.hex() for file in found))[:32]}.npy"
    if not path.is_file():
        with cache.replacing(path) as draft:
            np.save(draft, whole)
    edges = np.cumsum([0, *(len(images) for images, _ in arrays.values())])
    return Examples(
        reader=Mapped(path),
        labels=np.concatenate([labels for _, labels in arrays.values()]).astype(np.int32),
        names=[f"{part}-{i:06d}" for part, (images, _) in arrays.items() for i in range(len(images))],
        digests=digests_of(whole),
        classes=classes,
        parts={part: np.arange(low, high) for part, low, high in zip(arrays, edges, edges[1:], strict=False)},
    )


def parse(file: File) -> np.ndarray:
    """The array in a file, uint8.

    Raises:
      ValueError: another format or type, or fewer bytes than it says.
    """
    raw = pathlib.Path(file.path).read_bytes()
    try:
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        zeros, kind, num_dims = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{num_dims}I", raw[4 : 4 + 4 * num_dims])
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise ValueError(f"data.files: expected an idx file, but {file.path} is damaged: {error}") from None
    body = np.frombuffer(raw, np.uint8, offset=4 + 4 * num_dims)
    if zeros or kind != _UBYTE or body.size != math.prod(shape):
        raise ValueError(
            f"data.files: expected an idx file of unsigned bytes, but {file.path} has type {kind} and "
            f"{body.size} bytes for {list(shape)}"
        )
    return body.reshape(shape)


def _pairs(found: Sequence[File]) -> dict[str, tuple[File, File]]:
    by_part: dict[str, dict[str, File]] = {}
    for file in found:
        match = _NAME.fullmatch(pathlib.PurePath(file.name).name)
        if not match:
            raise ValueError(
                f"data.files: expected names such as train-images-idx3-ubyte.gz, got {file.name!r}; write a glob that "
                "matches those of the set alone"
            )
        halves = by_part.setdefault(_PARTS.get(match["part"], match["part"]), {})
        if match["what"] in halves:
            raise ValueError(
                f"data.files: expected one file of each half, got {halves[match['what']].name!r} and {file.name!r}"
            )
        halves[match["what"]] = file
    for part, halves in by_part.items():
        if len(halves) != 2:
            raise ValueError(f"data.files: expected images and labels of {part!r}, got {', '.join(halves)} alone")
    return {part: (halves["images"], halves["labels"]) for part, halves in sorted(by_part.items(), reverse=True)}
