"""Raw files by other names than paths: texts of installed packages, made-up texts with junk, sets of TFDS.

clean.files=("package:jax", "package:numpy")    what their wheels hold of documentation and Python sources
clean.files=("synthetic:400",)                  400 files of synthetic/raw.py, written to the cache
clean.files=("tfds:lm1b:1.1.0/train",)          a split of a set, which is made now if it is not there
"""

import importlib.metadata
import pathlib
from collections.abc import Callable, Mapping

from input_pipeline import cache, tfds
from input_pipeline.progress import quiet
from input_pipeline.synthetic.raw import raw

_TEXTS = (".py", ".txt", ".md", ".rst", ".html")
_NAMES = ("METADATA", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS", "README")  # without a suffix
_RECIPE = "made-up raw files 1"


def package(name: str, cache_dir: pathlib.Path) -> dict[str, str]:
    """{path: name} of what a distribution's RECORD lists as text for people, and is there."""
    del cache_dir
    try:
        listed = importlib.metadata.files(name) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise ValueError(f"--input: expected a distribution that is installed, got 'package:{name}'") from None
    wanted = [file for file in listed if file.suffix in _TEXTS or file.name in _NAMES]
    found = {str(file.locate()): file.as_posix() for file in wanted if pathlib.Path(str(file.locate())).is_file()}
    if not found:
        raise ValueError(f"--input: expected texts in the wheel of {name!r}, but it holds none")
    return found


def synthetic(count: str, cache_dir: pathlib.Path) -> dict[str, str]:
    """{path: name} of so many files, which are written unless they are there."""
    if not count.isdecimal() or not int(count):
        raise ValueError(f"--input: expected a number of files, got 'synthetic:{count}'; write synthetic:400")
    folder = cache_dir / "made" / f"{cache.key(_RECIPE)[:32]}"
    names = {}
    for number in range(int(count)):
        name, content = raw(number)
        path = folder / name
        if not path.is_file():
            with cache.replacing(path) as file:
                file.write(content)
        names[str(path)] = name
    return names


def tfds_split(name: str, cache_dir: pathlib.Path) -> dict[str, str]:
    """{path: name} of the files of one split of a set, named as TFDS does or by the folder of one of its versions."""
    found, _, split = name.rpartition("/")
    return {file.path: file.name for file in tfds.shards(found, split=split, cache_dir=cache_dir, progress=quiet)}


SCHEMES: Mapping[str, Callable[[str, pathlib.Path], dict[str, str]]] = {
    "package": package,
    "synthetic": synthetic,
    "tfds": tfds_split,
}
