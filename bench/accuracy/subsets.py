# SPDX-License-Identifier: MIT
"""Parts of data sets, as data sets of their own."""
import gzip
import shutil
import struct

FEW = {"train": 256, "test": 64}


def first_of_idx(source, target, count):
    """The first images, or labels, of an IDX file."""
    data = gzip.decompress(source.read_bytes())
    dims = data[3]
    shape = struct.unpack(f">{dims}I", data[4:4 + 4 * dims])
    size = 1
    for n in shape[1:]:
        size *= n
    start = 4 + 4 * dims
    head = data[:4] + struct.pack(f">{dims}I", count, *shape[1:])
    target.write_bytes(gzip.compress(head + data[start:start + count * size]))


def tiny(source, target):
    """A few images of `source`."""
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    if (source / "test_batch.bin").exists():
        for name, n in (("data_batch_1", "train"), ("test_batch", "test")):
            with open(source / f"{name}.bin", "rb") as file:
                (target / f"{name}.bin").write_bytes(
                    file.read(3073 * FEW[n]))
        shutil.copy(source / "batches.meta.txt", target)
    elif (source / "train").exists():
        copy_classes(source, target, sorted((source / "train").iterdir()), 4, 2)
    else:
        for path in source.glob("*.gz"):
            first_of_idx(path, target / path.name,
                         FEW["test" if path.name[0] == "t" and
                             path.name[1] == "1" else "train"])
    return target


def copy_classes(source, target, classes, train, val):
    """The first `train` and `val` photos of each class (None: all)."""
    for part, count in (("train", train), ("val", val)):
        for folder in classes:
            to = target / part / folder.name
            to.mkdir(parents=True)
            photos = sorted((source / part / folder.name).iterdir())
            for photo in photos[:count]:
                shutil.copy(photo, to)


def halves(source, target, count):
    """Every other class with all its photos, and the rest with `count`."""
    if target.exists():
        shutil.rmtree(target)
    classes = sorted((source / "train").iterdir())
    copy_classes(source, target / "other", classes[::2], None, None)
    copy_classes(source, target / "own", classes[1::2], count, None)
    return target / "other", target / "own"
