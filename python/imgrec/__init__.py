# SPDX-License-Identifier: MIT
"""Image recognition with libimgrec, through ctypes and with nothing else.

    import imgrec
    model = imgrec.Model.load("photos.imgrec")
    print(model.predict("cat.jpg"))

The library is the one that IMGREC_LIBRARY names, else libimgrec.so.0 as the
loader finds it.  Every failure raises imgrec.Error with the library's sentence.
Arrays go in as anything with the buffer protocol (bytes, array.array, a
memoryview, an array of NumPy) and come out as memoryviews.
"""
import ctypes
import os
import struct
from ctypes import (POINTER, byref, c_char_p, c_float, c_int, c_int32, c_int64,
                    c_size_t, c_uint64, c_void_p)

__all__ = ["ADAM", "ADAMW", "F32", "I32", "SGD", "U8", "Context", "Error", "Model",
           "Tensor", "Trainer", "version"]

F32, U8, I32 = 1, 2, 3
ADAM, SGD, ADAMW = 0, 1, 2
_FORMATS = {F32: "f", U8: "B", I32: "i"}


class Error(Exception):
    """A call failed; `status` is its IMGREC_ERR_ code."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


class _Options(ctypes.Structure):
    """An option struct, filled by its _init function and then by keywords."""

    def __init__(self, **values):
        super().__init__()
        init = getattr(_lib, "imgrec_" + self.c_name + "_init")
        _check(None, init(byref(self), ctypes.sizeof(self)))
        for name, value in values.items():
            if name not in {field[0] for field in self._fields_}:
                raise TypeError("%s has no option %r" % (self.c_name, name))
            setattr(self, name, value)


class ContextOptions(_Options):
    c_name = "context_options"
    _fields_ = [("struct_size", c_size_t), ("max_bytes", c_uint64),
                ("threads", c_int32), ("isa", c_int32),
                ("alloc", c_void_p), ("free", c_void_p),
                ("alloc_user", c_void_p), ("log", c_void_p),
                ("log_user", c_void_p), ("parallel", c_void_p),
                ("parallel_user", c_void_p), ("decode", c_void_p),
                ("decode_user", c_void_p)]


class ModelOptions(_Options):
    c_name = "model_options"
    _fields_ = [("struct_size", c_size_t), ("seed", c_uint64),
                ("max_batch", c_int32), ("init", c_int32)]


class TrainerOptions(_Options):
    c_name = "trainer_options"
    _fields_ = [("struct_size", c_size_t), ("seed", c_uint64),
                ("optimizer", c_int32), ("max_batch", c_int32),
                ("learning_rate", c_float), ("momentum", c_float),
                ("beta1", c_float), ("beta2", c_float), ("epsilon", c_float),
                ("accumulate", c_int32), ("nesterov", c_int32),
                ("weight_decay", c_float), ("decay_all", c_int32),
                ("label_smoothing", c_float), ("clip_norm", c_float),
                ("ema_decay", c_float), ("layer_decay", c_float),
                ("reserved", c_int32)]


class _Result(ctypes.Structure):
    _fields_ = [("class_index", c_int32), ("probability", c_float),
                ("label", c_char_p)]


# name: (result, arguments); "p" is a handle, "o" a new handle
_SIGNATURES = {
    "version_string": (c_char_p, ""),
    "status_string": (c_char_p, "i"),
    "last_error": (c_char_p, "p"),
    "context_options_init": (c_int, "pz"),
    "context_create": (c_int, "op"),
    "context_destroy": (None, "p"),
    "tensor_create": (c_int, "opiip"),
    "tensor_destroy": (None, "p"),
    "tensor_dtype": (c_int, "p"),
    "tensor_ndim": (c_int, "p"),
    "tensor_dim": (c_int64, "pi"),
    "tensor_nbytes": (c_size_t, "p"),
    "tensor_data": (c_void_p, "p"),
    "image_load": (c_int, "opsi"),
    "image_decode": (c_int, "oppzi"),
    "model_options_init": (c_int, "pz"),
    "model_create": (c_int, "opsp"),
    "model_load": (c_int, "opsp"),
    "model_destroy": (None, "p"),
    "model_save": (c_int, "ps"),
    "model_forward": (c_int, "ppp"),
    "model_input_shape": (None, "pp"),
    "model_classes": (c_int, "p"),
    "model_architecture": (c_char_p, "p"),
    "model_set_labels": (c_int, "pip"),
    "model_label": (c_char_p, "pi"),
    "model_classify": (c_int, "ppip"),
    "trainer_options_init": (c_int, "pz"),
    "trainer_create": (c_int, "opp"),
    "trainer_destroy": (None, "p"),
    "train_step": (c_int, "pppp"),
}
_KINDS = {"p": c_void_p, "o": POINTER(c_void_p), "s": c_char_p, "i": c_int,
          "z": c_size_t}


def _open_library():
    lib = ctypes.CDLL(os.environ.get("IMGREC_LIBRARY") or "libimgrec.so.0")
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(lib, "imgrec_" + name)
        function.restype = result
        function.argtypes = [_KINDS[kind] for kind in arguments]
    return lib


_lib = _open_library()


def _check(context, status):
    if status >= 0:
        return status
    sentence = _lib.imgrec_last_error(context._handle) if context else b""
    sentence = sentence or _lib.imgrec_status_string(status)
    raise Error(status, sentence.decode("utf-8", "replace"))


def version():
    """The release of the library in use, "0.1.0"."""
    return _lib.imgrec_version_string().decode()


class _Object:
    """A handle, destroyed with the Python object that owns it."""

    _destroy = None
    _handle = None

    def close(self):
        """Destroys the object now instead of when it is collected."""
        handle, self._handle = self._handle, None
        if handle:
            getattr(_lib, self._destroy)(handle)

    __del__ = close

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class Context(_Object):
    """Threads and memory that models share: Context(threads=2)."""

    _destroy = "imgrec_context_destroy"

    def __init__(self, **options):
        out = c_void_p()
        options = ContextOptions(**options)
        _check(None, _lib.imgrec_context_create(byref(out), byref(options)))
        self._handle = out.value


def _filled(shape, count):
    """`shape` with its -1 replaced by what `count` elements leave for it."""
    known = 1
    for size in shape:
        known *= size if size != -1 else 1
    return [count // max(known, 1) if size == -1 else size for size in shape]


class Tensor(_Object):
    """An array of the library; memoryview(tensor.data) reads and writes it."""

    _destroy = "imgrec_tensor_destroy"

    def __init__(self, context, dtype, shape):
        sizes = (c_int64 * len(shape))(*shape)
        out = c_void_p()
        _check(context, _lib.imgrec_tensor_create(
            byref(out), context._handle, dtype, len(shape), sizes))
        self._handle = out.value

    @classmethod
    def _owning(cls, handle):
        tensor = cls.__new__(cls)
        tensor._handle = handle
        return tensor

    @classmethod
    def from_buffer(cls, context, dtype, buffer, shape=None):
        """A copy of `buffer`, whose items must be of `dtype` (or bytes)."""
        view = memoryview(buffer)
        wanted = _FORMATS[dtype]
        given = view.format.lstrip("<@=")
        if given not in (wanted, "B", "b", "c"):
            raise TypeError("items of format %r, wanted %r"
                            % (view.format, wanted))
        if shape is None:
            shape = view.shape if given == wanted else [-1]
        count = view.nbytes // struct.calcsize(wanted)
        tensor = cls(context, dtype, _filled(shape, count))
        if tensor.data.nbytes != view.nbytes:
            raise ValueError("%d bytes given, %r holds %d" % (
                view.nbytes, tensor.shape, tensor.data.nbytes))
        tensor.data.cast("B")[:] = view.tobytes()
        return tensor

    @property
    def shape(self):
        return tuple(_lib.imgrec_tensor_dim(self._handle, axis)
                     for axis in range(_lib.imgrec_tensor_ndim(self._handle)))

    @property
    def data(self):
        """The elements in place; valid as long as the tensor is."""
        size = _lib.imgrec_tensor_nbytes(self._handle)
        memory = (ctypes.c_ubyte * size).from_address(
            _lib.imgrec_tensor_data(self._handle))
        memory.owner = self
        dtype = _lib.imgrec_tensor_dtype(self._handle)
        return memoryview(memory).cast("B").cast(_FORMATS[dtype], self.shape)


class Trainer(_Object):
    """Model.trainer() makes it; step() is one batch."""

    _destroy = "imgrec_trainer_destroy"

    def __init__(self, model, **options):
        options.setdefault("max_batch", model.max_batch)
        options = TrainerOptions(**options)
        out = c_void_p()
        _check(model.context, _lib.imgrec_trainer_create(
            byref(out), model._handle, byref(options)))
        self._handle = out.value
        self.model = model

    def step(self, images, labels):
        """images: N x H x W x C f32; labels: N i32 class numbers, or a list.
        Returns the mean loss of the batch before the update."""
        model = self.model
        if isinstance(labels, (list, tuple)):
            labels = (c_int32 * len(labels))(*labels)
        y = Tensor.from_buffer(model.context, I32, labels, [-1])
        x = model._images(images)
        loss = c_float()
        _check(model.context, _lib.imgrec_train_step(
            self._handle, x._handle, y._handle, byref(loss)))
        return loss.value


class Model(_Object):
    """A network: Model(text) from an architecture, Model.load(path)."""

    _destroy = "imgrec_model_destroy"

    def __init__(self, architecture, context=None, **options):
        self._make(_lib.imgrec_model_create, architecture.encode(), context,
                   options)

    @classmethod
    def load(cls, path, context=None, **options):
        model = cls.__new__(cls)
        model._make(_lib.imgrec_model_load, os.fsencode(path), context,
                    options)
        return model

    def _make(self, create, argument, context, options):
        self.context = context or Context()
        options.setdefault("max_batch", 32)
        self.max_batch = options["max_batch"]
        self._trainer = None
        options = ModelOptions(**options)
        out = c_void_p()
        _check(self.context, create(byref(out), self.context._handle, argument,
                                    byref(options)))
        self._handle = out.value

    @property
    def input_shape(self):
        """Height, width and channels."""
        shape = (c_int64 * 3)()
        _lib.imgrec_model_input_shape(self._handle, shape)
        return tuple(shape)

    @property
    def architecture(self):
        return _lib.imgrec_model_architecture(self._handle).decode()

    @property
    def labels(self):
        count = _lib.imgrec_model_classes(self._handle)
        return [_lib.imgrec_model_label(self._handle, i).decode()
                for i in range(count)]

    @labels.setter
    def labels(self, names):
        array = (c_char_p * len(names))(*[name.encode() for name in names])
        _check(self.context, _lib.imgrec_model_set_labels(
            self._handle, len(names), array))

    def predict(self, path, top=3):
        """The `top` most probable (label, probability) of an image file."""
        out = c_void_p()
        _check(self.context, _lib.imgrec_image_load(
            byref(out), self.context._handle, os.fsencode(path), 0))
        return self._classify(Tensor._owning(out.value), top)

    def classify(self, data, top=3):
        """The same for the bytes of an image file."""
        data = bytes(data)
        out = c_void_p()
        _check(self.context, _lib.imgrec_image_decode(
            byref(out), self.context._handle, data, len(data), 0))
        return self._classify(Tensor._owning(out.value), top)

    def _classify(self, image, top):
        top = min(top, _lib.imgrec_model_classes(self._handle))
        results = (_Result * top)()
        count = _check(self.context, _lib.imgrec_model_classify(
            self._handle, image._handle, top, results))
        return [(r.label.decode(), r.probability) for r in results[:count]]

    def _images(self, buffer):
        return Tensor.from_buffer(self.context, F32, buffer,
                                  [-1, *self.input_shape])

    def forward(self, images):
        """images: N x H x W x C f32, preprocessed; N x classes f32 out."""
        x = self._images(images)
        classes = _lib.imgrec_model_classes(self._handle)
        y = Tensor(self.context, F32, [x.shape[0], classes])
        _check(self.context, _lib.imgrec_model_forward(
            self._handle, x._handle, y._handle))
        return y.data

    def trainer(self, **options):
        """A Trainer with options such as learning_rate=0.01, optimizer=SGD."""
        return Trainer(self, **options)

    def train_step(self, images, labels):
        """One step of a trainer with default options; see Trainer.step."""
        if self._trainer is None:
            self._trainer = Trainer(self)
        return self._trainer.step(images, labels)

    def save(self, path):
        _check(self.context, _lib.imgrec_model_save(
            self._handle, os.fsencode(path)))
