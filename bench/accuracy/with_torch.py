# SPDX-License-Identifier: MIT
"""A recipe of bench/accuracy in PyTorch: with_torch.py RECIPE.json

The recipe has what recipes.py says, and "arch", a text, "data", a folder of
CIFAR-10 or IDX files, and "threads".  Prints a JSON object for each epoch and
one for the end, with the names that `imgrec train --json` uses."""
import gzip
import json
import pathlib
import sys
import time

import numpy
import torch
from torch.nn import functional as F

from torch_net import Net


def read_cifar(folder, part):
    names = "test_batch.bin" if part == "test" else "data_batch_*.bin"
    data = numpy.concatenate([
        numpy.fromfile(path, numpy.uint8).reshape(-1, 3073)
        for path in sorted(folder.glob(names))])
    return data[:, 1:].reshape(-1, 3, 32, 32), data[:, 0].astype(numpy.int64)


def read_idx(folder, part):
    def values(name, header):
        prefix = "t10k" if part == "test" else "train"
        path = folder / f"{prefix}-{name}"
        packed = path.with_name(path.name + ".gz")
        data = (gzip.decompress(packed.read_bytes()) if packed.exists()
                else path.read_bytes())
        return numpy.frombuffer(data, numpy.uint8, offset=header)
    return (values("images-idx3-ubyte", 16).reshape(-1, 1, 28, 28),
            values("labels-idx1-ubyte", 8).astype(numpy.int64))


def read(folder, part):
    is_cifar = (folder / "test_batch.bin").exists()
    x, y = (read_cifar if is_cifar else read_idx)(folder, part)
    return torch.from_numpy(x.copy()), torch.from_numpy(y.copy())


def mirrored(i, n):
    """Beyond an edge comes what is before it, the outermost pixel twice."""
    i = torch.where(i < 0, -1 - i, i)
    return torch.where(i < n, i, 2 * n - 1 - i)


def batch_of(x, index, recipe, generator):
    """Shifted, mirrored beyond the edges, flipped; channels-last floats."""
    most, n = recipe["crop"], len(index)
    x = x[index]
    if most:
        by = torch.randint(-most, most + 1, (2, n), generator=generator)
        rows, columns = (mirrored(by[i][:, None] + torch.arange(side), side)
                         for i, side in enumerate(x.shape[2:]))
        x = x[torch.arange(n)[:, None, None], :, rows[:, :, None],
              columns[:, None, :]].permute(0, 3, 1, 2)
    if recipe["flip"]:
        turn = torch.rand(n, generator=generator) < 0.5
        x = torch.where(turn[:, None, None, None], x.flip(3), x)
    x = x.float() * (1 / 255)
    return x.contiguous(memory_format=torch.channels_last)


def accuracy(net, x, y, threads_batch=500):
    net.eval()
    right = 0
    with torch.inference_mode():
        for i in range(0, len(x), threads_batch):
            part = (x[i:i + threads_batch].float() * (1 / 255)).contiguous(
                memory_format=torch.channels_last)
            right += int((net(part).argmax(1) == y[i:i + threads_batch]).sum())
    net.train()
    return right / len(x)


def optimizer_of(net, recipe):
    """Weight decay not on biases and batch norm, as in imgrec."""
    heavy = [p for p in net.parameters() if p.dim() > 1]
    light = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": heavy, "weight_decay": recipe["weight_decay"]},
              {"params": light, "weight_decay": 0}]
    if recipe["optimizer"] == "sgd":
        return torch.optim.SGD(groups, recipe["lr"], 0.9,
                               nesterov=recipe["nesterov"])
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kind[recipe["optimizer"]](groups, recipe["lr"], eps=1e-7)


def schedule_of(optimizer, recipe, steps):
    if recipe["schedule"] == "one_cycle":
        share = recipe["warmup_epochs"] / recipe["epochs"] or 0.3
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe["lr"], total_steps=steps, pct_start=share,
            cycle_momentum=False)
    if recipe["schedule"] == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1)


def split(x, y, fraction, generator):
    order = torch.randperm(len(x), generator=generator)
    n = round(fraction * len(x))
    return (x[order[n:]], y[order[n:]]), (x[order[:n]], y[order[:n]])


def step(net, optimizer, recipe, x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y,
                           label_smoothing=recipe["label_smoothing"])
    loss.backward()
    optimizer.step()
    return loss.item()


def train(net, recipe, data, val, generator, begin):
    x, y = data
    batch, epochs = recipe["batch"], recipe["epochs"]
    steps = -(-len(x) // batch)
    optimizer = optimizer_of(net, recipe)
    schedule = schedule_of(optimizer, recipe, epochs * steps)
    for epoch in range(1, epochs + 1):
        order, losses = torch.randperm(len(x), generator=generator), []
        for index in order.split(batch):
            losses.append(step(net, optimizer, recipe,
                               batch_of(x, index, recipe, generator),
                               y[index]))
            schedule.step()
        print(json.dumps({
            "event": "epoch", "epoch": epoch, "epochs": epochs,
            "train_loss": sum(losses) / len(losses),
            "val_accuracy": accuracy(net, *val) if len(val[0]) else None,
            "elapsed": time.perf_counter() - begin}), flush=True)


def main(recipe):
    if recipe["also"]:
        sys.exit(f"with_torch.py knows no {recipe['also'][0]}: the recipe "
                 "would not be the same")
    torch.set_num_threads(recipe["threads"])
    torch.manual_seed(recipe["seed"])
    generator = torch.Generator().manual_seed(recipe["seed"])
    folder = pathlib.Path(recipe["data"])
    begin = time.perf_counter()
    data, val = split(*read(folder, "train"), recipe["val_split"], generator)
    net = Net(recipe["arch"]).to(memory_format=torch.channels_last)
    train(net, recipe, data, val, generator, begin)
    print(json.dumps({
        "event": "done", "epochs": recipe["epochs"],
        "test_accuracy": accuracy(net, *read(folder, "test")),
        "seconds": time.perf_counter() - begin}))


main(json.loads(pathlib.Path(sys.argv[1]).read_text()))
