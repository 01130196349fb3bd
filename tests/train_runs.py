#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whole runs of the command on real data, against what they must reach.

    IMGREC_DATA=FOLDER train_runs.py BUILD [NAME ...]

Each NAME is a function below; without one all are run.  BUILD/clang and
BUILD/asan are used where they exist.  Prints the figures and a closing line.
"""
import gzip
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import time

BUILD = pathlib.Path(sys.argv[1])
DATA = pathlib.Path(os.environ["IMGREC_DATA"])
OUT = pathlib.Path("build/tmp/runs")
RUNS = []


def run(function):
    RUNS.append(function)
    return function


def imgrec(*args, build=BUILD, may_fail=False):
    """Objects that the command printed, and its peak memory in bytes."""
    command = [str(build / "imgrec"), *map(str, args), "--json"]
    with open(OUT / "stderr.txt", "w", encoding="utf-8") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE,
                                   stderr=errors, text=True)
    lines = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0 or (code != 0 and not may_fail):
        said = (OUT / "stderr.txt").read_text(encoding="utf-8")
        raise AssertionError(f"{command[1:3]}: exit code {code}: {said[:2000]}")
    return [json.loads(line) for line in lines], usage.ru_maxrss * 1024


def train(*args, **options):
    objects, memory = imgrec("train", *args, **options)
    assert objects[-1]["event"] == "done"
    return objects, memory


def same_as_eval(model, data, part):
    """predict on pictures written as PNG finds what eval counts."""
    folder = OUT / "sample"
    subprocess.run(["rm", "-rf", folder], check=True)
    subprocess.run([BUILD / "imgrec", "sample", data, "-n", "200", "--part",
                    part, "-o", folder], check=True, stdout=subprocess.DEVNULL)
    images = sorted(folder.glob("*.png"))
    answers, _ = imgrec("predict", model, *images)
    right = sum(a["top"][0]["label"] == i.stem.split("-", 1)[1]
                for a, i in zip(answers, images))
    flat = OUT / "sample-classes"
    subprocess.run(["rm", "-rf", flat], check=True)
    for image in images:
        target = flat / image.stem.split("-", 1)[1]
        target.mkdir(parents=True, exist_ok=True)
        (target / image.name).write_bytes(image.read_bytes())
    (result,), _ = imgrec("eval", model, flat)
    assert result["images"] == len(images) == 200
    assert round(result["top1"] * 200) == right, (result["top1"], right)
    return right


@run
def mnist():
    model = OUT / "mnist.safetensors"
    objects, _ = train(DATA / "mnist", "--preset", "lenet5", "--epochs", 3,
                       "--seed", 1, "-o", model)
    done = objects[-1]
    right = same_as_eval(model, DATA / "mnist", "test")
    assert done["test_accuracy"] >= 0.985, done
    return (f"test accuracy {done['test_accuracy']:.4f} in "
            f"{done['seconds']:.1f} s; predict and eval agree on 200 PNG "
            f"({right} right)")


def photos(name, least):
    model = OUT / f"{name}.safetensors"
    objects, _ = train(DATA / name, "--preset", "small", "--epochs", 15,
                       "--seed", 1, "-o", model)
    (result,), _ = imgrec("eval", model, DATA / name, "--part", "val")
    assert result["top1"] >= least, result["top1"]
    return (f"val accuracy {result['top1']:.3f} of {result['images']} images "
            f"in {objects[-1]['seconds']:.1f} s")


@run
def caltech10():
    return photos("caltech10", 0.55)


@run
def flowers96():
    return photos("flowers96", 0.60)


@run
def orientation():
    """The eight rotated pictures get the answer of the upright one."""
    model = OUT / "caltech10.safetensors"
    folder = DATA / "torture" / "exif-orientation"
    images = sorted(p for p in folder.rglob("*")
                    if p.suffix.lower() in (".jpg", ".jpeg"))
    answers, _ = imgrec("predict", model, *images)
    labels = {a["top"][0]["label"] for a in answers}
    spread = max(abs(a["top"][0]["probability"] -
                     answers[0]["top"][0]["probability"]) for a in answers)
    assert len(images) >= 8 and len(labels) == 1, labels
    return (f"{len(images)} pictures, all {labels.pop()}, probability within "
            f"{spread:.3f}")


@run
def seed():
    args = ["--preset", "seed", "--size", "224x224", "--batch", 16]
    objects, memory = train(DATA / "caltech10", *args, "--epochs", 3, "--seed",
                            1, "--augment", "none", "-o",
                            OUT / "seed.safetensors")
    losses = [o["train_loss"] for o in objects if o["event"] == "epoch"]
    info, _ = imgrec("info", *args, "--classes", 10)
    said = info[-1]["train_bytes"]
    assert losses[0] > losses[1] > losses[2], losses
    # beside the network, training keeps the images decoded
    said += 600 * 224 * 224 * 3
    assert 0.9 < memory / said < 1.1, (memory, said)
    return (f"loss {losses[0]:.3f} {losses[1]:.3f} {losses[2]:.3f}; memory "
            f"{memory / 1e6:.0f} MB, info and images {said / 1e6:.0f} MB; "
            f"{objects[-1]['images_per_second']:.1f} images/s")


def first_images(folder, count):
    """The first images of MNIST as a data set of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    source = DATA / "mnist"
    images = gzip.open(source / "train-images-idx3-ubyte.gz").read()
    labels = gzip.open(source / "train-labels-idx1-ubyte.gz").read()
    (folder / "train-images-idx3-ubyte").write_bytes(
        struct.pack(">IIII", 2051, count, 28, 28) +
        images[16:16 + count * 784])
    (folder / "train-labels-idx1-ubyte").write_bytes(
        struct.pack(">II", 2049, count) + labels[8:8 + count])


@run
def bits():
    """50 steps of lenet5 with every augmentation: one digest over threads,
    kernels and compilers."""
    everything = "strong,flip_vertical,crop=2,shift,scale,shear,degrade=0.9," \
        "randaugment=3"
    data, model = OUT / "mnist1600", OUT / "bits.safetensors"
    first_images(data, 1600)
    digests, runs = set(), 0
    builds = [b for b in (BUILD, BUILD / "clang") if (b / "imgrec").exists()]
    for build in builds:
        for isa in ("scalar", "avx2", "avx512"):
            for threads in (1, 2, 3, 5):
                train(data, "--preset", "lenet5", "--epochs", 1, "--batch",
                      32, "--val-split", 0, "--seed", 1, "--augment",
                      everything, "--threads", threads,
                      "--isa", isa, "-o", model, build=build)
                digests.add(hashlib.sha256(model.read_bytes()).hexdigest())
                runs += 1
    assert len(digests) == 1, digests
    return f"{runs} runs with {len(builds)} compilers, one file: " + \
        digests.pop()


@run
def torture():
    """Every file gets an answer or a sentence, and memory stays bounded."""
    build = BUILD / "asan" if (BUILD / "asan/imgrec").exists() else BUILD
    model = OUT / "torture.safetensors"
    train("examples/data/digits", "--epochs", 1, "--seed", 1, "-o", model)
    files = sorted(p for p in (DATA / "torture").rglob("*") if p.is_file())
    answers, sentences, most = 0, 0, 0
    for i in range(0, len(files), 200):
        objects, memory = imgrec("predict", model, *files[i:i + 200],
                                 build=build, may_fail=True)
        assert len(objects) == len(files[i:i + 200])
        answers += sum("top" in o for o in objects)
        sentences += sum(bool(o.get("error")) for o in objects)
        most = max(most, memory)
    assert answers + sentences == len(files)
    assert most < 2 << 30, most
    return (f"{len(files)} files: {answers} answers, {sentences} sentences, "
            f"peak memory {most / 1e6:.0f} MB ({build.name})")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[2:]
    passed = failed = 0
    for function in RUNS:
        if wanted and function.__name__ not in wanted:
            continue
        start = time.monotonic()
        try:
            text = function()
            passed += 1
        except (AssertionError, OSError, KeyError, IndexError) as error:
            text = f"FAILED {type(error).__name__}: {error}"
            failed += 1
        print(f"{function.__name__}: {text} "
              f"[{time.monotonic() - start:.0f} s]", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
