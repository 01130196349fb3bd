# SPDX-License-Identifier: MIT
"""Do PyTorch and libimgrec compute the same with the nets of bench/nets?
Weights go over as PyTorch saves them; logits must agree within 1e-4.  Where
torchvision has the net, it must agree with it too.  Run it with the Python of
the rivals' environment and IMGREC_LIBRARY set."""
import ctypes
import os
import sys
import tempfile

import numpy
import torch
import torchvision
from safetensors.torch import save_file

import nets
import with_imgrec as ours
import with_torch

TORCHVISION = {"mobilenetv2": torchvision.models.mobilenet_v2,
               "squeezenet": torchvision.models.squeezenet1_1}


def from_torchvision(net, layers):
    """(their net, ours in PyTorch with the same weights, by order)"""
    torch.manual_seed(1)
    theirs = TORCHVISION[net](weights=None).eval()
    with torch.no_grad():  # running values that are not just 0 and 1
        for name, buffer in theirs.named_buffers():
            if "running" in name:
                buffer.uniform_(0.5, 1.5)
    copy = with_torch.Net(layers).eval()
    state = dict(zip(copy.state_dict(), theirs.state_dict().values(),
                     strict=True))
    copy.load_state_dict(state)
    return theirs, copy


def imgrec_logits(net, module, images):
    text = nets.text(net).replace("\nsoftmax", "")
    model = ours.make_model(text, len(images))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.safetensors")
        save_file({name: value.contiguous()
                   for name, value in module.state_dict().items()
                   if "num_batches" not in name}, path)
        ours.check(ours.lib.imgrec_model_load_weights(model, path.encode()))
    classes = ours.lib.imgrec_model_classes(model)
    y = numpy.zeros((len(images), classes), numpy.float32)
    ours.check(ours.forward(model, ours.tensor(images), ours.tensor(y)))
    ours.lib.imgrec_model_destroy(model)
    return y


def check(net):
    layers = nets.without_softmax(nets.load(net))
    images = nets.images(layers, 2)[0]
    if net in TORCHVISION:
        theirs, module = from_torchvision(net, layers)
    else:
        module = with_torch.make_net(layers, nets.weights(layers)).eval()
        theirs = module
    with torch.no_grad():
        wanted = theirs(with_torch.nchw(images)).numpy()
    got = imgrec_logits(net, module, images)
    off = float(numpy.abs(got - wanted).max())
    size = float(numpy.abs(wanted).max())
    count = sum(p.numel() for p in theirs.parameters())
    same = off <= 1e-4 * max(size, 1.0)
    print(f"{net:12} {count:9} parameters, largest output {size:.3g}, off by "
          f"{off:.1e}: {'same' if same else 'DIFFERENT'}")
    return same


def main():
    ours.setup(2)
    ours.lib.imgrec_model_load_weights.argtypes = [ctypes.c_void_p,
                                                   ctypes.c_char_p]
    ours.lib.imgrec_model_classes.argtypes = [ctypes.c_void_p]
    names = sorted(path.stem for path in nets.FOLDER.glob("*.arch"))
    return 0 if all([check(net) for net in names]) else 1


sys.exit(main())
