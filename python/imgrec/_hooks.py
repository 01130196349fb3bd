# SPDX-License-Identifier: MIT
"""What a context calls of its host: log, decode, read.

What these raise passes no frame of the library: `keep` takes it, the library's
call fails, and then it is raised.
"""
from __future__ import annotations

from ctypes import c_int64, memmove, string_at
from typing import Any, Callable, Dict

from . import _header as h
from ._buffer import Buffer
from ._library import lib

Log = Callable[[h.Log, str], None]
Decode = Callable[[bytes, int], Any]
Read = Callable[[str], bytes]
Keep = Callable[[BaseException], None]


def logger(log: Log, keep: Keep) -> Any:
    def call(_: Any, level: int, line: bytes) -> None:
        try:
            log(h.Log(level), line.decode("utf-8", "replace"))
        except BaseException as error:
            keep(error)
    return h.imgrec_log_fn(call)


def decoder(decode: Decode, keep: Keep) -> Any:
    def call(_: Any, out: Any, ctx: int, data: int, size: int,
             channels: int) -> int:
        try:
            pixels = Buffer(decode(string_at(data, size), channels))
            shape = (c_int64 * len(pixels.shape))(*pixels.shape)
            status = lib.imgrec_tensor_create(out, ctx, h.DType.U8, len(shape),
                                              shape)
            if status < 0:
                return int(status)
            if lib.imgrec_tensor_nbytes(out[0]) != pixels.nbytes:
                lib.imgrec_tensor_destroy(out[0])
                raise TypeError("decode gave elements of format %r, not uint8"
                                % pixels.format)
            memmove(lib.imgrec_tensor_data(out[0]), pixels.address,
                    pixels.nbytes)
            return 0
        except BaseException as error:
            keep(error)
            return int(h.Status.FORMAT)
    return h.imgrec_decode_fn(call)


def reader(read: Read, keep: Keep, files: Dict[bytes, bytes]) -> Any:
    """`files` has the one that the library asked for the size of, until it
    asks for the bytes; who calls the library empties it in the end."""

    def call(_: Any, path: bytes, buffer: int, size: int) -> int:
        try:
            data = files.pop(path, None) if buffer else None
            if data is None:
                data = bytes(read(path.decode("utf-8", "surrogateescape")))
            if not buffer:
                files.clear()
                files[path] = data
                return len(data)
            count = min(size, len(data))
            memmove(buffer, data, count)
            return count
        except FileNotFoundError:
            return int(h.Status.NOT_FOUND)
        except BaseException as error:
            keep(error)
            return int(h.Status.IO)
    return h.imgrec_read_fn(call)
