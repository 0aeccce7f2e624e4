"""Checks that the fields of dataclasses that came from a file have the types that they are annotated with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from harness.core.axis import Scalar

T = TypeVar("T")
_Check = Callable[[Any], bool]
# In JSON a number may be written with or without a point; true is not one.
_EXACT = {int: (int, float), float: (float, int), str: (str,), bool: (bool,), NoneType: (NoneType,)}


def check_fields(thing: T) -> T:
    """Return a dataclass, if every field of it, and of all that is in it, has the type of its annotation.

    Raises:
        TypeError: a field has another.
    """
    if not _is_sound(thing):
        raise TypeError(f"a field of {type(thing).__name__} is of another type")
    return thing


def check_list(value: Any) -> list[Any]:
    """Return a value that is a list.

    Raises:
        TypeError: it is something else, such as text, which could be taken for a list of letters.
    """
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _is_sound(thing: Any) -> bool:
    kind: Any = type(thing)
    return all(check(getattr(thing, name)) for name, check in _checks(kind))


@cache
def _checks(kind: type) -> tuple[tuple[str, _Check], ...]:
    # These two are imported by some modules for their annotations alone.
    hints = get_type_hints(kind, localns={"Mapping": Mapping, "Scalar": Scalar})
    return tuple((field.name, _check_of(hints[field.name])) for field in fields(kind))


def _check_of(hint: Any) -> _Check:
    """Return what tells whether a value, as it comes from JSON, is of an annotated type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda value: True
    if is_dataclass(hint):
        return lambda value: type(value) is hint and _is_sound(value)
    if origin in (Union, UnionType):
        options = [_check_of(one) for one in arguments]
        return lambda value: any(check(value) for check in options)
    if origin in (dict, Mapping):
        of_key, of_value = map(_check_of, arguments)
        return lambda value: type(value) is dict and all(map(of_key, value)) and all(map(of_value, value.values()))
    if origin is list or (origin is tuple and arguments[-1] is ...):
        of_item = _check_of(arguments[0])
        return lambda value: type(value) is origin and all(map(of_item, value))
    if origin is tuple:
        parts = [_check_of(one) for one in arguments]
        return lambda value: (
            type(value) is tuple
            and len(value) == len(parts)
            and all(check(one) for check, one in zip(parts, value, strict=True))
        )
    if origin is Literal:
        return lambda value: value in arguments
    exact = _EXACT.get(hint, (hint,))
    return lambda value: type(value) in exact
