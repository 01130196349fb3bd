# SPDX-License-Identifier: MIT
"""Context: the memory and the threads of all that is made with it."""
from __future__ import annotations

import collections
import contextlib
import threading
from ctypes import byref, c_void_p
from typing import (TYPE_CHECKING, Any, Deque, Dict, Iterator, Optional, Tuple,
                    Type, TypeVar)

from . import _header as h
from . import _hooks
from ._library import check, lib
from ._options import filled

if TYPE_CHECKING:
    from typing_extensions import Unpack

O = TypeVar("O", bound="Object")


class Handle:
    """A handle of the library, destroyed behind all that uses it: a call that
    has it as an argument, too."""

    def __init__(self, context: Context, destroy: Any, value: int,
                 kept: Any = None) -> None:
        self.context = context
        self.destroy = destroy
        self.value = self._as_parameter_ = value
        self.kept = kept  # what the library was lent

    def __del__(self) -> None:
        self.context._discard(self.destroy, self.value, self.kept)


class Context:
    """The memory and the threads of the models, data sets and tensors that are
    made with it.  Each thread has one of its own by default.

    Calls of one context wait for each other; different contexts compute at
    the same time.  `log` is told lines of the library; `decode` makes an array
    of height x width x channels bytes of an image file's bytes, instead of the
    library (its second argument is 1 or 3 channels, or 0 for any); `read` gives
    the bytes of a path, instead of the system.  Options are those of
    imgrec_context_options.
    """

    def __init__(self, *, log: Optional[_hooks.Log] = None,
                 decode: Optional[_hooks.Decode] = None,
                 read: Optional[_hooks.Read] = None,
                 **options: Unpack[h.ContextOptions]) -> None:
        self._lock = threading.Lock()
        self._owner: Optional[int] = None
        self._discarded: Deque[Tuple[Any, int, Any]] = collections.deque()
        self._raised: Optional[BaseException] = None
        self._files: Dict[bytes, bytes] = {}  # that `read` gave
        self._value: Optional[int] = None
        struct = filled(h.imgrec_context_options, options)
        if log is not None:
            struct.log = _hooks.logger(log, self.keep)
        if decode is not None:
            struct.decode = _hooks.decoder(decode, self.keep)
        if read is not None:
            struct.read = _hooks.reader(read, self.keep, self._files)
        self._options = struct  # keeps the callbacks
        out = c_void_p()
        check(lib.imgrec_context_create(byref(out), byref(struct)))
        self._value = out.value

    def __del__(self) -> None:
        if getattr(self, "_value", None):
            self._sweep()
            lib.imgrec_context_destroy(self._value)

    def keep(self, raised: BaseException) -> None:
        """To be raised when the library's call returns."""
        self._raised = self._raised or raised

    def call(self, function: Any, *arguments: Any) -> int:
        """Calls the library, alone in this context; its failure is Error."""
        if self._owner == threading.get_ident():
            raise RuntimeError("a callback cannot use its own context")
        with self.alone():
            status = function(*arguments)
            raised, self._raised = self._raised, None
            if raised is not None:
                raise raised
            return check(status, self._value)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Meanwhile no other thread calls the library with this context; a
        callback finds it so."""
        if self._owner == threading.get_ident():
            yield
            return
        with self._lock:
            try:
                self._owner = threading.get_ident()
                yield
            finally:
                self._files.clear()
                self._sweep()

    def make(self, kind: Type[O], create: Any, *arguments: Any,
             kept: Any = None) -> O:
        """An object of the class from the handle that create() gives."""
        out = c_void_p()
        try:
            self.call(create, byref(out), *arguments)
        except BaseException:
            # A callback may have raised though the object was made.
            if out.value:
                self._discard(getattr(lib, kind._destroy), out.value, kept)
            raise
        return self.owning(kind, out, kept)

    def owning(self, kind: Type[O], out: c_void_p, kept: Any = None) -> O:
        made = kind.__new__(kind)
        destroy = getattr(lib, kind._destroy)
        made._handle = Handle(self, destroy, out.value or 0, kept)
        return made

    # The garbage collector may run in any thread, while another one is in a
    # call of this context: what it finds waits for the end of that, together
    # with the memory that the library was lent.

    def _discard(self, destroy: Any, value: int, kept: Any) -> None:
        self._discarded.append((destroy, value, kept))
        while self._discarded and self._lock.acquire(blocking=False):
            try:
                self._sweep()
            finally:
                self._lock.release()

    def _sweep(self) -> None:
        # Finalizers of what was kept are callbacks, too.
        self._owner = threading.get_ident()
        try:
            while self._discarded:
                destroy, value, kept = self._discarded.popleft()
                destroy(value)
                del kept
        finally:
            self._owner = None

    @property
    def isa(self) -> h.Isa:
        """The instruction set in use."""
        return h.Isa(lib.imgrec_context_isa(self._value))

    @property
    def threads(self) -> int:
        return int(lib.imgrec_context_threads(self._value))

    @property
    def bytes(self) -> int:
        """Held now."""
        return int(lib.imgrec_context_bytes(self._value))

    @property
    def peak_bytes(self) -> int:
        """The most that were ever held."""
        return int(lib.imgrec_context_peak_bytes(self._value))


class Object:
    """What is made with a context, and goes when nothing uses it."""

    _destroy = ""
    _handle: Optional[Handle]

    @property
    def handle(self) -> Handle:
        handle = self._handle
        if handle is None:
            raise ValueError("this %s has been closed" % type(self).__name__)
        return handle

    @property
    def context(self) -> Context:
        return self.handle.context

    def close(self) -> None:
        """Lets go of it now, instead of when it is collected.  Views of its
        memory stay right, and so do calls that are using it."""
        self._handle = None

    def __enter__(self: O) -> O:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


_of_thread = threading.local()


def default_context() -> Context:
    """The context of this thread, for all that is made without one."""
    if not hasattr(_of_thread, "context"):
        _of_thread.context = Context()
    context: Context = _of_thread.context
    return context
