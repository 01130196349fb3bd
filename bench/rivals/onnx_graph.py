# SPDX-License-Identifier: MIT
"""A net as an ONNX graph: N x C x H x W, batch normalisation folded."""
from onnx import TensorProto, helper, numpy_helper

import nets

WINDOWS = "conv2d", "depthwise_conv2d", "max_pool2d"


def _nodes(l, x, y):
    node = helper.make_node
    if l.params:
        x = [*x, l.name + ".weight", l.name + ".bias"]
    if l.kind == "global_avg_pool2d":
        return [node("GlobalAveragePool", x, [y + ".pooled"]),
                node("Flatten", [y + ".pooled"], [y])]
    window = {} if l.kind not in WINDOWS else {
        "kernel_shape": [l.kernel] * 2, "strides": [l.stride] * 2,
        "pads": list(l.pads)}
    kind, attributes = {
        "conv2d": ("Conv", {}),
        "depthwise_conv2d": ("Conv", {"group": l.shape[2]}),
        "max_pool2d": ("MaxPool", {}), "dense": ("Gemm", {"transB": 1}),
        "flatten": ("Flatten", {}), "add": ("Add", {}),
        "concat": ("Concat", {"axis": 1}),
        "softmax": ("Softmax", {"axis": 1})}[l.kind]
    return [node(kind, x, [y], **window, **attributes)]


def _activation(kind, x, y):
    if kind == "relu":
        return helper.make_node("Relu", [x], [y])
    return helper.make_node("Clip", [x, "zero", "six"], [y])


def _initializers(layers, values):
    result = []
    if any(l.activation == "relu6" for l in layers):
        result += [helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
                   helper.make_tensor("six", TensorProto.FLOAT, [], [6.0])]
    owners = {l.name: l for l in layers}
    for name, value in values.items():
        if value.ndim == 2:
            value = nets.chw_weight(layers, owners[name.split(".")[0]], value)
        result.append(numpy_helper.from_array(value, name))
    return result


def build(net, batch):
    """(model, images N x C x H x W)"""
    layers = nets.load(net)
    layers, values = nets.folded(layers, nets.weights(layers))
    nodes = []
    for l in layers[1:]:
        inner = l.name + ".linear" if l.activation else l.name
        nodes += _nodes(l, l.inputs, inner)
        if l.activation:
            nodes.append(_activation(l.activation, inner, l.name))
    images = nets.images(layers, batch)[0].transpose(0, 3, 1, 2).copy()
    graph = helper.make_graph(
        nodes, net,
        [helper.make_tensor_value_info(layers[0].name, TensorProto.FLOAT,
                                       images.shape)],
        [helper.make_tensor_value_info(layers[-1].name, TensorProto.FLOAT,
                                       [batch, layers[-1].out[2]])],
        _initializers(layers, values))
    model = helper.make_model(graph, ir_version=10,
                              opset_imports=[helper.make_opsetid("", 17)])
    return model, images

