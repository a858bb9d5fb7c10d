"""Where a run comes from: the origin of each value in its config, and the code that ran."""

import hashlib
import os
import pathlib
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from train import fields

DEFAULT, FILE, ARGUMENT, COMMAND_LINE, DERIVED = "default", "file", "argument", "command line", "derived"
UNKNOWN = "unknown"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
CHECKOUT = pathlib.Path(__file__).parents[1]


def table(config: Mapping[str, Any], origins: Mapping[str, str], derived: Mapping[str, Any]) -> str:
    """A config for people: what was set, and where, then what follows from it, then what nobody touched."""
    values, untouched = fields.flat(config), dict[str, list[str]]()
    by_origin: dict[str, list[tuple[str, str]]] = {COMMAND_LINE: [], ARGUMENT: [], FILE: [], DERIVED: _lines(derived)}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        if origins[path] == DEFAULT:
            untouched.setdefault(section or "the run", []).append(f"{name}={value!r}")
        else:
            by_origin[origins[path]].append((path, repr(value)))
    rows = [(path, origin, value) for origin, told in by_origin.items() for path, value in told]
    width = max(len(path) for path, _, _ in rows)
    lines = [f"{path:<{width}}  {origin:<{len(COMMAND_LINE)}}  {value}" for path, origin, value in rows]
    return "\n".join(lines + [f"defaults of {section}: {' '.join(told)}" for section, told in untouched.items()])


def _lines(derived: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    """(name, value) of each derived value, those of an innermost section on one line."""
    lines = []
    for name, value in derived.items():
        if not isinstance(value, Mapping):
            lines.append((path + name, _number(value)))
        elif any(isinstance(inner, Mapping) for inner in value.values()):
            lines += _lines(value, f"{path}{name}.")
        else:
            lines.append((path + name, "  ".join(f"{key} {_number(inner)}" for key, inner in value.items())))
    return lines


def _number(value: Any) -> str:
    return f"{value:,}" if type(value) is int else f"{value:.6g}" if isinstance(value, float) else str(value)


def code(checkout: pathlib.Path = CHECKOUT) -> dict[str, Any]:
    """The code that runs: its git revision, what differs from that, and the versions of what it stands on.

    `difference` is "" where the files are those of the revision, else a SHA-256 of how they differ. Without git, or
    outside a repository, both are "unknown".
    """
    return {
        **_revision(checkout),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _revision(checkout: pathlib.Path) -> dict[str, str]:
    try:
        # Not there, if the repository is another one's, around an unpacked copy of this.
        _git(checkout, "ls-files", "--error-unmatch", "train/__main__.py")
        revision = _git(checkout, "rev-parse", "HEAD").decode().strip()
        changes = _git(checkout, "diff", "HEAD", "--no-ext-diff", "--no-textconv", "--binary", "--", ".")
        new = _git(checkout, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py").decode().split("\0")
        changes += b"".join(name.encode() + (checkout / name).read_bytes() for name in new if name)
    except (OSError, subprocess.SubprocessError):
        return {"revision": UNKNOWN, "difference": UNKNOWN}
    return {"revision": revision, "difference": hashlib.sha256(changes).hexdigest() if changes else ""}


def _git(checkout: pathlib.Path, *arguments: str) -> bytes:
    """What git says of this checkout, whatever repository a hook's environment names; takes no lock."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(checkout), *arguments],
        env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
