"""What the names of files tell: `{label}_{group}_{number}.wav`."""

import re
from collections.abc import Callable

_PLACE = re.compile(r"\{(\w+)\}")
_EXAMPLE = "'{label}_{group}_{number}.wav'"


def reader(pattern: str, *, wanted: str, option: str = "data.pattern") -> Callable[[str], dict[str, str]]:
    """A function from a name to what stands in the places of the pattern, as few letters each as will do.

    Without a "/" the pattern is of the name's last part. Errors name the `option`.

    Raises:
      ValueError: a pattern without the place `wanted`, or with one twice; from the function, a name that does not fit.
    """
    places = _PLACE.findall(pattern)
    if wanted not in places or len(set(places)) != len(places):
        raise ValueError(
            f"{option}: expected {{{wanted}}} in it, and no place twice, got {pattern!r}; write for example {_EXAMPLE}"
        )
    pieces = _PLACE.split(pattern)
    expression = "".join(re.escape(piece) if i % 2 == 0 else f"(?P<{piece}>[^/]+?)" for i, piece in enumerate(pieces))
    compiled = re.compile(rf"(?:.*/)?{expression}", re.DOTALL)

    def read(name: str) -> dict[str, str]:
        if match := compiled.fullmatch(name):
            return match.groupdict()
        raise ValueError(
            f"{option}: expected names such as {pattern!r}, got {name!r}; write a pattern that fits all "
            "of them, or a glob in data.files that leaves this one out (a glob's folders before its first wildcard "
            "are no part of a name: '{label}/{name}' wants pets/*/*.jpg, not pets/cats/*.jpg)"
        )

    return read
