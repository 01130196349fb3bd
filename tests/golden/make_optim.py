# SPDX-License-Identifier: MIT
"""Golden values of optimisers, losses and schedules by PyTorch:
python3 tests/golden/make_optim.py > tests/golden/optim.h

Optimisers start at four weights and see the same six gradients; losses are of
one batch.  All in f64, from numbers that are exact in f32.
"""

import math

import torch

torch.set_default_dtype(torch.float64)
WEIGHTS = [0.5, -0.25, 1.5, -2.0]
STEPS, CLASSES, ROWS = 6, 4, 3


def f32(x):
    return float(torch.tensor(x, dtype=torch.float32))


def gradient(step, i):
    """Multiples of 1/64 in [-1, 1)."""
    return ((step * 37 + i * 53 + 11) % 128 - 64) / 64


def logit(row, c):
    return ((row * 29 + c * 41 + 5) % 64 - 32) / 8


def show(name, values):
    print(f"static const double {name}[] = {{")
    for v in values:
        print(f"    {v:.17g},")
    print("};")


def run(name, make, clip=None):
    w = torch.nn.Parameter(torch.tensor(WEIGHTS))
    optimizer, out = make([w]), []
    for step in range(STEPS):
        w.grad = torch.tensor([gradient(step, i) for i in range(len(WEIGHTS))])
        if clip:
            torch.nn.utils.clip_grad_norm_([w], clip)
        optimizer.step()
        out += w.tolist()
    show(name, out)


def optimizers():
    lr, wd = f32(0.01), f32(0.1)
    betas, eps = (f32(0.9), f32(0.999)), f32(1e-7)
    mu = f32(0.9)
    o = torch.optim
    run("golden_adamw", lambda p: o.AdamW(p, lr, betas, eps, wd))
    # an epsilon so small that it does not matter what it is added to
    run("golden_adam_decay", lambda p: o.Adam(p, lr, betas, f32(1e-12), wd))
    run("golden_sgd_decay", lambda p: o.SGD(p, lr, mu, weight_decay=wd))
    run("golden_nesterov", lambda p: o.SGD(p, lr, mu, nesterov=True))
    run("golden_nesterov_decay",
        lambda p: o.SGD(p, lr, mu, weight_decay=wd, nesterov=True))
    run("golden_clip", lambda p: o.SGD(p, lr, mu), clip=0.5)


def loss(name, targets, weight=None, smoothing=0.0):
    """The mean over the batch, without dividing by the sum of weights."""
    z = torch.tensor([[logit(r, c) for c in range(CLASSES)]
                      for r in range(ROWS)], requires_grad=True)
    total = torch.nn.functional.cross_entropy(
        z, targets, weight=weight, label_smoothing=smoothing,
        reduction="sum")
    total.backward()
    show(name, [total.item()] + z.grad.flatten().tolist())


def losses():
    hard = torch.tensor([2, 0, 3])
    soft = torch.tensor([[0.5, 0.25, 0.25, 0.0], [0.0, 1.0, 0.0, 0.0],
                         [0.125, 0.125, 0.25, 0.5]])
    weight = torch.tensor([0.5, 2.0, 1.0, 1.5])
    e = f32(0.1)
    loss("golden_smooth", hard, smoothing=e)
    loss("golden_smooth_soft", soft, smoothing=e)
    loss("golden_weighted", hard, weight)
    loss("golden_weighted_smooth", hard, weight, e)
    loss("golden_weighted_soft", soft, weight)


def rates(name, make, total):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule, out = make(optimizer), []
    for _ in range(total):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    show(name, out)


def schedules():
    """20 steps: 5 epochs of 4."""
    s, total = torch.optim.lr_scheduler, 20
    rates("golden_step", lambda o: s.StepLR(o, 6, 0.25), total)
    rates("golden_cosine",
          lambda o: s.CosineAnnealingLR(o, total, 0.5 * 0.125), total)
    rates("golden_warm_cosine", lambda o: s.SequentialLR(
        o, [s.LinearLR(o, 1 / 4, 1, 3), s.CosineAnnealingLR(o, total - 4)],
        [4]), total)
    rates("golden_one_cycle", lambda o: s.OneCycleLR(
        o, 0.5, total, pct_start=0.4, cycle_momentum=False,
        final_div_factor=1e4), total)


print("/* SPDX-License-Identifier: MIT */")
print(f"/* Made by make_optim.py with PyTorch "
      f"{torch.__version__.split('+')[0]}; do not edit. */")
# clang-format would join the numbers
print("/* clang-format off */")
optimizers()
losses()
schedules()
