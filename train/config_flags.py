"""The command line: `--config=configs/lm_tiny.py:tiny --config.train.num_steps=100 --workdir=runs/a`.

ml_collections parses the overrides. Around it: the `config.json` of a run is a config too, every default is written out
first so that any field can be overridden, where each value comes from is kept, and each mistake is one line.
"""

import contextlib
import importlib.util
import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from absl import flags
from ml_collections import ConfigDict, config_flags

from train import fields

T = TypeVar("T")


class UsageError(ValueError):
    """A mistake of the user's: one line, exit code 2."""


def load(path: str) -> dict[str, Any]:
    """A config from `file.py`, `file.py:argument`, or a workdir's `config.json`.

    Raises:
      UsageError: there is no such file, or it holds no config.
    """
    return load_argued(path)[0]


def load_argued(path: str) -> tuple[dict[str, Any], set[str]]:
    """-> (the config, the dotted paths of the values that its argument decided)."""
    file, _, argument = path.partition(":")
    if not pathlib.Path(file).is_file():
        raise UsageError(f"--config: expected a file, got {file!r}; configs/ has {known_configs()}")
    if file.endswith(".json"):
        return _load_json(file), set()
    get_config = _get_config(file)
    config = get_config(argument).to_dict()
    if not argument:
        return config, set()
    try:
        before, now = fields.flat(get_config("").to_dict()), fields.flat(config)
    except ValueError:  # it cannot be without an argument
        return config, set()
    return config, {name for name in now if name not in before or before[name] != now[name]}


def _get_config(file: str) -> Callable[[str], ConfigDict]:
    module_spec = importlib.util.spec_from_file_location("config", file)
    if module_spec is None or module_spec.loader is None:
        raise UsageError(f"--config: expected a .py or .json file, got {file!r}")
    module = importlib.util.module_from_spec(module_spec)
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
    try:
        module_spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    if not hasattr(module, "get_config"):
        raise UsageError(
            f'--config: expected a file with get_config(arg=""), got {file!r} without; see configs/lm_tiny.py'
        )
    return module.get_config


def _load_json(file: str) -> dict[str, Any]:
    try:
        return dict(json.loads(pathlib.Path(file).read_text())["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f'--config: expected JSON with a "config" in {file!r}, got {type(error).__name__}: {error}'
        ) from None


def known_configs() -> str:
    folder = pathlib.Path(__file__).parent.parent / "configs"
    return ", ".join(sorted(f"configs/{file.name}" for file in folder.glob("*.py") if file.stem != "common"))


def read(cls: type[T], argv: Sequence[str], **defaults: str | bool) -> tuple[T, dict[str, Any]]:
    """-> (what a config that is one dataclass describes, the values of the flags named in `defaults`).

    Raises:
      ValueError: as `parse`, and what the dataclass refuses.
    """
    overrides = [argument for argument in argv if argument.lstrip("-").startswith("config.")]
    values = flag_values([argument for argument in argv if argument not in overrides], defaults)
    config = override(fields.with_defaults(load(values["config"]), cls), overrides)
    return fields.build(cls, config, path="config"), {name: values[name] for name in defaults}


def flag_values(argv: Sequence[str], defaults: Mapping[str, str | bool]) -> dict[str, Any]:
    """The values of --config and of the flags named in `defaults`."""
    values = flags.FlagValues()
    flags.DEFINE_string("config", None, "the experiment: file.py, file.py:argument, or config.json", flag_values=values)
    for name, default in defaults.items():
        if isinstance(default, bool):
            flags.DEFINE_boolean(name, default, name, flag_values=values)
        else:
            flags.DEFINE_string(name, default, name, flag_values=values)
    try:
        rest = values(["meshwright", *argv])[1:]
    except flags.Error as error:
        raise UsageError(f"{error}; known flags: --config, --config.section.field, --{', --'.join(defaults)}") from None
    if rest:
        raise UsageError(f"expected flags such as --config=configs/lm_tiny.py, got {rest[0]!r}")
    if values.config is None:
        raise UsageError(f"--config: expected a file, got none; configs/ has {known_configs()}")
    return values.flag_values_dict()


def override(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The config with `--config.a.b=value` arguments applied, each in the type that stands there."""
    for argument in overrides:
        check_path(config, path_of(argument))
    values = flags.FlagValues()
    holder = ConfigDict(config)
    arguments = ["meshwright", *(_whole(argument, config) for argument in overrides)]
    config_flags.DEFINE_config_dict("config", holder, flag_values=values, sys_argv=arguments)
    try:
        rest = values(arguments)[1:]
    except (flags.Error, TypeError, ValueError) as error:
        raise UsageError(str(error).replace("flag --config.", "").replace("\n", " ")) from None
    if rest:
        raise UsageError(f"expected --config.section.field=value, got {rest[0]!r}")
    return values.config.to_dict()


def path_of(argument: str) -> str:
    """The dotted path of a field, from --config.a.b=value."""
    return argument.lstrip("-").partition("=")[0].removeprefix("config.")


def _whole(argument: str, config: Mapping[str, Any]) -> str:
    """The argument with 1000000 where 1e6 stands for an int."""
    flag, _, text = argument.partition("=")
    if type(fields.flat(config).get(path_of(argument))) is int:
        with contextlib.suppress(ValueError):
            if (number := float(text)).is_integer() and "e" in text.lower():
                return f"{flag}={int(number)}"
    return argument


def check_path(config: Mapping[str, Any], path: str) -> None:
    """Raises a UsageError unless the dotted path leads to a field, naming the nearest one."""
    place: Any = config
    for depth, name in enumerate(names := path.split(".")):
        known = list(place) if isinstance(place, Mapping) else []
        if name not in known:
            at = ".".join(["config", *names[:depth]])
            raise UsageError(f"{at}.{name}: no such field{fields.nearest(name, known)}; {at} has {', '.join(known)}")
        place = place[name]
