# SPDX-License-Identifier: MIT
"""Golden values by PyTorch: python3 tests/golden/make_torch.py

Each class below is written by hand to be the net of the .arch file of the
same name.  References are computed in f64 from weights that are f32.
"""

import copy

import numpy
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional as F

import golden_file

MADE_WITH = f"PyTorch {torch.__version__.split('+')[0]}"


class Lenet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3)
        self.conv2 = nn.Conv2d(4, 8, 3)
        self.fc1 = nn.Linear(8 * 2 * 2, 16)
        self.fc2 = nn.Linear(16, 6)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2, stride=1)
        x = torch.sigmoid(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


class Options(nn.Module):
    """Stride, padding, dilation, groups, rectangles, layers without bias."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.conv2 = nn.Conv2d(8, 12, 3, padding=2, dilation=2, groups=4)
        self.conv3 = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.conv4 = nn.Conv2d(12, 10, (2, 1))
        self.fc1 = nn.Linear(10, 5, bias=False)

    def forward(self, x):
        x = F.leaky_relu(self.conv1(x), 0.125)
        x = torch.sigmoid(self.conv2(x))
        x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        x = F.hardsigmoid(self.conv3(x))
        x = -F.max_pool2d(-x, 2, stride=1)
        x = self.conv4(x)
        return self.fc1(x.mean((2, 3)))


class Dag(nn.Module):
    """A net that is no chain, with batch norm and the newer activations.

    The layer after the stem is conv2: the library counts named layers too.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.left = nn.Conv2d(8, 6, 1)
        self.right = nn.Conv2d(8, 4, 3, padding=1)
        self.gate = nn.Conv2d(10, 10, 1)
        self.bn3 = nn.BatchNorm2d(10)
        self.fc1 = nn.Linear(10, 4)

    def forward(self, x):
        a = F.relu6(self.bn1(self.stem(x)))
        b = F.gelu(self.bn2(self.conv2(a)))
        x = F.max_pool2d(a + b, 2)
        x = torch.cat([F.silu(self.left(x)), F.hardswish(self.right(x))], 1)
        x = self.bn3(x * torch.sigmoid(self.gate(x)))
        return self.fc1(torch.amax(x, (2, 3)))


class Seed(nn.Module):
    """The preset `seed`, narrowed."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.conv2 = nn.Conv2d(4, 8, 3)
        self.conv3 = nn.Conv2d(8, 16, 3)
        self.fc1 = nn.Linear(16 * 4 * 4, 32)
        self.fc2 = nn.Linear(32, 5)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.conv3(x))
        x = torch.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


def set_weights(net, seed):
    """Weights as He would start them, biases and statistics not at rest."""
    g = torch.Generator().manual_seed(seed)
    for name, p in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            p.copy_(0.5 + torch.rand(p.shape, generator=g))
        elif p.dim() > 1:
            fan_in = p[0].numel()
            p.copy_(torch.randn(p.shape, generator=g) * (2 / fan_in) ** 0.5)
        elif name == "bn1.weight":  # large, for relu6 to cut something off
            p.copy_(2 + 2 * torch.rand(p.shape, generator=g))
        elif name.startswith("bn") and name.endswith("weight"):
            p.copy_(0.2 + 0.3 * torch.rand(p.shape, generator=g))
        else:
            p.copy_(0.2 * torch.randn(p.shape, generator=g))


def run(net, x, labels):
    """Logits in evaluation, then STEPS of training; all as numpy arrays."""
    out = {"logits": net.eval()(x).detach().numpy()}
    net.train()
    parameters = dict(net.named_parameters())
    states = {name: {} for name in parameters}
    losses = []
    for t in range(1, golden_file.STEPS + 1):
        net.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        losses.append(loss.item())
        for name, p in parameters.items():
            g = p.grad.numpy().copy()
            if t == 1:
                out[f"gradient.{name}"] = g
            golden_file.adam(p.detach().numpy(), g, states[name], t)
    out["losses"] = numpy.array(losses)
    for name, p in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            out[f"after.{name}"] = p.numpy().copy()
    return out


def make(name, net, seed, shape, labels):
    set_weights(net, seed)
    state = safetensors.torch.save(net.state_dict())
    (golden_file.FOLDER / f"{name}.safetensors").write_bytes(state)
    x = golden_file.images(numpy.random.default_rng(seed), *shape)
    chw = torch.from_numpy(x).permute(0, 3, 1, 2)
    target = torch.from_numpy(labels)
    target = target.double() if target.is_floating_point() else target.long()
    narrow_target = target.float() if target.is_floating_point() else target
    narrow = run(copy.deepcopy(net), chw, narrow_target)
    wide = run(copy.deepcopy(net).double(), chw.double(), target)
    for key, value in wide.items():
        golden_file.compare(name, key, narrow[key], value)
    golden_file.save_expected(
        name, MADE_WITH, {"x": x, "labels": labels, **wide}
    )


def classes(*indices):
    return numpy.array(indices, dtype=numpy.int32)


# Labels as probabilities: smoothed, mixed, and one that is certain.
MIXED = numpy.array(
    [[0.7, 0.1, 0.1, 0.1], [0, 0.5, 0.5, 0], [0, 0, 0, 1], [0.25, 0, 0.75, 0]],
    dtype=numpy.float32,
)

torch.set_num_threads(1)
make("lenet", Lenet(), 1, (5, 12, 12, 1), classes(0, 5, 2, 3, 3))
make("options", Options(), 2, (4, 13, 11, 3), classes(4, 0, 1, 2))
make("dag", Dag(), 3, (4, 10, 10, 2), MIXED)
make("seed", Seed(), 4, (4, 32, 32, 3), classes(1, 4, 0, 2))
