# SPDX-License-Identifier: MIT
"""Structs of the library from keywords, and tuples from structs."""
from __future__ import annotations

import os
from ctypes import Structure, byref, c_char_p, sizeof
from enum import IntEnum
from typing import Any, Dict, Mapping, Type, TypeVar

from ._checks import CHECKS
from ._header import ENUMERATED
from ._library import check, lib

S = TypeVar("S", bound=Structure)
T = TypeVar("T")


def number(kind: Type[IntEnum], value: Any) -> int:
    """An enumerator by its name in any case, its value, or itself."""
    if not isinstance(value, str):
        return int(kind(value))
    name = value.upper().replace("-", "_")
    if name not in kind.__members__:
        raise ValueError("%r is none of %s" % (
            value, ", ".join(m.lower() for m in kind.__members__)))
    return int(kind[name])


def _value(struct: Type[Structure], name: str, ctype: Any, value: Any) -> Any:
    kind = ENUMERATED.get((struct.__name__, name))
    if kind is not None:
        return number(kind, value)
    if hasattr(ctype, "_length_"):
        return ctype(*[_value(struct, name, ctype._type_, v) for v in value])
    if ctype is c_char_p and value is not None:
        value = os.fsencode(value)
    try:
        return CHECKS[ctype](value) if ctype in CHECKS else value
    except OverflowError as error:
        raise OverflowError("%s: %s" % (name, error)) from None


def empty(struct: Type[S]) -> S:
    """As its _init function fills it."""
    made = struct()
    check(getattr(lib, struct.__name__ + "_init")(byref(made), sizeof(made)))
    return made


def change(made: S, values: Mapping[str, Any]) -> S:
    """Sets members; what the struct does not have is a TypeError."""
    kinds: Dict[str, Any] = {field[0]: field[1] for field in made._fields_
                             if field[0] not in ("struct_size", "reserved")}
    for name, value in values.items():
        if name not in kinds:
            raise TypeError("%r is none of the options: %s" % (
                name, ", ".join(kinds)))
        setattr(made, name, _value(type(made), name, kinds[name], value))
    return made


def filled(struct: Type[S], values: Mapping[str, Any]) -> S:
    return change(empty(struct), values)


def plain(struct: Structure, name: str) -> Any:
    """A member as Python has such things."""
    value = getattr(struct, name)
    kind = ENUMERATED.get((type(struct).__name__, name))
    if kind is not None:
        return kind(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return tuple(value) if hasattr(value, "_length_") else value


def values(made: Type[T], struct: Structure, **others: Any) -> T:
    """The named tuple (or the dict of keywords) of a struct."""
    names = [name for name in made.__annotations__ if name not in others]
    return made(**{name: plain(struct, name) for name in names}, **others)
