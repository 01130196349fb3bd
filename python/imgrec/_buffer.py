# SPDX-License-Identifier: MIT
"""Memory of Python objects, by the buffer protocol and without a copy."""
from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_int, c_ssize_t, c_void_p, py_object
from typing import Any, Tuple


class _PyBuffer(ctypes.Structure):
    """Py_buffer of the C API, of which only the start is looked at."""

    _fields_ = [
        ("buf", c_void_p), ("obj", py_object), ("len", c_ssize_t),
        ("itemsize", c_ssize_t), ("readonly", c_int), ("ndim", c_int),
        ("format", c_void_p), ("shape", c_void_p), ("strides", c_void_p),
        ("suboffsets", c_void_p), ("internal", c_void_p),
    ]


_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes = [py_object, POINTER(_PyBuffer), c_int]
_get.restype = c_int
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes = [POINTER(_PyBuffer)]
_release.restype = None


class Buffer:
    """The memory of `source` from `address` on, held as long as this is; a
    copy of it where its elements do not lie one behind the other."""

    def __init__(self, source: Any) -> None:
        view = memoryview(source)
        self.format = view.format.lstrip("<=@")
        self.shape: Tuple[int, ...] = view.shape or ()
        self.nbytes = view.nbytes
        self.itemsize = view.itemsize
        self.readonly = view.readonly
        self.copied = not view.c_contiguous
        if self.copied:
            view = memoryview(view.tobytes())
        self._buffer = _PyBuffer()
        _get(view, byref(self._buffer), 0)
        self.address = int(self._buffer.buf or 0)

    def __del__(self) -> None:
        if hasattr(self, "address"):
            _release(byref(self._buffer))
