# SPDX-License-Identifier: MIT
"""What the scripts that make golden values share: random numbers, Adam, files.

A net NAME has three files: NAME.arch, its architecture text, written by hand;
NAME.safetensors, its first weights as imgrec_model_load_weights takes them;
NAME.expected.safetensors, input, labels and what must come out of them.
"""

import pathlib

import numpy
import safetensors.numpy

FOLDER = pathlib.Path(__file__).resolve().parent

# The library holds these as f32, so the references use the rounded values.
LEARNING_RATE = float(numpy.float32(0.001))
BETA1 = float(numpy.float32(0.9))
BETA2 = float(numpy.float32(0.999))
EPSILON = float(numpy.float32(1e-7))
STEPS = 3


def images(rng, n, height, width, channels):
    """N x H x W x C in [-1, 1), multiples of 2^-7 (exact in any format)."""
    pixels = rng.integers(-128, 128, size=(n, height, width, channels))
    return (pixels / 128).astype(numpy.float32)


def adam(weight, gradient, state, t):
    """Keras' Adam on f64 arrays, in place; t counts from 1.

    It differs from PyTorch's in where epsilon is added: here to the root of
    the uncorrected second moment.
    """
    state["m"] = BETA1 * state.get("m", 0.0) + (1 - BETA1) * gradient
    state["v"] = BETA2 * state.get("v", 0.0) + (1 - BETA2) * gradient**2
    alpha = LEARNING_RATE * (1 - BETA2**t) ** 0.5 / (1 - BETA1**t)
    weight -= alpha * state["m"] / (state["v"] ** 0.5 + EPSILON)


def save(file, tensors, metadata=None):
    """f64 references are rounded to f32 once, here."""
    rounded = {
        key: numpy.ascontiguousarray(
            value if value.dtype == numpy.int32 else value.astype("float32")
        )
        for key, value in tensors.items()
    }
    (FOLDER / file).write_bytes(safetensors.numpy.save(rounded, metadata))


def save_expected(name, made_with, tensors):
    metadata = {"made_with": made_with}
    save(f"{name}.expected.safetensors", tensors, metadata)


def compare(name, what, narrow, wide):
    """Print how far an f32 run is from the f64 reference: the tolerances of
    tests/test_golden.c must leave room for that and not much more."""
    error = numpy.abs(narrow - wide).max()
    if what.startswith("after."):
        print(f"{name:8} {what:28} {error / LEARNING_RATE:.1e} learning rates")
    else:
        largest = numpy.abs(wide).max()
        print(f"{name:8} {what:28} {error / largest:.1e} of {largest:.2g}")
