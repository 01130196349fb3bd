# SPDX-License-Identifier: MIT
"""libimgrec, called directly: tensors lie over NumPy's memory."""
import ctypes
import os
from ctypes import byref, c_char_p, c_float, c_int, c_int32, c_size_t, \
    c_uint64, c_void_p

import numpy

import nets

lib = ctypes.CDLL(os.environ["IMGREC_LIBRARY"])
for name in ("last_error", "version_string"):
    getattr(lib, "imgrec_" + name).restype = c_char_p
forward, train_step = lib.imgrec_model_forward, lib.imgrec_train_step
forward.argtypes = [c_void_p] * 3
train_step.argtypes = [c_void_p] * 4
context = c_void_p()


class ContextOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("max_bytes", c_uint64),
                ("threads", c_int32), ("isa", c_int32), ("rest", c_void_p * 8)]


class ModelOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("seed", c_uint64),
                ("max_batch", c_int32), ("init", c_int32)]


class TrainerOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("seed", c_uint64),
                ("optimizer", c_int32), ("max_batch", c_int32),
                ("floats", c_float * 5), ("accumulate", c_int32)]


def check(status):
    if status < 0:
        raise RuntimeError(lib.imgrec_last_error(context).decode())


def options(kind, fill, **values):
    result = kind()
    check(fill(byref(result), c_size_t(ctypes.sizeof(result))))
    for key, value in values.items():
        setattr(result, key, value)
    return byref(result)


def setup(threads):
    check(lib.imgrec_context_create(byref(context), options(
        ContextOptions, lib.imgrec_context_options_init, threads=threads)))


def version(mode):
    return lib.imgrec_version_string().decode()


def tensor(array):
    dtype = 1 if array.dtype == numpy.float32 else 3
    shape = (ctypes.c_int64 * array.ndim)(*array.shape)
    out = c_void_p()
    check(lib.imgrec_tensor_wrap(byref(out), context, dtype, array.ndim, shape,
                                 array.ctypes.data_as(c_void_p)))
    return out


def make_model(text, batch):
    model = c_void_p()
    check(lib.imgrec_model_create(
        byref(model), context, text.encode(), options(
            ModelOptions, lib.imgrec_model_options_init, max_batch=batch,
            init=2)))
    return model


class Work:
    """A model and all that one step of it needs."""

    def __init__(self, net, kind, batch):
        self.layers = nets.load(net)
        self.model, self.trainer = make_model(nets.text(net), batch), \
            c_void_p()
        values = nets.weights(self.layers)
        for name, value in values.items():
            wrapped = tensor(value)
            check(lib.imgrec_model_set_parameter(
                self.model, name.encode(), wrapped))
            lib.imgrec_tensor_destroy(wrapped)
        del values
        if kind == "step":
            check(lib.imgrec_trainer_create(
                byref(self.trainer), self.model, options(
                    TrainerOptions, lib.imgrec_trainer_options_init,
                    max_batch=batch)))
        images, labels = nets.images(self.layers, batch)
        self.out = numpy.zeros((batch, self.layers[-1].out[2]), numpy.float32)
        self.loss = c_float()
        self.arrays = images, labels
        self.x, self.y, self.labels = map(tensor, (images, self.out, labels))

    def forward(self):
        check(forward(self.model, self.x, self.y))

    def step(self):
        check(train_step(self.trainer, self.x, self.labels, byref(self.loss)))
        return self.loss.value

    def __del__(self):
        for handle in self.x, self.y, self.labels:
            lib.imgrec_tensor_destroy(handle)
        lib.imgrec_trainer_destroy(self.trainer)
        lib.imgrec_model_destroy(self.model)


def planned_bytes(model, batch, training):
    result = c_uint64()
    check(lib.imgrec_model_memory(model, batch, training, byref(result)))
    return result.value


def prepare(net, kind, batch, mode):
    work = Work(net, kind, batch)
    run = work.step if kind == "step" else work.forward

    def step():
        return run()

    step.planned_bytes = planned_bytes(work.model, batch, kind == "step")
    if kind == "step":
        return step, [step(), step()]
    step()
    return step, work.out[0]
