# SPDX-License-Identifier: MIT
"""oneDNN without a framework: onednn_chain.cpp, built with the system's
libdnnl-dev.  Chains of layers only, which the training works are."""
import ctypes
import os
import subprocess
from ctypes import POINTER, c_float, c_int, c_void_p

import numpy

import nets

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {"conv2d": 0, "max_pool2d": 1, "dense": 2}
lib = None


class Layer(ctypes.Structure):
    _fields_ = [("kind", c_int), ("units", c_int), ("kernel", c_int),
                ("pad", c_int), ("relu", c_int), ("weight", c_void_p),
                ("bias", c_void_p)]


def setup(threads):
    """The driver has set OMP_NUM_THREADS."""


def load():
    global lib
    path = os.path.join(os.environ["IMGREC_RIVALS_CACHE"], "onednn_chain.so")
    source = os.path.join(HERE, "onednn_chain.cpp")
    if not os.path.exists(path) or (
            os.path.getmtime(path) < os.path.getmtime(source)):
        subprocess.run(["g++", "-std=c++17", "-O3", "-march=native",
                        "-fno-math-errno", "-fopenmp", "-fPIC", "-shared",
                        "-o", path, source, "-ldnnl"], check=True)
    lib = ctypes.CDLL(path)
    lib.chain_create.restype = c_void_p
    lib.chain_forward.restype = POINTER(c_float)
    lib.chain_step.restype = c_float
    for function in lib.chain_forward, lib.chain_destroy:
        function.argtypes = [c_void_p]
    lib.chain_step.argtypes = [c_void_p, c_void_p]


def version(mode):
    load()
    numbers = (c_int * 3).in_dll(lib, "onednn_version")
    return ".".join(map(str, numbers))


class Chain:
    def __init__(self, net, batch, training, winograd):
        layers = nets.load(net)
        values = nets.weights(layers)
        images, self.labels = nets.images(layers, batch)
        specs = []
        for l in layers[1:]:
            if l.kind not in KINDS and l.kind not in ("flatten", "softmax"):
                raise ValueError(l.kind + " is not in the chain")
            if l.kind not in KINDS:
                continue
            weight, bias = (values.get(f"{l.name}.{key}")
                            for key in ("weight", "bias"))
            if l.kind == "dense":
                weight = values[l.name + ".weight"] = nets.chw_weight(
                    layers, l, weight)
            address = [a.ctypes.data if a is not None else None
                       for a in (weight, bias)]
            specs.append(Layer(KINDS[l.kind], getattr(l, "units", 0),
                               getattr(l, "kernel", 1),
                               getattr(l, "pads", [0])[0],
                               l.activation == "relu", *address))
        x = images.transpose(0, 3, 1, 2).copy()
        self.classes = layers[-1].out[2]
        self.handle = lib.chain_create(
            (Layer * len(specs))(*specs), len(specs), batch, *layers[0].out,
            x.ctypes.data_as(c_void_p), training, winograd)
        if not self.handle:
            raise RuntimeError("oneDNN cannot do this")

    def __del__(self):
        if getattr(self, "handle", None):
            lib.chain_destroy(self.handle)


def prepare(net, kind, batch, mode):
    load()
    chain = Chain(net, batch, kind == "step", mode == "winograd")

    def step():
        if kind == "step":
            return lib.chain_step(chain.handle, chain.labels.ctypes.data)
        return lib.chain_forward(chain.handle)[:chain.classes]

    return step, [step(), step()] if kind == "step" else step()
