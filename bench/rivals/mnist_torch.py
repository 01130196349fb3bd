# SPDX-License-Identifier: MIT
"""lenet5 on MNIST in PyTorch, as its tutorials write it: mnist_torch.py FOLDER
loader|tensors.  "tensors" slices whole tensors instead of a DataLoader."""
import gzip
import json
import pathlib
import sys

import numpy
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

BATCH, EPOCHS = 32, 3


def read(folder, part):
    def values(name, header):
        data = gzip.decompress((folder / f"{part}-{name}.gz").read_bytes())
        return numpy.frombuffer(data, numpy.uint8, offset=header)
    images = values("images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
    labels = values("labels-idx1-ubyte", 8).astype(numpy.int64)
    return (torch.from_numpy(images.astype(numpy.float32) / 255),
            torch.from_numpy(labels))


def batches(x, y, shuffle, way):
    if way == "loader":
        return DataLoader(TensorDataset(x, y), BATCH, shuffle=shuffle)
    order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
    return ((x[i], y[i]) for i in order.split(BATCH))


def accuracy(net, x, y, way):
    net.eval()
    with torch.inference_mode():
        right = sum(int((net(a).argmax(1) == b).sum())
                    for a, b in batches(x, y, False, way))
    return right / len(x)


def main(folder, way):
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10))
    x, y = read(folder, "train")
    order = torch.randperm(len(x))
    val, train = order[:6000], order[6000:]
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(EPOCHS):
        net.train()
        for a, b in batches(x[train], y[train], True, way):
            optimizer.zero_grad()
            F.cross_entropy(net(a), b).backward()
            optimizer.step()
        accuracy(net, x[val], y[val], way)
    print(json.dumps({"accuracy": accuracy(net, *read(folder, "t10k"), way)}))


main(pathlib.Path(sys.argv[1]), sys.argv[2])
