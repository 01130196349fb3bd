# SPDX-License-Identifier: MIT
"""ncnn in f32 with all its convolution algorithms.  It takes one image at a
time; mode "side by side" gives each thread an image of its own."""
import struct
from concurrent.futures import ThreadPoolExecutor

import ncnn
import numpy

import nets

threads = 1
ACTIVATIONS = {None: "", "relu": " 9=1", "relu6": " 9=3 -23310=2,0.0,6.0"}


def setup(count):
    global threads
    threads = count


def version(mode):
    return ncnn.__version__


def words(l):
    """Type and parameters of a layer."""
    if "conv" in l.kind:
        top, left, bottom, right = l.pads
        kind = "Convolution" if l.kind == "conv2d" else "ConvolutionDepthWise"
        groups = "" if l.kind == "conv2d" else f" 7={l.units}"
        size = numpy.prod(l.params["weight"])
        return kind, (f"0={l.units} 1={l.kernel} 3={l.stride} 4={left} "
                      f"14={top} 15={right} 16={bottom} 5=1 6={size}{groups}"
                      + ACTIVATIONS[l.activation])
    if l.kind == "dense":
        return "InnerProduct", (f"0={l.units} 1=1 2={l.units * l.shape[2]}"
                                + ACTIVATIONS[l.activation])
    if l.kind == "max_pool2d":
        top, left, bottom, right = l.pads
        return "Pooling", (f"0=0 1={l.kernel} 2={l.stride} 3={left} 13={top} "
                           f"14={right} 15={bottom} 5=1")
    return {"global_avg_pool2d": ("Pooling", "0=1 4=1"),
            "flatten": ("Flatten", ""), "add": ("BinaryOp", "0=0"),
            "concat": ("Concat", "0=0"), "softmax": ("Softmax", "0=0"),
            "input": ("Input", "")}[l.kind]


def param_text(layers):
    """The .param file: a blob with n readers goes through a Split."""
    readers = [name for l in layers for name in l.inputs]
    lines, blobs, taken = [], 0, {}
    for l in layers:
        inputs = []
        for name in l.inputs:
            shared = readers.count(name) > 1
            inputs.append(f"{name}_{taken.get(name, 0)}" if shared else name)
            taken[name] = taken.get(name, 0) + 1
        kind, parameters = words(l)
        inner = l.name
        if l.kind == "add" and l.activation:
            inner = l.name + "_linear"
        lines.append(f"{kind} {inner} {len(inputs)} 1 {' '.join(inputs)} "
                     f"{inner} {parameters}")
        if inner != l.name:
            lines.append(f"ReLU {l.name} 1 1 {inner} {l.name}")
            blobs += 1
        copies = [f"{l.name}_{i}" for i in range(readers.count(l.name))]
        if len(copies) > 1:
            lines.append(f"Split {l.name}_split 1 {len(copies)} {l.name} "
                         + " ".join(copies))
            blobs += len(copies)
        blobs += 1
    return f"7767517\n{len(lines)} {blobs}\n" + "\n".join(lines) + "\n"


def model_bytes(layers, values):
    """The .bin file: a tag of four bytes before each weight, none before a
    bias."""
    parts = []
    for l in layers:
        if l.params:
            weight = values[l.name + ".weight"]
            if l.kind == "dense":
                weight = nets.chw_weight(layers, l, weight)
            parts += [struct.pack("<I", 0), weight.tobytes(),
                      values[l.name + ".bias"].tobytes()]
    return b"".join(parts)


def make_net(layers, values, inner_threads):
    import tempfile
    net = ncnn.Net()
    for option in dir(net.opt):
        if option.startswith(("use_fp16", "use_bf16", "use_int8",
                              "use_vulkan")):
            setattr(net.opt, option, False)
    net.opt.use_winograd_convolution = True
    net.opt.use_packing_layout = True
    net.opt.num_threads = inner_threads
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/net.param", "w") as param:
            param.write(param_text(layers))
        with open(folder + "/net.bin", "wb") as binary:
            binary.write(model_bytes(layers, values))
        assert net.load_param(folder + "/net.param") == 0
        assert net.load_model(folder + "/net.bin") == 0
    return net


def prepare(name, kind, batch, mode):
    layers = nets.load(name)
    layers, values = nets.folded(layers, nets.weights(layers))
    side_by_side = mode == "side by side"
    net = make_net(layers, values, 1 if side_by_side else threads)
    images = nets.images(layers, batch)[0].transpose(0, 3, 1, 2).copy()
    inputs = [ncnn.Mat(image).clone() for image in images]

    def answer(mat):
        extractor = net.create_extractor()
        extractor.input(layers[0].name, mat)
        status, out = extractor.extract(layers[-1].name)
        assert status == 0
        return out

    if side_by_side:
        pool = ThreadPoolExecutor(threads)
        step = lambda: list(pool.map(answer, inputs))
    else:
        step = lambda: [answer(mat) for mat in inputs]
    return step, numpy.array(step()[0]).ravel()
