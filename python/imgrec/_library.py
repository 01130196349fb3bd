# SPDX-License-Identifier: MIT
"""The shared library: found, opened, its functions declared."""
from __future__ import annotations

import ctypes
import os
import pathlib
from typing import Any, Optional

from ._checks import checked
from ._header import FUNCTIONS, Status

# A library of another major version has another interface.
NAME = "libimgrec.so.0"


class Error(Exception):
    """A call failed, with the library's sentence; `status` is its code."""

    __module__ = "imgrec"

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = _status(status)

    def __reduce__(self) -> Any:
        return Error, (int(self.status), str(self))


def _status(code: int) -> int:
    try:
        return Status(code)
    except ValueError:
        return code


def _path() -> str:
    """IMGREC_LIBRARY, else the one in this folder (as in a wheel), else the
    one that the loader finds."""
    named = os.environ.get("IMGREC_LIBRARY")
    ours = pathlib.Path(__file__).with_name(NAME)
    return named or (str(ours) if ours.exists() else NAME)


class _Missing:
    """Stands for a function that is younger than the library in use."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *_: Any) -> Any:
        raise Error(Status.UNSUPPORTED, "%s: libimgrec %s does not have it" % (
            self.name, version()))


def _open() -> Any:
    path = _path()
    try:
        opened = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(
            "%s: set IMGREC_LIBRARY to the path of libimgrec.so, or install "
            "the library" % error) from None
    for name, (result, parameters) in FUNCTIONS.items():
        if not hasattr(opened, name):
            setattr(opened, name, _Missing(name))
            continue
        function = getattr(opened, name)
        function.restype = result
        function.argtypes = parameters
        setattr(opened, name, checked(function, parameters))
    return opened


lib = _open()


def check(status: int, handle: Optional[int] = None) -> int:
    """The status, or Error with the sentence of the context `handle`."""
    if status < 0:
        sentence = lib.imgrec_last_error(handle) if handle else b""
        sentence = sentence or lib.imgrec_status_string(status)
        raise Error(status, sentence.decode("utf-8", "replace"))
    return status


def version() -> str:
    """The release of the library in use, such as "0.1.0"."""
    return str(lib.imgrec_version_string().decode())


def arithmetic_version() -> int:
    """Raised when a release may change the bits of a result."""
    return int(lib.imgrec_arithmetic_version())
