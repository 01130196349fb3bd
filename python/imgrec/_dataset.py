# SPDX-License-Identifier: MIT
"""Dataset: labelled images, in memory or on the disk."""
from __future__ import annotations

import ctypes
import os
from ctypes import byref, c_int64, c_void_p
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple, Union

from . import _header as h
from ._checks import integers
from ._context import Context, Object, default_context
from ._library import lib
from ._options import filled
from ._tensor import Path, Tensor, as_labels

if TYPE_CHECKING:
    from ._model import Model


class Dataset(Object):
    """Labelled images: Dataset("photos/") of a folder with a folder for each
    class, a CSV file of path,label, IDX or CIFAR files; `part` is "train",
    "val" or "test" where it has such.  Files are read when they are needed.
    """

    _destroy = "imgrec_dataset_destroy"

    def __init__(self, path: Path, part: Union[h.Part, str] = "any",
                 context: Optional[Context] = None) -> None:
        context = context or default_context()
        options = filled(h.imgrec_dataset_options, {"part": part})
        self._handle = context.make(
            Dataset, lib.imgrec_dataset_open, context._value,
            os.fsencode(path), byref(options))._handle

    @classmethod
    def from_arrays(cls, images: Any, labels: Any, classes: int,
                    context: Optional[Context] = None) -> Dataset:
        """images: N x H x W x C uint8; labels: N class numbers.  Copied."""
        context = context or default_context()
        if not isinstance(images, Tensor):
            images = Tensor.wrap(images, "u8", context=context)
        y = as_labels(context, labels, classes)
        return context.make(cls, lib.imgrec_dataset_from_memory,
                            context._value, images.handle, y.handle, classes)

    def split(self, fraction: float, seed: int = 0) -> Tuple[Dataset, Dataset]:
        """Two data sets; the second has `fraction` of each class."""
        first, second = c_void_p(), c_void_p()
        self.context.call(lib.imgrec_dataset_split, byref(first),
                          byref(second), self.handle, fraction, seed)
        return (self.context.owning(Dataset, first),
                self.context.owning(Dataset, second))

    def __len__(self) -> int:
        return int(lib.imgrec_dataset_size(self.handle))

    def _index(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError("image %d of %d" % (index, len(self)))
        return index

    def __getitem__(self, index: int) -> Tuple[Tensor, int]:
        """The decoded image and its class."""
        return self.image(self._index(index)), self.class_of(index)

    def image(self, index: int) -> Tensor:
        return self.context.make(Tensor, lib.imgrec_dataset_image, self.handle,
                                 self._index(index))

    def class_of(self, index: int) -> int:
        return int(lib.imgrec_dataset_class(self.handle, self._index(index)))

    def readable(self, index: int) -> bool:
        """False once the image was found to be unreadable."""
        return bool(lib.imgrec_dataset_readable(self.handle,
                                                self._index(index)))

    def source(self, index: int) -> str:
        """The image's path, or "FILE#index" in a packed file."""
        with self.context.alone():  # each call has the text in one place
            return _text(lib.imgrec_dataset_source(self.handle,
                                                   self._index(index)))

    @property
    def labels(self) -> List[str]:
        """The names of the classes."""
        return [_text(lib.imgrec_dataset_label(self.handle, i))
                for i in range(lib.imgrec_dataset_classes(self.handle))]

    @property
    def shape(self) -> Tuple[int, ...]:
        """Height, width and channels; 0 for what differs between images."""
        sizes = (c_int64 * 3)()
        lib.imgrec_dataset_shape(self.handle, sizes)
        return tuple(sizes)

    @property
    def description(self) -> str:
        return _text(lib.imgrec_dataset_description(self.handle))

    @property
    def skipped(self) -> List[str]:
        """A sentence for each file that could not be read."""
        return [_text(lib.imgrec_dataset_skipped_reason(self.handle, i))
                for i in range(lib.imgrec_dataset_skipped(self.handle))]

    def digest(self) -> str:
        """64 hexadecimal digits of what is in it."""
        digits = ctypes.create_string_buffer(65)
        self.context.call(lib.imgrec_dataset_digest, self.handle, digits,
                          len(digits))
        return digits.value.decode()

    def match_labels(self, model: Model) -> None:
        """Renumbers the classes as `model` has them, by name."""
        self.context.call(lib.imgrec_dataset_match_labels, self.handle,
                          model.handle)

    def remove(self, indices: Sequence[int]) -> None:
        """Takes images out of the set (not off the disk)."""
        listed = integers(sorted(indices))
        self.context.call(lib.imgrec_dataset_remove, self.handle, listed,
                          len(listed))

    def choose_augmentation(self, model: Model) -> Tuple[str, str]:
        """The text for fit(augment=...) that suits the images, and why."""
        made = filled(h.imgrec_augment, {})
        reason, text = (ctypes.create_string_buffer(1024) for _ in range(2))
        how = filled(h.imgrec_preprocess, model.preprocess)
        context = self.context
        context.call(lib.imgrec_augment_choose, byref(made), self.handle,
                     byref(how), reason, len(reason))
        context.call(lib.imgrec_augment_print, byref(made), context._value,
                     text, len(text))
        return text.value.decode(), reason.value.decode("utf-8", "replace")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
