# SPDX-License-Identifier: MIT
"""PyTorch: channels last, inference mode, f32 all through, fused Adam."""
import torch
from torch.nn import functional as F

import nets

torch.set_float32_matmul_precision("highest")
ACTIVATIONS = {"relu": lambda x: F.relu(x, inplace=True),
               "relu6": lambda x: F.relu6(x, inplace=True)}


def setup(threads):
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def version(mode):
    return torch.__version__


class Net(torch.nn.Module):
    """Layers from nets.load as a module with the same parameter names."""

    def __init__(self, layers):
        super().__init__()
        self.layers, self.dead = layers, nets.last_uses(layers)
        for l in layers:
            if l.kind in ("conv2d", "depthwise_conv2d"):
                top, left, bottom, right = l.pads
                l.symmetric = (top, left) == (bottom, right)
                self.add_module(l.name, torch.nn.Conv2d(
                    l.shape[2], l.units, l.kernel, l.stride,
                    (top, left) if l.symmetric else 0, groups=l.groups,
                    bias="bias" in l.params))
            elif l.kind == "dense":
                self.add_module(l.name, torch.nn.Linear(
                    l.shape[2], l.units, "bias" in l.params))
            elif l.kind == "batch_norm":
                self.add_module(l.name, torch.nn.BatchNorm2d(l.shape[2]))

    def apply_layer(self, l, x, *others):
        if l.kind == "max_pool2d":
            return F.max_pool2d(x, l.kernel, l.stride, l.pads[:2])
        if l.kind == "flatten":  # channels last: no copy
            return x.permute(0, 2, 3, 1).flatten(1)
        if l.kind == "global_avg_pool2d":
            return x.mean((2, 3))
        if l.kind == "add":
            return x + others[0]
        if l.kind == "concat":
            return torch.cat((x, *others), 1)
        if l.kind == "softmax":
            return F.softmax(x, 1)
        if "conv" in l.kind and not l.symmetric:
            top, left, bottom, right = l.pads
            x = F.pad(x, (left, right, top, bottom))
        return getattr(self, l.name)(x)

    def forward(self, x):
        values = {self.layers[0].name: x}
        for l, dead in zip(self.layers[1:], self.dead[1:]):
            y = self.apply_layer(l, *[values[name] for name in l.inputs])
            values[l.name] = ACTIVATIONS[l.activation](y) if l.activation else y
            for name in dead:
                del values[name]
        return values[self.layers[-1].name]


def make_net(layers, values):
    net = Net(layers)
    state = {name: torch.from_numpy(value) for name, value in values.items()}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all("num_batches" in name for name in missing)
    return net.to(memory_format=torch.channels_last)


def nchw(images):
    """N x H x W x C as N x C x H x W in channels-last memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def prepare_forward(layers, values, batch, mode):
    layers, values = nets.folded(layers, values)
    net = make_net(layers, values).eval()
    x = nchw(nets.images(layers, batch)[0])
    if mode == "jit":
        with torch.no_grad():
            net = torch.jit.freeze(torch.jit.trace(net, x))
            net = torch.jit.optimize_for_inference(net)
    elif mode == "mkldnn":
        from torch.utils import mkldnn
        net = mkldnn.to_mkldnn(net)
    elif mode == "compile":
        from torch._inductor import config
        config.freezing = True
        net = torch.compile(net)

    def step():
        with torch.inference_mode():
            return net(x)

    with torch.no_grad():  # freezing wants it so at compile time
        net(x)
    return step, step()[0].tolist()


def prepare_step(layers, values, batch, mode):
    net = make_net(nets.without_softmax(layers), values).train()
    del values
    images, labels = nets.images(layers, batch)
    x, y = nchw(images), torch.from_numpy(labels).long()
    adam = torch.optim.Adam(net.parameters(), eps=1e-7, fused=True)

    def loss_of(x, y):
        return F.cross_entropy(net(x), y)

    if mode == "compile":
        loss_of = torch.compile(loss_of)

    def step():
        adam.zero_grad(set_to_none=True)
        loss = loss_of(x, y)
        loss.backward()
        adam.step()
        return loss.item()

    return step, [step(), step()]


def prepare(net, kind, batch, mode):
    torch.compiler.reset()
    layers = nets.load(net)
    make = prepare_step if kind == "step" else prepare_forward
    return make(layers, nets.weights(layers), batch, mode)
