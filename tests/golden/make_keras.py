# SPDX-License-Identifier: MIT
"""Golden values by Keras: python3 tests/golden/make_keras.py

Layers, loss and Adam are Keras' own, computing in f64 from weights that are
f32; weights and gradients are turned into PyTorch's names and layouts.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # how it lacks a GPU

import keras
import numpy
import tensorflow
from keras import layers

import golden_file

MADE_WITH = f"Keras {keras.__version__} on TensorFlow {tensorflow.__version__}"


def seed():
    return [
        layers.Input((32, 32, 3)),
        layers.Conv2D(4, 3, activation="relu", name="conv1"),
        layers.MaxPooling2D(2),
        layers.Conv2D(8, 3, activation="relu", name="conv2"),
        layers.MaxPooling2D(2),
        layers.Conv2D(16, 3, activation="relu", name="conv3"),
        layers.Flatten(),
        layers.Dense(32, activation="relu", name="fc1"),
        layers.Dense(5, activation="softmax", name="fc2"),
    ]


def same():
    """padding="same" at even and odd sizes, where it is lopsided."""
    return [
        layers.Input((14, 11, 3)),
        layers.Conv2D(
            6, 3, strides=2, padding="same", activation="relu", name="conv1"
        ),
        layers.DepthwiseConv2D(
            4, padding="same", activation="silu", name="conv2"
        ),
        layers.MaxPooling2D(2, strides=2, padding="same"),
        layers.Conv2D(
            8, (2, 3), padding="same", activation="tanh", name="conv3"
        ),
        layers.AveragePooling2D(2, strides=1, padding="same"),
        layers.Flatten(),
        layers.Dense(5, name="fc1"),
    ]


def to_torch(layer, variable, value):
    """(name, array) of a Keras variable as PyTorch has it."""
    value = numpy.asarray(value)
    if variable.name == "bias":
        return f"{layer.name}.bias", value
    if isinstance(layer, layers.Dense):
        order = (1, 0)  # in x out -> out x in
    elif isinstance(layer, layers.DepthwiseConv2D):
        order = (2, 3, 0, 1)  # H x W x C x 1 -> C x 1 x H x W
    else:
        order = (3, 2, 0, 1)  # H x W x I x O -> O x I x H x W
    return f"{layer.name}.weight", value.transpose(order)


def by_torch_name(net, values):
    """values: one for each of net.trainable_variables, in their order."""
    owners = [(l, v) for l in net.layers for v in l.trainable_variables]
    return dict(
        to_torch(*owner, value)
        for owner, value in zip(owners, values, strict=True)
    )


def weights(net):
    return by_torch_name(net, [v.numpy() for v in net.trainable_variables])


def set_weights(net, rng):
    for v in net.trainable_variables:
        scale = (
            (2 / numpy.prod(v.shape[:-1])) ** 0.5 if len(v.shape) > 1 else 0.2
        )
        value = scale * rng.standard_normal(v.shape)
        v.assign(value.astype("float32").astype("float64"))


def first_gradient(net, loss, x, labels):
    with tensorflow.GradientTape() as tape:
        value = loss(labels, net(x, training=True))
    return tape.gradient(value, [v.value for v in net.trainable_variables])


def run(net, loss, x, labels):
    """What goes into NAME.expected.safetensors besides input and labels."""
    out = {"logits": net.predict(x, verbose=0)}
    gradients = first_gradient(net, loss, x, labels)
    for name, g in by_torch_name(net, gradients).items():
        out[f"gradient.{name}"] = g
    optimizer = keras.optimizers.Adam(
        golden_file.LEARNING_RATE,
        golden_file.BETA1,
        golden_file.BETA2,
        golden_file.EPSILON,
    )
    net.compile(optimizer, loss)
    history = net.fit(
        x,
        labels,
        batch_size=len(x),
        epochs=golden_file.STEPS,
        shuffle=False,
        verbose=0,
    )
    out["losses"] = numpy.array(history.history["loss"])
    for name, value in weights(net).items():
        out[f"after.{name}"] = value
    return out


def make(name, layer_list, loss, seed, shape, labels):
    keras.backend.set_floatx("float64")
    net = keras.Sequential(layer_list())
    rng = numpy.random.default_rng(seed)
    set_weights(net, rng)
    golden_file.save(f"{name}.safetensors", weights(net))
    x = golden_file.images(rng, *shape)
    labels = numpy.array(labels, dtype=numpy.int32)
    expected = run(net, loss, x.astype("float64"), labels)
    for key, value in expected.items():
        assert value.dtype == numpy.float64, (key, value.dtype)
    golden_file.save_expected(
        name, MADE_WITH, {"x": x, "labels": labels, **expected}
    )


from_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
from_softmax = keras.losses.SparseCategoricalCrossentropy()
make("keras_seed", seed, from_softmax, 5, (4, 32, 32, 3), [3, 3, 0, 1])
make("keras_same", same, from_logits, 6, (4, 14, 11, 3), [2, 0, 4, 1])
