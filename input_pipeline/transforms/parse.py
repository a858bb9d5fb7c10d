"""A line of operations, read: names and arguments are checked before a run begins. Nothing in it is executed."""

import ast
import difflib
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from input_pipeline.transforms import TRANSFORMS, Transform
from input_pipeline.transforms.mixing import MIXING, Mixing

_EXAMPLE = "'mask_spans(0.15, 3)|drop_tokens(0.1)' or 'random_crop(28, 2)|flip_lr|normalize|batch|mixup(0.2)'"
_BATCH = "batch"


class Operations(NamedTuple):
    """A line, read: what is done to rows one by one, and what mixes the rows of a batch after that."""

    rows: tuple[Transform, ...] = ()
    mixing: tuple[Mixing, ...] = ()


def parse(line: str, *, field: str = "transforms", modality: str = "text", **given: Any) -> Operations:
    """The operations of a line, from left to right; none for "".

    Args:
      line: names and literal arguments, joined by "|"; `flip_lr` is `flip_lr()`. What follows `batch` mixes rows.
      field: of `data`, for errors.
      modality: a key of TRANSFORMS.
      given: what the run knows, such as `separator`; each operation takes what its keyword-only fields name, and may
        change what is given to those that follow (`gives`).

    Raises:
      ValueError: no such operation, or arguments that it does not take.
    """
    nodes = _nodes(line, f"data.{field}")
    is_batch = [isinstance(node, ast.Name) and node.id == _BATCH for node in nodes]
    end = is_batch.index(True) if True in is_batch else len(nodes)
    mixing = MIXING if modality != "text" else {}
    try:
        rows = tuple(_row_operations(nodes[:end], TRANSFORMS[modality], given))
        return Operations(rows, tuple(_operation(node, mixing, {}) for node in nodes[end + 1 :]))
    except ValueError as error:
        raise ValueError(f"data.{field}: {error}") from None


def read(line: str, table: Mapping[str, Callable[..., Any]], *, field: str, **given: Any) -> tuple[Any, ...]:
    """The operations of a line whose names all stand in `table`; none for "". `field`: its path, for errors.

    Raises:
      ValueError: no such operation, or arguments that it does not take.
    """
    nodes = _nodes(line, field)
    try:
        return tuple(_row_operations(nodes, table, given))
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def _nodes(line: str, field: str) -> list[ast.expr]:
    try:
        return list(_joined(ast.parse(line.strip(), mode="eval").body)) if line.strip() else []
    except SyntaxError:
        raise ValueError(f"{field}: expected operations such as {_EXAMPLE}, got {line!r}") from None


def _joined(node: ast.expr) -> Iterator[ast.expr]:
    """The operands of a | b | c, from left to right."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _joined(node.left)
        yield from _joined(node.right)
    else:
        yield node


def _row_operations(
    nodes: Sequence[ast.expr], table: Mapping[str, Callable[..., Any]], given: Mapping[str, Any]
) -> Iterator[Any]:
    """Each operation; what it `gives`, such as another sample rate, is given to those that follow."""
    for node in nodes:
        operation = _operation(node, table, given)
        given = {**given, **getattr(operation, "gives", {})}
        yield operation


def _operation(node: ast.expr, table: Mapping[str, Callable[..., Any]], given: Mapping[str, Any]) -> Any:
    call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
    if not isinstance(call.func, ast.Name):
        raise ValueError(f"expected operations such as {_EXAMPLE}, got {ast.unparse(node)!r}")
    name = call.func.id
    if name not in table:
        raise ValueError(_unknown(name, table))
    make = table[name]
    try:
        values = [ast.literal_eval(argument) for argument in call.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
        arguments = _parameters(make).bind(*values, **named).arguments
        _check_types(make, arguments)
        return make(**arguments, **{key: given[key] for key in _wanted(make)})
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected {name}{_parameters(make)}, got {ast.unparse(node)!r}: {error}") from None


def _unknown(name: str, table: Mapping[str, Callable[..., Any]]) -> str:
    if (name in MIXING) and table is not MIXING:
        return f"expected {name} after batch, and not in text; write '..|batch|{name}'"
    if not table:
        return f"expected nothing after batch in text, got {name!r}"
    nearest = difflib.get_close_matches(name, table, n=1, cutoff=0)[0]
    return f"expected one of {', '.join(table)}, got {name!r}; write {nearest}{_parameters(table[nearest])}"


def _parameters(make: Callable[..., Any]) -> inspect.Signature:
    """What may stand in the line."""
    parameters = inspect.signature(make).parameters.values()
    return inspect.Signature([each for each in parameters if each.kind is not each.KEYWORD_ONLY])


def _wanted(make: Callable[..., Any]) -> list[str]:
    """What the run gives."""
    parameters = inspect.signature(make).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]


def _check_types(make: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    hints = typing.get_type_hints(make)
    for argument, value in arguments.items():
        if not _is_of(value, hints[argument]):
            raise TypeError(f"{argument} is {type(value).__name__} {value!r}")


def _is_of(value: Any, hint: Any) -> bool:
    """Whether a literal may stand for a parameter of this type; an int may stand for a float."""
    options = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        inner = options[:1] * len(value) if isinstance(value, tuple) and options[1:] == (...,) else options
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_is_of, value, inner))
    if options:
        return any(_is_of(value, option) for option in options)
    return type(value) is hint or (hint is float and type(value) is int)
