"""Packages that only cleaning needs, imported when an operation first uses them."""

import importlib
from types import ModuleType


def load(module: str) -> ModuleType:
    """The module of that name.

    Raises:
      ValueError: its package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        package = module.split(".")[0]
        raise ValueError(
            f"steps: this line needs the package {package}; pip install {package}, or make setup-clean"
        ) from None
