# SPDX-License-Identifier: MIT
"""Golden values of the presets resnet18 and mobilenet_v2, by torchvision:
python3 tests/golden/make_presets.py

The nets are torchvision's own, with CLASSES classes.  Their weights are too
many to be kept, so weights and input come from a formula that
tests/test_golden_presets.c has too.  Of each parameter only some numbers are kept, those of sampled(),
and the norm of the whole.  References are computed in f64.
"""

import copy

import numpy
import torch
import torchvision
from torch.nn import functional as F

import golden_file

MADE_WITH = (
    f"PyTorch {torch.__version__.split('+')[0]}, "
    f"torchvision {torchvision.__version__.split('+')[0]}"
)
CLASSES = 10
SAMPLES = 8
N = 8


def unit(count, stream):
    """Numbers in [0, 1), multiples of 2^-24: MurmurHash3's finalizer of the
    index and the stream."""
    h = numpy.arange(count, dtype=numpy.uint64)
    h = (h + stream * 0x9E3779B1) & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h ^= h >> numpy.uint64(shift)
        h = (h * numpy.uint64(factor)) & numpy.uint64(0xFFFFFFFF)
    h ^= h >> numpy.uint64(16)
    return (h >> numpy.uint64(8)).astype(numpy.float64) / 2**24


def value(name, shape, stream):
    """He's uniform distribution for weights; scales and variances in
    [0.5, 1.5), biases and means in [-0.1, 0.1)."""
    u = unit(int(numpy.prod(shape)), stream).reshape(shape)
    if len(shape) > 1:
        bound = numpy.sqrt(6 / numpy.prod(shape[1:]))
        return ((2 * u - 1) * bound).astype(numpy.float32)
    if name.endswith("running_var") or name.endswith("weight"):
        return (0.5 + u).astype(numpy.float32)
    return (0.2 * u - 0.1).astype(numpy.float32)


def set_weights(net):
    stream = 0
    for name, p in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        stream += 1
        p.copy_(torch.from_numpy(value(name, tuple(p.shape), stream)))


def sampled(a):
    """Its norm, its largest number, and SAMPLES numbers spread over it."""
    a = a.detach().double().numpy().ravel()
    places = numpy.arange(SAMPLES) * a.size // SAMPLES
    return numpy.concatenate(
        [[numpy.sqrt((a**2).sum()), numpy.abs(a).max()], a[places]]
    )


def run(net, x, labels):
    """Logits in evaluation; loss, gradients and statistics of one step."""
    out = {"logits": net.eval()(x).detach().double().numpy()}
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    loss = F.cross_entropy(net(x), labels)
    loss.backward()
    out["loss"] = numpy.array([loss.item()])
    for name, p in net.named_parameters():
        out[f"gradient.{name}"] = sampled(p.grad)
    for name, p in net.state_dict().items():
        if ".running_" in name:
            out[f"after.{name}"] = sampled(p)
    return out


def make(name, net, size):
    set_weights(net)
    x = (2 * unit(N * size * size * 3, 0) - 1).astype(numpy.float32)
    x = x.reshape(N, size, size, 3)
    labels = numpy.array([1, 7, 0, 4, 9, 2, 3, 1], dtype=numpy.int32)
    chw = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()
    target = torch.from_numpy(labels).long()
    narrow = run(copy.deepcopy(net), chw, target)
    wide = run(copy.deepcopy(net).double(), chw.double(), target)
    for key, number in wide.items():
        golden_file.compare(name, key, narrow[key], number)
    golden_file.save_expected(
        name, MADE_WITH, {"labels": labels, **wide}
    )


torch.set_num_threads(1)
make("resnet18", torchvision.models.resnet18(num_classes=CLASSES), 64)
make("mobilenet_v2", torchvision.models.mobilenet_v2(num_classes=CLASSES), 64)
