"""Checks the shapes in signatures at each call. Plain types are left to mypy: some names exist for it alone."""

import typing

from beartype import beartype
from jaxtyping import AbstractArray


def checked(function):
    """The function under beartype, which sees those of its annotations that speak of arrays."""
    hints = {name: hint for name, hint in function.__annotations__.items() if speaks_of_arrays(hint)}
    function.__annotations__ = hints
    return beartype(function) if hints else function


def speaks_of_arrays(hint) -> bool:
    is_array = isinstance(hint, type) and issubclass(hint, AbstractArray)
    return is_array or any(map(speaks_of_arrays, typing.get_args(hint)))
