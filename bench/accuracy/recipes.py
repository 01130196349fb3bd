# SPDX-License-Identifier: MIT
"""The recipes of bench/accuracy, once, for imgrec and for PyTorch alike."""

BASE = {
    "size": None, "batch": 128, "epochs": 10, "crop": 0, "flip": False,
    "also": [], "optimizer": "sgd", "nesterov": True, "lr": 0.1,
    "weight_decay": 5e-4, "schedule": "one_cycle", "warmup_epochs": 0,
    "label_smoothing": 0.0, "val_split": 0.04, "seed": 1,
}

# "also" is augmentation that imgrec alone has here.  Grey pictures of digits are
# not flipped.  Epochs are what the minutes allow on two cores with AVX-512.
RECIPES = {
    "mnist": {"preset": "small", "epochs": 25, "crop": 2, "lr": 0.2,
              "also": ["rotate=10", "scale=0.1"], "label_smoothing": 0.05},
    "fashion": {"preset": "cifar_fast", "epochs": 12, "crop": 2, "flip": True,
                "also": ["cutout=0.25"], "label_smoothing": 0.05},
    # the same in both, so that nothing else differs; PyTorch's 25 minutes
    "cifar": {"preset": "cifar_fast", "epochs": 9, "crop": 4, "flip": True,
              "label_smoothing": 0.1},
    "cifar25": {"preset": "cifar_fast", "epochs": 24, "crop": 4, "flip": True,
                "label_smoothing": 0.1},
    "cifar75": {"preset": "cifar_fast", "epochs": 72, "crop": 4, "flip": True,
                "also": ["cutout=0.25"], "label_smoothing": 0.1},
    # MLPerf Tiny: Adam, batches of 32, a falling rate, shifts and flips; there
    # 500 epochs
    "resnet8": {"preset": "resnet8", "epochs": 12, "batch": 32, "crop": 3,
                "flip": True, "optimizer": "adam", "lr": 0.001,
                "weight_decay": 0.0, "schedule": "cosine"},
}


def recipe(name):
    return {**BASE, **RECIPES[name]}


def augmentation(r):
    """As --augment takes it."""
    words = ["flip"] * r["flip"] + [f"crop={r['crop']}"] * (r["crop"] > 0)
    return ",".join(words + r["also"]) or "none"


def options(r):
    """As the command line of `imgrec train` has it."""
    words = ["--preset", r["preset"], "--batch", r["batch"],
             "--epochs", r["epochs"], "--augment", augmentation(r),
             "--optimizer", r["optimizer"], "--lr", r["lr"],
             "--schedule", r["schedule"].replace("_", "-"),
             "--val-split", r["val_split"],
             "--seed", r["seed"]]
    if r["nesterov"] and r["optimizer"] == "sgd":
        words += ["--nesterov"]
    for key in ("weight_decay", "label_smoothing", "warmup_epochs"):
        if r[key]:
            words += ["--" + key.replace("_", "-"), r[key]]
    return [str(w) for w in words]
