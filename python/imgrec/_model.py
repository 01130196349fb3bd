# SPDX-License-Identifier: MIT
"""Model: a network that recognises."""
from __future__ import annotations

import ctypes
import os
from ctypes import byref, c_char_p, c_int64, c_uint64
from typing import (TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional, Sequence,
                    Tuple, Union)

from . import _header as h
from ._buffer import Buffer
from ._checks import text
from ._context import Context, Object, default_context
from ._dataset import Dataset
from ._library import check, lib
from ._options import change, empty, filled, number, values
from ._tensor import Image, Path, Tensor, as_image

if TYPE_CHECKING:
    from typing_extensions import Unpack


Listener = Callable[[int, int, Sequence[float]], Optional[bool]]


class Answer(NamedTuple):
    """A class that an image may be of."""

    label: str
    probability: float
    class_index: int


def preset(name: str, classes: int, height: int = 0, width: int = 0,
           channels: int = 0) -> str:
    """The text of a built-in architecture, such as "small"; sizes of 0 are its
    own."""
    sizes = (name.encode(), height, width, channels, classes)
    length = check(lib.imgrec_preset(*sizes, None, 0))
    out = ctypes.create_string_buffer(length + 1)
    lib.imgrec_preset(*sizes, out, length + 1)
    return out.value.decode()


def presets() -> List[str]:
    """The names that preset() knows."""
    names: List[str] = []
    while lib.imgrec_preset_name(len(names)):
        names.append(lib.imgrec_preset_name(len(names)).decode())
    return names


class Model(Object):
    """A network: Model.load(path), or Model(text) from an architecture text.

    Options are those of imgrec_model_options: seed, max_batch, init.
    """

    _destroy = "imgrec_model_destroy"

    def __init__(self, architecture: str, context: Optional[Context] = None,
                 **options: Unpack[h.ModelOptions]) -> None:
        context = context or default_context()
        self._handle = context.make(
            Model, lib.imgrec_model_create, context._value,
            architecture.encode(),
            byref(filled(h.imgrec_model_options, options)))._handle

    @classmethod
    def load(cls, source: Union[Path, bytes], context: Optional[Context] = None,
             **options: Unpack[h.ModelOptions]) -> Model:
        """A model file: its path, or its bytes."""
        context = context or default_context()
        struct = byref(filled(h.imgrec_model_options, options))
        if isinstance(source, (str, os.PathLike)):
            return context.make(cls, lib.imgrec_model_load, context._value,
                                os.fsencode(source), struct)
        data = Buffer(source)
        return context.make(cls, lib.imgrec_model_load_memory, context._value,
                            data.address, data.nbytes, struct)

    @classmethod
    def adapt(cls, path: Path, classes: int, context: Optional[Context] = None,
              **options: Unpack[h.ModelOptions]) -> Model:
        """The network and the weights of a model file, for other classes."""
        context = context or default_context()
        return context.make(cls, lib.imgrec_model_adapt, context._value,
                            os.fsencode(path), classes,
                            byref(filled(h.imgrec_model_options, options)))

    def share(self, context: Optional[Context] = None, max_batch: int = 0
              ) -> Model:
        """A model on the same weights, which cannot be changed any more, for
        another thread: called there, it is of that thread's context."""
        context = context or default_context()
        options = filled(h.imgrec_model_options, {"max_batch": max_batch})
        return context.make(Model, lib.imgrec_model_share, self.handle,
                            context._value, byref(options))

    def save(self, path: Path) -> None:
        """Writes the model file, whole or not at all."""
        self.context.call(lib.imgrec_model_save, self.handle,
                          os.fsencode(path))

    def load_weights(self, path: Path) -> None:
        """Weights from a safetensors file, such as PyTorch's."""
        self.context.call(lib.imgrec_model_load_weights, self.handle,
                          os.fsencode(path))

    def transfer_weights(self, path: Path) -> int:
        """The same, but that the head may be another, and stays as it is; how
        many parameters do."""
        return self.context.call(lib.imgrec_model_transfer_weights,
                                 self.handle, os.fsencode(path))

    # ---- Recognising

    def classify(self, image: Image, top: int = 5) -> List[Answer]:
        """The `top` most probable classes, best first, of an image: its path,
        the bytes of its file, or pixels (a Tensor, or an array of height x
        width x channels uint8, or height x width for a grey one)."""
        tensor = as_image(self.context, image)
        results = (h.imgrec_result * max(top, 1))()
        answers: List[Answer] = []

        def classify(*arguments: Any) -> int:
            # Labels are the model's, which the next call may change.
            count = int(lib.imgrec_model_classify(*arguments))
            answers.extend(map(_answer, results[:max(count, 0)]))
            return count

        self.context.call(classify, self.handle, tensor.handle, top, results)
        return answers

    def input(self, images: Any) -> Tensor:
        """N x H x W x C float32, or flat, as a tensor."""
        if isinstance(images, Tensor):
            return images
        return Tensor.wrap(images, "f32", [-1, *self.input_shape],
                           self.context)

    def forward(self, images: Any, out: Optional[Tensor] = None) -> Tensor:
        """images: N x H x W x C float32, preprocessed, without a copy; N x
        classes float32 come out, into `out` where it is given."""
        x = self.input(images)
        y = out or Tensor([x.shape[0], self.classes], context=self.context)
        self.context.call(lib.imgrec_model_forward, self.handle, x.handle,
                          y.writable_handle)
        return y

    def explain(self, image: Image, class_index: int = -1) -> Tensor:
        """Where in the image the class is seen, H x W from 0 to 1; -1: the
        most probable one."""
        tensor = as_image(self.context, image)
        return self.context.make(Tensor, lib.imgrec_model_explain, self.handle,
                                 tensor.handle, class_index)

    def rejects(self, probability: float) -> bool:
        """Whether the answer with this probability is "none of these"."""
        return bool(lib.imgrec_model_rejects(self.handle, probability) == 1)

    def evaluate(self, dataset: Dataset, answer: Optional[Listener] = None
                 ) -> h.Evaluation:
        """How well it recognises labelled images.  `answer` is told of each:
        its index, its class, the probabilities; True ends it with Error."""
        n = self.classes
        counts = (c_int64 * (n * n))()
        scores = (h.imgrec_class_score * n)()
        bins = (h.imgrec_reliability * 15)()
        out = empty(h.imgrec_evaluation)
        change(out, {"confusion": counts, "scores": scores, "bins": bins})
        if answer is not None:
            out.answer = _told(self.context, answer, n)
        self.context.call(lib.imgrec_evaluate, self.handle, dataset.handle,
                          byref(out))
        return values(
            h.Evaluation, out,
            confusion=[counts[i * n:i * n + n] for i in range(n)],
            scores=[values(h.ClassScore, s) for s in scores],
            bins=[values(h.Reliability, b) for b in bins])

    def calibrate(self, validation: Dataset,
                  **options: Unpack[h.CalibrateOptions]) -> h.CalibrateResult:
        """Makes it as sure as it is right on images that it has not seen."""
        result = empty(h.imgrec_calibrate_result)
        self.context.call(
            lib.imgrec_model_calibrate, self.handle, validation.handle,
            byref(filled(h.imgrec_calibrate_options, options)), byref(result))
        return values(h.CalibrateResult, result)

    def quantize(self, calibration: Dataset,
                 **options: Unpack[h.QuantizeOptions]) -> Model:
        """A new model that computes in 8 bits."""
        return self.context.make(
            Model, lib.imgrec_model_quantize, self.handle, calibration.handle,
            byref(filled(h.imgrec_quantize_options, options)))

    def round_weights(self, kind: Union[h.Weights, str]) -> None:
        """To what 16 bits can hold: "f16" or "bf16"."""
        self.context.call(lib.imgrec_model_round_weights, self.handle,
                          number(h.Weights, kind))

    # ---- What it is

    @property
    def classes(self) -> int:
        return int(lib.imgrec_model_classes(self.handle))

    @property
    def input_shape(self) -> Tuple[int, ...]:
        """Height, width and channels."""
        shape = (c_int64 * 3)()
        lib.imgrec_model_input_shape(self.handle, shape)
        return tuple(shape)

    @property
    def head(self) -> Optional[str]:
        """The name of the layer that the classes are computed by."""
        name = lib.imgrec_model_head(self.handle)
        return name.decode() if name else None

    @property
    def weight_type(self) -> h.Weights:
        return h.Weights(lib.imgrec_model_weight_type(self.handle))

    @property
    def architecture(self) -> str:
        return str(lib.imgrec_model_architecture(self.handle).decode())

    @property
    def layers(self) -> List[h.LayerInfo]:
        infos = []
        for index in range(lib.imgrec_model_layer_count(self.handle)):
            info = empty(h.imgrec_layer_info)
            self.context.call(lib.imgrec_model_layer, self.handle, index,
                              byref(info))
            infos.append(values(h.LayerInfo, info))
        return infos

    @property
    def labels(self) -> List[str]:
        """The names of the classes."""
        return [lib.imgrec_model_label(self.handle, i).decode()
                for i in range(self.classes)]

    @labels.setter
    def labels(self, names: Sequence[str]) -> None:
        array = (c_char_p * len(names))(*[text(name.encode())
                                          for name in names])
        pointers = ctypes.cast(array, ctypes.POINTER(ctypes.c_void_p))
        self.context.call(lib.imgrec_model_set_labels, self.handle, len(names),
                          pointers)

    @property
    def preprocess(self) -> h.Preprocess:
        """What turns an image into its input."""
        how = empty(h.imgrec_preprocess)
        self.context.call(lib.imgrec_model_get_preprocess, self.handle,
                          byref(how))
        return values(h.Preprocess, how)

    @preprocess.setter
    def preprocess(self, how: h.Preprocess) -> None:
        self.context.call(lib.imgrec_model_set_preprocess, self.handle,
                          byref(filled(h.imgrec_preprocess, how)))

    @property
    def calibration(self) -> h.Calibration:
        how = empty(h.imgrec_calibration)
        self.context.call(lib.imgrec_model_get_calibration, self.handle,
                          byref(how))
        return values(h.Calibration, how)

    @calibration.setter
    def calibration(self, how: h.Calibration) -> None:
        self.context.call(lib.imgrec_model_set_calibration, self.handle,
                          byref(filled(h.imgrec_calibration, how)))

    def memory(self, batch: int, training: bool = False) -> int:
        """The bytes that it needs for such batches."""
        out = c_uint64()
        self.context.call(lib.imgrec_model_memory, self.handle, batch,
                          int(training), byref(out))
        return out.value

    # ---- Weights, by PyTorch's names and in its layouts

    @property
    def parameters(self) -> List[str]:
        count = lib.imgrec_model_parameter_count(self.handle)
        return [lib.imgrec_model_parameter_name(self.handle, i).decode()
                for i in range(count)]

    def __getitem__(self, name: str) -> Tensor:
        """A copy of the weights of that name."""
        return self.context.make(Tensor, lib.imgrec_model_get_parameter,
                                 self.handle, name.encode())

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(value, Tensor):
            value = Tensor.wrap(value, "f32", context=self.context)
        self.context.call(lib.imgrec_model_set_parameter, self.handle,
                          name.encode(), value.handle)

    def freeze(self, prefix: str) -> int:
        """Layers "conv1." or "" are trained no more; how many those are."""
        return self.context.call(lib.imgrec_model_freeze, self.handle,
                                 prefix.encode())

    def unfreeze(self, prefix: str) -> int:
        return self.context.call(lib.imgrec_model_unfreeze, self.handle,
                                 prefix.encode())


def _answer(result: h.imgrec_result) -> Answer:
    return Answer(result.label.decode("utf-8", "replace"), result.probability,
                  result.class_index)


def _told(context: Context, answer: Listener, classes: int) -> Any:
    def call(_: Any, index: int, class_index: int, probabilities: Any) -> int:
        try:
            return 1 if answer(index, class_index,
                               probabilities[:classes]) else 0
        except BaseException as error:
            context.keep(error)
            return 1
    return h.imgrec_answer_fn(call)
