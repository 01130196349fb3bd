# SPDX-License-Identifier: MIT
"""The nets of bench/nets, read once for every contestant: layers, shapes,
weights and inputs, so that all of them compute the same."""
import pathlib
import re
from types import SimpleNamespace

import numpy

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "nets"
PREFIXES = {"conv2d": "conv", "depthwise_conv2d": "conv", "max_pool2d": "pool",
            "global_avg_pool2d": "pool", "dense": "fc", "batch_norm": "bn"}


def text(net):
    """The text of "seed", or of "seed@96": the same for 96 x 96 pixels."""
    net, _, size = net.partition("@")
    result = (FOLDER / (net + ".arch")).read_text()
    if size:
        result = re.sub("(?m)^input [0-9]+ [0-9]+", f"input {size} {size}",
                        result)
    return result


def _words(line):
    """(name or None, kind, numbers, keys) of a line."""
    name, kind, rest = re.fullmatch(r"(?:(\w+) = )?(\w+) ?(.*)", line).groups()
    numbers = [int(w) for w in rest.split() if "=" not in w]
    keys = dict(w.split("=") for w in rest.split() if "=" in w)
    return name, kind, numbers, keys


def pads(padding, size, kernel, stride):
    """Rows (columns) of zeros before and behind."""
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2
    return (0, 0) if padding == "valid" else (int(padding), int(padding))


def _window(layer, keys, kernel, h, w):
    """Kernel, stride, pads (top, left, bottom, right); the output's h, w."""
    layer.kernel, layer.stride = kernel, int(keys.get("stride", layer.stride))
    padding = keys.get("padding", "valid")
    top, bottom = pads(padding, h, kernel, layer.stride)
    left, right = pads(padding, w, kernel, layer.stride)
    layer.pads = top, left, bottom, right
    return ((h + top + bottom - kernel) // layer.stride + 1,
            (w + left + right - kernel) // layer.stride + 1)


def _finish(layer, numbers, keys, shapes):
    """Fills in what follows from the inputs' shapes; returns the output's."""
    h, w, c = layer.shape = shapes[0]
    bias = {"bias": None} if keys.get("bias", "true") == "true" else {}
    if layer.kind in ("conv2d", "depthwise_conv2d"):
        depthwise = layer.kind == "depthwise_conv2d"
        layer.groups = c if depthwise else 1
        layer.units = c if depthwise else numbers[0]
        kernel = int(keys["kernel"])
        h, w = _window(layer, keys, kernel, h, w)
        layer.params = {"weight": (layer.units, c // layer.groups, kernel,
                                   kernel), **bias}
        c = layer.units
    elif layer.kind == "max_pool2d":
        layer.stride = numbers[0]
        h, w = _window(layer, keys, numbers[0], h, w)
    elif layer.kind in ("global_avg_pool2d", "flatten"):
        h, w, c = 1, 1, c if layer.kind != "flatten" else h * w * c
    elif layer.kind == "dense":
        layer.units = numbers[0]
        layer.params = {"weight": (layer.units, c), **bias}
        c = layer.units
    elif layer.kind == "batch_norm":
        layer.params = dict.fromkeys(
            ("weight", "bias", "running_mean", "running_var"))
    elif layer.kind == "concat":
        c = sum(shape[2] for shape in shapes)
    layer.params = {key: shape or (c,) for key, shape in layer.params.items()}
    return h, w, c


def load(net):
    """The layers of a net in order; the first is the input."""
    layers, counts, shapes = [], {}, {}
    for line in text(net).splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, kind, numbers, keys = _words(line)
        prefix = PREFIXES.get(kind, kind)
        counts[prefix] = counts.get(prefix, 0) + 1
        layer = SimpleNamespace(
            name=name or prefix + str(counts[prefix]), kind=kind, params={},
            activation=keys.get("activation"), stride=1, inputs=[])
        if kind == "input":
            layer.out = tuple(numbers)
        else:
            layer.inputs = (keys["from"].split(",") if "from" in keys
                            else [layers[-1].name])
            layer.out = _finish(layer, numbers, keys,
                                [shapes[i] for i in layer.inputs])
        shapes[layer.name] = layer.out
        layers.append(layer)
    return layers


def _values(rng, key, shape):
    if key == "weight" and len(shape) > 1:
        scale = (2 / numpy.prod(shape[1:])) ** 0.5
        return rng.standard_normal(shape, numpy.float32) * numpy.float32(scale)
    if key in ("weight", "running_var"):
        return rng.random(shape, numpy.float32) + numpy.float32(0.5)
    return rng.standard_normal(shape, numpy.float32) * numpy.float32(0.1)


def weights(layers):
    """{"conv1.weight": array, ...}, in PyTorch's layouts; always the same."""
    rng = numpy.random.default_rng(1)
    return {layer.name + "." + key: _values(rng, key, shape)
            for layer in layers for key, shape in layer.params.items()}


def images(layers, batch):
    """batch x H x W x C, and labels."""
    rng = numpy.random.default_rng(2)
    x = rng.random((batch, *layers[0].out), numpy.float32)
    return x, (numpy.arange(batch) % layers[-1].out[2]).astype(numpy.int32)


def without_softmax(layers):
    return [layer for layer in layers if layer.kind != "softmax"]


def folded(layers, values):
    """Both without batch_norm, which goes into the convolution before it."""
    result, values, renamed = [], dict(values), {}
    for layer in layers:
        layer.inputs = [renamed.get(name, name) for name in layer.inputs]
        if layer.kind != "batch_norm":
            result.append(layer)
            continue
        conv = result[-1]
        assert layer.inputs == [conv.name] and not conv.activation
        gamma, beta, mean, var = (values.pop(f"{layer.name}.{key}")
                                  for key in layer.params)
        scale = gamma / numpy.sqrt(var + numpy.float32(1e-5))
        values[conv.name + ".weight"] *= scale[:, None, None, None]
        bias = values.get(conv.name + ".bias", 0)
        values[conv.name + ".bias"] = beta + (bias - mean) * scale
        conv.params["bias"] = beta.shape
        conv.activation = layer.activation
        renamed[layer.name] = conv.name
    return result, values


def chw_weight(layers, layer, value):
    """A dense weight whose inputs are to come from C x H x W, if they do come
    from a flatten, instead of H x W x C."""
    before = next(l for l in layers if l.name == layer.inputs[0])
    if before.kind != "flatten":
        return value
    h, w, c = before.shape
    value = value.reshape(-1, h, w, c).transpose(0, 3, 1, 2)
    return numpy.ascontiguousarray(value.reshape(len(value), -1))


def last_uses(layers):
    """For each layer the inputs that nobody needs behind it."""
    seen, result = set(), []
    for layer in reversed(layers):
        result.append([name for name in layer.inputs if name not in seen])
        seen.update(layer.inputs)
    return result[::-1]
