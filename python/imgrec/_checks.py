# SPDX-License-Identifier: MIT
"""What C would cut short without a word: integers to the bits of their type,
texts at a null character."""
from __future__ import annotations

import os
from ctypes import (c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint64,
                    sizeof)
from functools import partial
from operator import index
from typing import Any, Callable, Dict, Sequence

Check = Callable[[Any], Any]


def integer(kind: Any, value: Any) -> int:
    """The value, which the C type must hold."""
    number = index(value)
    if kind(number).value != number:
        least = -1 << 8 * sizeof(kind) - 1 if kind(-1).value < 0 else 0
        raise OverflowError("%d is not between %d and %d" % (
            number, least, least + (1 << 8 * sizeof(kind)) - 1))
    return number


def integers(values: Sequence[int]) -> Any:
    """An array of int64_t."""
    return (c_int64 * len(values))(*[integer(c_int64, v) for v in values])


def text(value: Any) -> Any:
    """The value, in which a null character must not be."""
    if isinstance(value, bytes) and b"\0" in value:
        raise ValueError("%r has a null character" % os.fsdecode(value))
    return value


CHECKS: Dict[Any, Check] = {c_char_p: text}
for _kind in (c_int, c_int32, c_int64, c_uint64, c_size_t):
    CHECKS[_kind] = partial(integer, _kind)


def checked(function: Any, parameters: Any) -> Any:
    """The function behind the checks of its parameters."""
    checks = [(place, CHECKS[kind]) for place, kind in enumerate(parameters)
              if kind in CHECKS]

    def call(*arguments: Any) -> Any:
        for place, check in checks:
            check(arguments[place])
        return function(*arguments)

    return call if checks else function
