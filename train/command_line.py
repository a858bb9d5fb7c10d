"""What a command line says of a run: its whole config, and where each value comes from."""

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from train import config_flags, durations, fields, spec
from train.provenance import ARGUMENT, COMMAND_LINE, DEFAULT, FILE


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """What a command line says."""

    config: dict[str, Any]  # whole: every default is written out
    flags: dict[str, Any]
    origins: dict[str, str]  # where the value of each field, by its dotted path, comes from
    overrides: dict[str, Any]  # those given as --config.section.field=value, by their dotted paths
    notes: list[str]  # what a person should be told of how the config came about


def parse(argv: Sequence[str], **defaults: str | bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """-> (the whole config, the values of the flags named in `defaults`), from arguments without the program's name.

    Raises:
      UsageError: an unknown flag or field, or a value of another type.
    """
    found = command(argv, **defaults)
    return found.config, found.flags


def command(argv: Sequence[str], **defaults: str | bool) -> Command:
    """As `parse`, and raises as it does; with where each value comes from."""
    overrides = [argument for argument in argv if argument.lstrip("-").startswith("config.")]
    values = config_flags.flag_values([argument for argument in argv if argument not in overrides], defaults)
    file, argued = config_flags.load_argued(values["config"])
    file, notes = choose_names(file, overrides)
    full = spec.complete(file)
    origins = _origins(full, file, argued=argued, is_json=values["config"].endswith(".json"))
    config = config_flags.override(_settle(full, argued, origins, notes), overrides)
    given = {config_flags.path_of(argument) for argument in overrides} & origins.keys()
    origins |= dict.fromkeys(given, COMMAND_LINE)
    config = _settle(config, given, origins, notes)
    now = fields.flat(config)
    return Command(
        config=config,
        flags={name: values[name] for name in defaults},
        origins=origins,
        overrides={path: now[path] for path in sorted(given)},
        notes=notes,
    )


def _origins(
    full: Mapping[str, Any], file: Mapping[str, Any], *, argued: Collection[str], is_json: bool
) -> dict[str, str]:
    """Where each value comes from but for the command line. A config.json has every value: those that are as they
    would be without it are defaults."""
    chosen, plain = fields.flat(file), fields.flat(spec.defaults(file)) if is_json else {}

    def origin(path: str) -> str:
        if path in argued:
            return ARGUMENT
        is_default = path not in chosen or (path in plain and json.dumps(plain[path]) == json.dumps(chosen[path]))
        return DEFAULT if is_default else FILE

    return {path: origin(path) for path in fields.flat(full)}


def _settle(
    config: Mapping[str, Any], chosen: Collection[str], origins: dict[str, str], notes: list[str]
) -> dict[str, Any]:
    """The config where durations of a later origin stand alone; adds to `origins` and `notes` what gave way."""
    before = fields.flat(config)
    settled, places = durations.give_way(config, chosen=chosen)
    for loser, winner in places.items():
        if origins[loser] != DEFAULT:
            now, past = f"{winner}={before[winner]} ({origins[winner]})", f"{loser}={before[loser]} ({origins[loser]})"
            notes.append(f"{now} takes the place of {past}")
        origins[loser] = origins[winner]
    return settled


def choose_names(config: dict[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The config with the names that overrides choose, such as `--config.optimizer.name=lion`, and what to tell of it.

    They come first: which other fields there are, and their defaults, follows from them. A field of the file that the
    chosen one does not have is left out, and told.
    """
    notes = []
    for argument in overrides:
        path, _, name = argument.lstrip("-").removeprefix("config.").partition("=")
        section = path.removesuffix(".name")
        if section == path or not isinstance(config.get(section), Mapping) or section not in spec.NAMED:
            continue
        config, dropped = choose(config, section, name)
        for field, value in dropped.items():
            notes.append(f"{section}.{field}={value!r} (file) is left out: {name} has no such field")
    return config, notes


def choose(config: Mapping[str, Any], section: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Another `name` in a section of `spec.NAMED`, whose fields may differ.

    What was set goes along where the new one has such a field; what stood at the old one's default does not, since the
    new one has defaults of its own.

    Returns:
      the config, and the fields that were set and fall away.
    """
    before = config[section]
    defaults = fields.with_defaults({}, spec.class_of(section, before.get("name", "")))
    known = {field.name for field in dataclasses.fields(spec.class_of(section, name))}
    was_set = {
        field: value
        for field, value in spec.without_name(before).items()
        if field not in defaults or value != defaults[field]
    }
    kept = {field: value for field, value in was_set.items() if field in known}
    return {**config, section: {"name": name, **kept}}, {f: v for f, v in was_set.items() if f not in known}
