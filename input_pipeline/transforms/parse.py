"""A line of operations, read: names and arguments are checked before a run begins. Nothing in it is executed."""

import ast
import difflib
import inspect
import typing
from collections.abc import Iterator
from typing import Any

from input_pipeline.transforms import TRANSFORMS, Transform

_EXAMPLE = "'mask_spans(0.15, 3)|drop_tokens(0.1)'"


def parse(line: str, **given: Any) -> tuple[Transform, ...]:
    """The operations of a line, from left to right; none for "".

    Args:
      line: names and literal arguments, joined by "|"; `flip` is `flip()`.
      given: what the run knows, such as `separator`; each operation takes what its keyword-only fields name.

    Raises:
      ValueError: no such operation, or arguments that it does not take.
    """
    if not line.strip():
        return ()
    try:
        expression = ast.parse(line.strip(), mode="eval").body
    except SyntaxError:
        raise ValueError(f"data.transforms: expected operations such as {_EXAMPLE}, got {line!r}") from None
    return tuple(_operation(node, given) for node in _joined(expression))


def _joined(node: ast.expr) -> Iterator[ast.expr]:
    """The operands of a | b | c, from left to right."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _joined(node.left)
        yield from _joined(node.right)
    else:
        yield node


def _operation(node: ast.expr, given: dict[str, Any]) -> Transform:
    call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
    if not isinstance(call.func, ast.Name):
        raise ValueError(f"data.transforms: expected operations such as {_EXAMPLE}, got {ast.unparse(node)!r}")
    name = call.func.id
    if name not in TRANSFORMS:
        nearest = difflib.get_close_matches(name, TRANSFORMS, n=1, cutoff=0)[0]
        known = ", ".join(TRANSFORMS)
        raise ValueError(f"data.transforms: expected one of {known}, got {name!r}; write {_signature(nearest)}")
    try:
        values = [ast.literal_eval(argument) for argument in call.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
        arguments = _parameters(name).bind(*values, **named).arguments
        _check_types(name, arguments)
        return TRANSFORMS[name](**arguments, **{key: given[key] for key in _wanted(name)})
    except (TypeError, ValueError) as error:
        raise ValueError(f"data.transforms: expected {_signature(name)}, got {ast.unparse(node)!r}: {error}") from None


def _parameters(name: str) -> inspect.Signature:
    """What may stand in the line."""
    parameters = inspect.signature(TRANSFORMS[name]).parameters.values()
    return inspect.Signature([each for each in parameters if each.kind is not each.KEYWORD_ONLY])


def _wanted(name: str) -> list[str]:
    """What the run gives."""
    parameters = inspect.signature(TRANSFORMS[name]).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]


def _signature(name: str) -> str:
    return f"{name}{_parameters(name)}"


def _check_types(name: str, arguments: dict[str, Any]) -> None:
    for argument, value in arguments.items():
        expected = typing.get_type_hints(TRANSFORMS[name])[argument]
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise TypeError(f"{argument} is {type(value).__name__} {value!r}")
