# SPDX-License-Identifier: MIT
"""Images a second that a DataLoader reads, decodes and resizes to SIZE:
jpeg_torch.py FOLDER SIZE WORKERS pil|io, the second of two passes."""
import json
import sys
import time

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, io
from torchvision.transforms import v2


def main(folder, size, workers, decoder):
    torch.set_num_threads(1)
    steps = [v2.Resize(size, antialias=True), v2.CenterCrop(size)]
    if decoder == "io":
        load = lambda path: io.decode_jpeg(io.read_file(path),
                                           io.ImageReadMode.RGB)
        steps += [v2.ToDtype(torch.float32, scale=True)]
    else:
        load = datasets.folder.default_loader
        steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    images = datasets.ImageFolder(folder, v2.Compose(steps), loader=load)
    loader = DataLoader(images, 32, num_workers=workers,
                        persistent_workers=workers > 0)
    for _ in range(2):
        begin, count = time.perf_counter(), 0
        for x, _ in loader:
            count += len(x)
        seconds = time.perf_counter() - begin
    print(json.dumps({"images": count, "seconds": seconds,
                      "images_per_second": count / seconds}))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
