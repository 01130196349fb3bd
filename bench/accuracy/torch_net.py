# SPDX-License-Identifier: MIT
"""An architecture text of libimgrec as a PyTorch module, with the same names,
paddings, first distribution of weights and momentum of batch norm."""
import re

import torch
from torch import nn
from torch.nn import functional as F

PREFIXES = {"conv2d": "conv", "depthwise_conv2d": "conv", "dense": "fc",
            "batch_norm": "bn"}
ACTIVATIONS = {None: lambda x: x, "relu": F.relu, "relu6": F.relu6,
               "silu": F.silu, "gelu": F.gelu}


class Layer:
    """A line: its name, kind, numbers, keys; what it does to shapes."""

    def __init__(self, line, layers):
        name, self.kind, rest = re.fullmatch(
            r"(?:([\w.-]+) = )?(\w+) ?(.*)", line).groups()
        words = rest.split()
        self.numbers = [float(w) for w in words if "=" not in w]
        self.keys = dict(w.split("=") for w in words if "=" in w)
        self.same_kind = sum(
            PREFIXES.get(l.kind, l.kind) == PREFIXES.get(self.kind, self.kind)
            for l in layers)
        self.name = name or (PREFIXES.get(self.kind, self.kind) +
                             str(self.same_kind + 1))
        self.inputs = (self.keys["from"].split(",") if "from" in self.keys
                       else [l.name for l in layers[-1:]])

    def key(self, name, default):
        return int(self.keys.get(name, default))


def read(text):
    layers = []
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line:
            layers.append(Layer(line, layers))
    return layers


def same_padding(size, kernel, stride):
    """Before and behind."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Net(nn.Module):
    """Logits: a softmax at the end is left out."""

    def __init__(self, text):
        super().__init__()
        layers = [l for l in read(text) if l.kind != "softmax"]
        self.lines, self.mods = layers, nn.ModuleList()
        h, w, c = map(int, layers[0].numbers)
        self.input = h, w, c
        with torch.no_grad():
            values = {layers[0].name: torch.zeros(2, c, h, w)}
            for layer in layers[1:]:
                inputs = [values[name] for name in layer.inputs]
                self.mods.append(self.make(layer, inputs[0].shape))
                values[layer.name] = self.one(layer, self.mods[-1], *inputs)
        self.last = self.last_uses()
        for module in self.mods:
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()

    def make(self, layer, shape):
        units = int(layer.numbers[0]) if layer.numbers else 0
        bias = layer.keys.get("bias") != "false"
        if layer.kind == "conv2d":
            return nn.Conv2d(shape[1], units, layer.key("kernel", 1),
                             layer.key("stride", 1),
                             groups=layer.key("groups", 1), bias=bias)
        if layer.kind == "depthwise_conv2d":
            return nn.Conv2d(shape[1], shape[1], layer.key("kernel", 1),
                             layer.key("stride", 1), groups=shape[1], bias=bias)
        if layer.kind == "dense":
            return nn.Linear(shape[1], units, bias)
        if layer.kind == "batch_norm":
            return nn.BatchNorm2d(shape[1])
        if layer.kind == "dropout":
            return nn.Dropout(layer.numbers[0])
        return nn.Identity()

    @staticmethod
    def pad(layer, x, kernel, stride, value):
        padding = layer.keys.get("padding", "valid")
        if padding == "valid":
            return x
        if padding == "same":
            top, bottom = same_padding(x.shape[2], kernel, stride)
            left, right = same_padding(x.shape[3], kernel, stride)
        else:
            top = bottom = left = right = int(padding)
        return F.pad(x, (left, right, top, bottom), value=value)

    def one(self, layer, module, x, *others):
        kind = layer.kind
        if kind in ("conv2d", "depthwise_conv2d"):
            x = module(self.pad(layer, x, module.kernel_size[0],
                                module.stride[0], 0))
        elif kind == "max_pool2d":
            kernel = int(layer.numbers[0])
            stride = layer.key("stride", kernel)
            x = F.max_pool2d(self.pad(layer, x, kernel, stride, -torch.inf),
                             kernel, stride)
        elif kind == "flatten":
            x = x.permute(0, 2, 3, 1).flatten(1)
        elif kind == "global_avg_pool2d":
            x = x.mean((2, 3))
        elif kind == "global_max_pool2d":
            x = x.amax((2, 3))
        elif kind == "add":
            x = x + others[0]
        elif kind == "concat":
            x = torch.cat((x, *others), 1)
        elif kind in ACTIVATIONS:
            x = ACTIVATIONS[kind](x)
        elif kind in ("dense", "batch_norm", "dropout"):
            x = module(x)
        else:
            raise ValueError(f"no layer {kind} here")
        return ACTIVATIONS[layer.keys.get("activation")](x)

    def last_uses(self):
        seen, result = set(), []
        for layer in reversed(self.lines):
            result.append([n for n in layer.inputs if n not in seen])
            seen.update(layer.inputs)
        return result[::-1]

    def forward(self, x):
        values = {self.lines[0].name: x}
        for layer, module, dead in zip(self.lines[1:], self.mods,
                                       self.last[1:]):
            values[layer.name] = self.one(
                layer, module, *[values[name] for name in layer.inputs])
            for name in dead:
                del values[name]
        return values[self.lines[-1].name]
