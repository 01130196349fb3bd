# SPDX-License-Identifier: MIT
"""TensorFlow: channels last, one tf.function a step, with and without XLA; the
fused Adam kernel.  Mode "lite" is LiteRT (TensorFlow Lite) over XNNPACK."""
import importlib.metadata
import os
import zlib

import numpy
import tensorflow as tf

import nets

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:  # the same within TensorFlow, until that drops it
    Interpreter = tf.lite.Interpreter

threads = 1
ACTIVATIONS = {"relu": tf.nn.relu, "relu6": tf.nn.relu6, None: tf.identity}


def setup(count):
    global threads
    threads = count
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def version(mode):
    if mode != "lite":
        return tf.__version__
    lite = Interpreter.__module__.split(".")[0]
    known = importlib.metadata.packages_distributions()[lite][0]
    return f"of {known} {importlib.metadata.version(known)}"


def explicit(pads):
    top, left, bottom, right = pads
    return [[0, 0], [top, bottom], [left, right], [0, 0]]


def padding(l):
    """VALID or SAME where it is one of them: the fastest kernels want that."""
    if l.pads == (0, 0, 0, 0):
        return "VALID"
    same = [nets.pads("same", size, l.kernel, l.stride) for size in l.shape[:2]]
    return "SAME" if l.pads == tuple(sum(zip(*same), ())) else explicit(l.pads)


def apply_layer(l, weight, x, *others):
    strides = [1, l.stride, l.stride, 1]
    if l.kind == "max_pool2d":
        return tf.nn.max_pool2d(x, l.kernel, l.stride, padding(l))
    if l.kind == "flatten":
        return tf.reshape(x, [x.shape[0], -1])
    if l.kind == "global_avg_pool2d":
        return tf.reduce_mean(x, [1, 2])
    if l.kind == "add":
        return x + others[0]
    if l.kind == "concat":
        return tf.concat([x, *others], -1)
    if l.kind == "softmax":
        return tf.nn.softmax(x)
    if l.kind == "conv2d":
        x = tf.nn.conv2d(x, weight("weight"), strides, padding(l))
    elif l.kind == "depthwise_conv2d":
        pads = padding(l)
        if isinstance(pads, list):  # crashes TensorFlow 2.21 otherwise
            x, pads = tf.pad(x, pads), "VALID"
        x = tf.nn.depthwise_conv2d(x, weight("weight"), strides, pads)
    elif l.kind == "dense":
        x = tf.matmul(x, weight("weight"))
    return tf.nn.bias_add(x, weight("bias")) if "bias" in l.params else x


def network(layers, variables, x):
    values = {layers[0].name: x}
    for l in layers[1:]:
        y = apply_layer(l, lambda key: variables[f"{l.name}.{key}"],
                        *[values[name] for name in l.inputs])
        values[l.name] = ACTIVATIONS[l.activation](y)
    return values[layers[-1].name]


def in_our_layout(layers, values):
    """H x W x I x O, depthwise H x W x I x 1, dense in x out."""
    kinds = {l.name: l.kind for l in layers}
    result = {}
    for name, value in values.items():
        if value.ndim == 4:
            first = kinds[name.split(".")[0]] == "depthwise_conv2d"
            order = (2, 3, 0, 1) if first else (2, 3, 1, 0)
            value = value.transpose(order)
        result[name] = numpy.ascontiguousarray(
            value.T if value.ndim == 2 else value)
    return result


def lite(function, name):
    """The interpreter; converting takes long, so its result is kept."""
    path = os.path.join(os.environ["IMGREC_RIVALS_CACHE"], name + ".tflite")
    if not os.path.exists(path):
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()])
        with open(path + ".new", "wb") as file:
            file.write(converter.convert())
        os.rename(path + ".new", path)
    interpreter = Interpreter(path, num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def prepare_forward(name, layers, values, batch, mode):
    layers, values = nets.folded(layers, values)
    constants = {name: tf.constant(value)
                 for name, value in in_our_layout(layers, values).items()}
    images = nets.images(layers, batch)[0]
    function = tf.function(lambda x: network(layers, constants, x),
                           input_signature=[tf.TensorSpec(images.shape)],
                           jit_compile=mode == "xla")
    if mode == "lite":
        key = zlib.crc32(nets.text(name).encode())
        interpreter = lite(function, f"{name}-{batch}-{key:08x}")
        place = interpreter.get_input_details()[0]["index"]
        result = interpreter.get_output_details()[0]["index"]
        interpreter.set_tensor(place, images)
        interpreter.invoke()
        return interpreter.invoke, interpreter.get_tensor(result)[0]
    function = function.get_concrete_function()
    x = tf.constant(images)
    return lambda: function(x).numpy(), function(x).numpy()[0]


def adam(pairs, moments, t):
    for (gradient, variable), (m, v) in zip(pairs, moments):
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=m.handle, v=v.handle,
            beta1_power=tf.pow(0.9, t), beta2_power=tf.pow(0.999, t), lr=1e-3,
            beta1=0.9, beta2=0.999, epsilon=1e-7, grad=gradient)


def prepare_step(layers, values, batch, mode):
    layers = nets.without_softmax(layers)
    variables = {name: tf.Variable(value)
                 for name, value in in_our_layout(layers, values).items()}
    del values
    flat = list(variables.values())
    moments = [(tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v)))
               for v in flat]
    t = tf.Variable(0.0)
    images, labels = nets.images(layers, batch)
    x, y = tf.constant(images), tf.constant(labels)

    @tf.function(jit_compile=mode == "xla")
    def train(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    y, network(layers, variables, x)))
        gradients = tape.gradient(loss, flat)
        t.assign_add(1.0)
        adam(zip(gradients, flat), moments, t)
        return loss

    train = train.get_concrete_function(x, y)

    def step():
        return float(train(x, y))

    step.kept = variables, moments, t
    return step, [step(), step()]


def prepare(net, kind, batch, mode):
    layers = nets.load(net)
    if kind == "step":
        return prepare_step(layers, nets.weights(layers), batch, mode)
    return prepare_forward(net, layers, nets.weights(layers), batch, mode)
