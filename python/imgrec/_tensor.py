# SPDX-License-Identifier: MIT
"""Tensor: an array of the library, and images, which are tensors."""
from __future__ import annotations

import array
import ctypes
import math
import os
from ctypes import byref
from typing import TYPE_CHECKING, Any, Optional, Sequence, Tuple, Union

from . import _header as h
from ._buffer import Buffer
from ._checks import integers
from ._context import Context, Handle, Object, default_context
from ._library import lib
from ._options import filled, number

if TYPE_CHECKING:
    from typing_extensions import Unpack

_FORMATS = {h.DType.F32: "f", h.DType.U8: "B", h.DType.I32: "i"}
_NUMPY = {h.DType.F32: "<f4", h.DType.U8: "|u1", h.DType.I32: "<i4"}
_CALLED = {"f": "float32", "B": "uint8", "i": "int32"}
Path = Union[str, "os.PathLike[str]"]
# A path, the bytes of an image file, or pixels.
Image = Any


class Tensor(Object):
    """A dense array: Tensor([32, 28, 28, 1]), of DType.F32, U8 or I32.

    `data` is a memoryview of the elements in place, and so is, with NumPy,
    numpy.asarray(tensor).
    """

    _destroy = "imgrec_tensor_destroy"

    def __init__(self, shape: Sequence[int],
                 dtype: Union[h.DType, str] = h.DType.F32,
                 context: Optional[Context] = None) -> None:
        context = context or default_context()
        sizes = integers(shape)
        self._handle = context.make(
            Tensor, lib.imgrec_tensor_create, context._value,
            number(h.DType, dtype), len(sizes), sizes)._handle

    @classmethod
    def wrap(cls, source: Any, dtype: Union[h.DType, str, None] = None,
             shape: Optional[Sequence[int]] = None,
             context: Optional[Context] = None) -> Tensor:
        """A tensor over the memory of `source`, anything with the buffer
        protocol, which it holds; a copy only where its elements do not lie one
        behind the other.  `shape` may have one -1."""
        context = context or default_context()
        buffer = Buffer(source)
        kind = _kind(buffer, dtype)
        sizes = _sizes(buffer, kind, shape)
        return context.make(
            cls, lib.imgrec_tensor_wrap, context._value, kind, len(sizes),
            integers(sizes), buffer.address, kept=buffer)

    @property
    def dtype(self) -> h.DType:
        return h.DType(lib.imgrec_tensor_dtype(self.handle))

    @property
    def shape(self) -> Tuple[int, ...]:
        return tuple(lib.imgrec_tensor_dim(self.handle, axis)
                     for axis in range(lib.imgrec_tensor_ndim(self.handle)))

    @property
    def nbytes(self) -> int:
        return int(lib.imgrec_tensor_nbytes(self.handle))

    @property
    def data(self) -> memoryview:
        """The elements in place, to read and to write."""
        handle = self.handle
        memory: Any = (ctypes.c_ubyte * self.nbytes).from_address(
            lib.imgrec_tensor_data(handle))
        memory.owner = handle
        view: Any = memoryview(memory).cast("B")
        if isinstance(handle.kept, Buffer) and handle.kept.readonly:
            view = view.toreadonly()
        shaped: memoryview = view.cast(_FORMATS[self.dtype], self.shape)
        return shaped

    @property
    def writable_handle(self) -> Handle:
        """The handle, for a call that writes: not to read-only memory, nor to
        a copy that nobody would see."""
        handle = self.handle
        kept = handle.kept
        if isinstance(kept, Buffer) and kept.readonly:
            raise ValueError("cannot write to a tensor over read-only memory")
        if isinstance(kept, Buffer) and kept.copied:
            raise ValueError("cannot write to an array whose elements do not "
                             "lie one behind the other: the tensor is a copy")
        return handle

    @property
    def __array_interface__(self) -> Any:
        return {"version": 3, "shape": self.shape, "data": self.data,
                "typestr": _NUMPY[self.dtype]}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        return self.data[index]

    def tolist(self) -> Any:
        return self.data.tolist()

    # Images are height x width x channels, U8.

    @classmethod
    def load_image(cls, path: Path, channels: int = 0,
                   context: Optional[Context] = None) -> Tensor:
        """Decodes a JPEG, PNG, BMP or PNM file; channels 1, 3, or 0: its own."""
        context = context or default_context()
        return context.make(cls, lib.imgrec_image_load, context._value,
                            os.fsencode(path), channels)

    @classmethod
    def decode_image(cls, data: Any, channels: int = 0,
                     context: Optional[Context] = None) -> Tensor:
        """The same for the bytes of such a file."""
        context = context or default_context()
        buffer = Buffer(data)
        return context.make(cls, lib.imgrec_image_decode, context._value,
                            buffer.address, buffer.nbytes, channels)

    def _changed(self, name: str, *arguments: Any) -> Tensor:
        return self.context.make(Tensor, getattr(lib, "imgrec_image_" + name),
                                 self.handle, *arguments)

    def resize(self, height: int, width: int,
               rule: Union[h.Resize, str] = "stretch") -> Tensor:
        return self._changed("resize", height, width, number(h.Resize, rule))

    def crop(self, top: int, left: int, height: int, width: int) -> Tensor:
        return self._changed("crop", top, left, height, width)

    def rotate(self, degrees: float) -> Tensor:
        """Counter-clockwise about the centre."""
        return self._changed("rotate", degrees)

    def flip(self, axis: int) -> Tensor:
        """0: upside down; 1: left and right exchanged."""
        return self._changed("flip", axis)

    def convert(self, channels: int) -> Tensor:
        """To grey (1) or RGB (3)."""
        return self._changed("convert", channels)

    def adjust(self, brightness: float = 1, contrast: float = 1,
               saturation: float = 1) -> Tensor:
        return self._changed("adjust", brightness, contrast, saturation)

    def equalize(self) -> Tensor:
        return self._changed("equalize")

    def blur(self, sigma: float) -> Tensor:
        return self._changed("blur", sigma)

    def sharpen(self, sigma: float, amount: float) -> Tensor:
        return self._changed("sharpen", sigma, amount)

    def preprocess(self, **how: Unpack[h.Preprocess]) -> Tensor:
        """The input of a network, H x W x C F32; Model.preprocess has the
        keywords that a model wants."""
        return self._changed(
            "preprocess", byref(filled(h.imgrec_preprocess, how)))

    def augment(self, how: str, seed: int = 0, epoch: int = 1,
                index: int = 0) -> Tensor:
        """As a fit would show it: how is "light", "flip,crop=4" ..."""
        text = augmentation(self.context, how)
        return self._changed("augment", None, byref(text), seed, epoch, index)


def augmentation(context: Context, text: str) -> h.imgrec_augment:
    made = filled(h.imgrec_augment, {})
    context.call(lib.imgrec_augment_parse, byref(made), context._value,
                 text.encode())
    return made


def mix(images: Tensor, targets: Tensor, labels: Tensor, how: str,
        seed: int = 0, epoch: int = 1, first: int = 0) -> None:
    """mixup and cutmix of a batch in place, such as how="mixup=0.2": images
    N x H x W x C, labels N; targets, N x classes, are for train_step."""
    text = augmentation(images.context, how)
    images.context.call(lib.imgrec_augment_mix, images.writable_handle,
                        targets.writable_handle, labels.handle, byref(text),
                        seed, epoch, first)


def _kind(buffer: Buffer, dtype: Union[h.DType, str, None]) -> h.DType:
    """The element type, which must be what the buffer has; plain bytes may
    stand for any."""
    given = "i" if buffer.format == "l" and buffer.itemsize == 4 else (
        buffer.format)
    known = {code: kind for kind, code in _FORMATS.items()}
    if dtype is None and given in known:
        return known[given]
    kind = h.DType.F32 if dtype is None else h.DType(number(h.DType, dtype))
    if given == _FORMATS[kind] or given in "Bbc" and len(buffer.shape) == 1:
        return kind
    raise TypeError("elements are of format %r, not %s" % (
        buffer.format, _CALLED[_FORMATS[kind]]))


def _sizes(buffer: Buffer, kind: h.DType,
           shape: Optional[Sequence[int]]) -> Sequence[int]:
    count = buffer.nbytes // (1 if kind == h.DType.U8 else 4)
    if shape is None:
        return buffer.shape if math.prod(buffer.shape) == count else [count]
    known = math.prod(size for size in shape if size != -1)
    sizes = [count // max(known, 1) if size == -1 else size for size in shape]
    if math.prod(sizes) != count:
        raise ValueError("%d elements do not fill the shape %s" % (
            count, " x ".join("N" if s == -1 else str(s) for s in shape)))
    return sizes


def as_labels(context: Context, labels: Any, classes: int) -> Tensor:
    """N class numbers of any kind, or N x classes F32 probabilities."""
    if isinstance(labels, Tensor):
        return labels
    try:
        view = memoryview(labels)
    except TypeError:
        view = None
    if view is not None and view.format == "f":
        return Tensor.wrap(labels, "f32", [-1, classes], context)
    if view is None or view.format != "i":
        labels = array.array("i", [int(label) for label in labels])
    return Tensor.wrap(labels, "i32", [-1], context)


def as_image(context: Context, image: Image) -> Tensor:
    """Whatever stands for an image, decoded."""
    if isinstance(image, Tensor):
        return image
    if isinstance(image, (str, os.PathLike)):
        return Tensor.load_image(image, context=context)
    shape = memoryview(image).shape or ()
    if len(shape) == 1:
        return Tensor.decode_image(image, context=context)
    return Tensor.wrap(image, "u8", (*shape, 1) if len(shape) == 2 else shape,
                       context)
