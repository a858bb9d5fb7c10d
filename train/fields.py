"""Frozen dataclasses from the sections of a config; what is wrong becomes one clear line."""

import dataclasses
import difflib
import importlib
import types
import typing
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})
ARTICLES = {int: "an int", float: "a number", str: "a string", bool: "True or False"}


def at_least(least: int, values: Mapping[str, float]) -> None:
    """Raises a ValueError for a field, named as in the config, whose value is below `least`."""
    for field, value in values.items():
        if value < least:
            raise ValueError(f"{field}: expected {least} or more, got {value}")


def resolve(table: Mapping[str, Any], name: str, *, path: str) -> Any:
    """A name of the table, or `my_package.my_module:Name`, imported."""
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{path}: expected an importable module:name, got {name!r}: {error}") from None
    if name not in table:
        raise ValueError(f"{path}: expected one of {', '.join(table)}, got {name!r}{nearest(name, table)}")
    return table[name]


def build(cls: type, section: Mapping[str, Any], *, path: str, derived: Mapping[str, Any] = NOTHING) -> Any:
    """A dataclass from a section of a config; `derived` fields may not stand in it."""
    check_section(section, path=path)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    check_keys(section, [name for name in fields if name not in derived], path=path)
    for name, field in fields.items():
        is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if is_required and name not in section and name not in derived:
            raise ValueError(f"{path}.{name}: expected a value, got none; write {path}.{name} in the config")
    hints = typing.get_type_hints(cls)
    values = {name: convert(value, hints[name], path=f"{path}.{name}") for name, value in section.items()}
    return cls(**values, **derived)


def flat(section: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The values of a section and of those in it, by their dotted paths."""
    values: dict[str, Any] = {}
    for name, value in section.items():
        values |= flat(value, f"{path}{name}.") if isinstance(value, Mapping) else {path + name: value}
    return values


def check_section(value: Any, *, path: str) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{path}: expected a section with fields, got {value!r}")


def check_keys(section: Mapping[str, Any], known: list[str], *, path: str) -> None:
    for key in section:
        if key not in known:
            raise ValueError(f"{path}.{key}: no such field{nearest(key, known)}; {path} has {', '.join(known)}")


def nearest(name: str, known) -> str:
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def convert(value: Any, hint: Any, *, path: str) -> Any:
    """A config's value as the type that its field declares."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_optional(hint):
        return None if value is None else _within(value, section_of(hint), path=path)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, path=path)
    if is_mapping(hint):
        check_section(value, path=path)
        return {name: convert(item, args[1], path=f"{path}.{name}") for name, item in value.items()}
    if origin is tuple:
        items = [value] if isinstance(value, args[0]) else value
        if not isinstance(items, list | tuple):
            raise ValueError(f"{path}: expected {args[0].__name__} values, got {value!r}")
        return tuple(convert(item, args[0], path=path) for item in items if item != "")
    if hint is float and type(value) is int:
        return float(value)
    if hint is int and type(value) is float and value.is_integer():
        return int(value)  # 1e6
    if type(value) is not hint:
        raise ValueError(f"{path}: expected {ARTICLES[hint]}, got {type(value).__name__} {value!r}")
    return value


def _within(value: Any, hint: Any, *, path: str) -> Any:
    """A section that is a config of its own elsewhere: its errors name fields from its own root, and here from ours."""
    try:
        return convert(value, hint, path=path)
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(path) else f"{path}.{error}") from None


def is_mapping(hint: Any) -> bool:
    return isinstance(typing.get_origin(hint), type) and issubclass(typing.get_origin(hint), Mapping)


def is_optional(hint: Any) -> bool:
    """Whether a section may be left out: `Clean | None`."""
    return typing.get_origin(hint) in (types.UnionType, typing.Union)


def section_of(hint: Any) -> Any:
    """The dataclass of a section that may be left out."""
    (found,) = (each for each in typing.get_args(hint) if each is not types.NoneType)
    return found


def with_defaults(section: Any, hint: Any, *, derived: Iterable[str] = ()) -> Any:
    """A section with its dataclass's defaults, but for the `derived` fields, under what it says itself."""
    if not isinstance(section, Mapping):
        return section
    section = dict(section)
    if is_mapping(hint):
        return {name: with_defaults(item, typing.get_args(hint)[1]) for name, item in section.items()}
    if not dataclasses.is_dataclass(hint):
        return section
    hints = typing.get_type_hints(hint)
    defaults = {}
    for field in dataclasses.fields(hint):
        if dataclasses.is_dataclass(hints[field.name]) or is_mapping(hints[field.name]):
            defaults[field.name] = with_defaults(section.pop(field.name, {}), hints[field.name])
        elif is_optional(hints[field.name]):  # nobody wants to read the defaults of what is not there
            if (given := section.pop(field.name, None)) is not None:
                defaults[field.name] = with_defaults(given, section_of(hints[field.name]))
        elif field.default is not dataclasses.MISSING and field.name not in derived:
            defaults[field.name] = field.default
    written = {
        name: float(value) if hints.get(name) is float and type(value) is int else value
        for name, value in section.items()
    }
    return {**defaults, **written}  # an int there would refuse 0.5 on the command line
