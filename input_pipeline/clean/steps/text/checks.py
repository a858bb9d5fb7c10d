"""Arguments of operations, looked at when an operation is made."""

from collections.abc import Sequence


def share(**values: float) -> None:
    """Each is a share of a whole.

    Raises:
      ValueError: not in [0, 1].
    """
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: expected a share from 0 to 1, got {value!r}")


def at_least(least: float, **values: float) -> None:
    """Each is no less than `least`.

    Raises:
      ValueError: less than that, or no number.
    """
    for name, value in values.items():
        if not value >= least:
            raise ValueError(f"{name}: expected a number from {least} on, got {value!r}")


def one_of(choices: Sequence[str], **values: Sequence[str]) -> None:
    """Each value is a tuple of some of the `choices`.

    Raises:
      ValueError: another name, or none at all.
    """
    for name, chosen in values.items():
        if not chosen or not set(chosen) <= set(choices):
            raise ValueError(f"{name}: expected some of {', '.join(choices)}, got {chosen!r}")
